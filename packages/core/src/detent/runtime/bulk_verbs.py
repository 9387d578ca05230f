"""The verbs of operators on every instance that a query finds, many at once and each in a step of its own."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack
from uuid import UUID

from detent.errors import DetentError
from detent.json_values import JsonObject
from detent.runtime.arguments import check_limit
from detent.runtime.at_once import AT_ONCE, LOCKED_AT_ONCE, MOST_AT_ONCE, at_once_for, in_order
from detent.runtime.finding_verbs import FindingVerbs, Where
from detent.runtime.operator_verbs import OperatorVerbs
from detent.runtime.result import TransitionResult
from detent.store.records import ArchiveEntry, WorkflowInstance


class BulkWhere(Where, total=False):
    """Which instances a bulk verb is about, and how far it goes."""

    limit: int
    """How many instances at most; 1000 by default."""
    at_once: int
    """How many of them are under way at once, at most; 128 by default."""
    cursor: str | None
    """Where an earlier report stopped."""
    dry_run: bool
    """Only say which instances it would be."""
    trigger_metadata: JsonObject | None
    """Who and why, for history."""


@dataclass(frozen=True, slots=True)
class BulkFailure:
    """One instance that could not be handled."""

    instance_id: UUID
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What a bulk verb did, instance by instance."""

    changed: tuple[UUID, ...]
    """Those it was done to; those it would be tried on, in a dry run."""
    unchanged: tuple[UUID, ...]
    """Those that were so already."""
    failed: tuple[BulkFailure, ...]
    """Those it could not be done to, and why."""
    cursor: str | None
    """Where to go on; `None` when there are no more."""


class _Reach(TypedDict):
    limit: int
    cursor: str | None


class BulkVerbs(OperatorVerbs, FindingVerbs):
    """The bulk forms: one verb over a query. An instance that fails is reported and stops nothing.

    See `BulkWhere` for what all of them take. None takes a lent transaction: each instance is a step of its own, so that what
    was done stays done. Many are under way at once, of those that lock rows or read beside 8; who works within a transaction
    gets one after the other. Reports are in the order of ids.
    """

    async def cancel_instances(self, *, reason: str | None = None, **where: Unpack[BulkWhere]) -> BulkReport:
        """Cancel every instance that is found; see `cancel`."""
        return await self._each(where, lambda found, say: self.cancel(found, reason=reason, trigger_metadata=say))

    async def pause_instances(self, *, reason: str | None = None, **where: Unpack[BulkWhere]) -> BulkReport:
        """Pause every instance that is found; see `pause`."""
        return await self._each(where, lambda found, say: self.pause(found, reason=reason, trigger_metadata=say))

    async def resume_instances(self, *, reason: str | None = None, **where: Unpack[BulkWhere]) -> BulkReport:
        """Resume every instance that is found; see `resume`."""
        return await self._each(where, lambda found, say: self.resume(found, reason=reason, trigger_metadata=say))

    async def force_instances(
        self,
        state: str,
        *,
        put: JsonObject | None = None,
        reason: str | None = None,
        **where: Unpack[BulkWhere],
    ) -> BulkReport:
        """Put every instance that is found into `state`, with `put` written to its context; see `force`."""
        return await self._each(
            where,
            lambda found, say: self.force(found, state, context=put, reason=reason, trigger_metadata=say),
            most=LOCKED_AT_ONCE,
        )

    async def patch_contexts(
        self,
        patch: JsonObject | None = None,
        *,
        remove: Iterable[str] = (),
        reason: str | None = None,
        **where: Unpack[BulkWhere],
    ) -> BulkReport:
        """Patch the context of every instance that is found; see `patch_context`."""
        keys = tuple(remove)
        return await self._each(
            where,
            lambda found, say: self.patch_context(found, patch, remove=keys, reason=reason, trigger_metadata=say),
        )

    async def rearm_instances(
        self,
        event: str | None = None,
        *,
        at: datetime | timedelta | str | None = None,
        reason: str | None = None,
        **where: Unpack[BulkWhere],
    ) -> BulkReport:
        """Rearm the timers of every instance that is found, to be due `at` that instant; see `rearm`."""
        return await self._each(
            where, lambda found, say: self.rearm(found, event, due=at, reason=reason, trigger_metadata=say)
        )

    async def retry_instances(self, **where: Unpack[BulkWhere]) -> BulkReport:
        """Retry every instance that is found; see `retry`."""
        return await self._each(where, lambda found, say: self.retry(found, trigger_metadata=say), most=LOCKED_AT_ONCE)

    async def _each(
        self,
        where: BulkWhere,
        act: Callable[
            [WorkflowInstance, JsonObject | None], Awaitable[WorkflowInstance | TransitionResult | ArchiveEntry]
        ],
        *,
        most: int = MOST_AT_ONCE,
    ) -> BulkReport:
        conditions: dict[str, Any] = dict(where)
        dry_run, said = conditions.pop("dry_run", False), conditions.pop("trigger_metadata", None)
        at_once = conditions.pop("at_once", AT_ONCE)
        check_limit(at_once, most=MOST_AT_ONCE, path="at_once")
        reach: _Reach = {"limit": conditions.pop("limit", 1000), "cursor": conditions.pop("cursor", None)}
        page = await self.find_instances(order="id", **reach, **conditions)

        async def done(found: WorkflowInstance) -> tuple[WorkflowInstance, bool | BulkFailure]:
            try:
                return found, dry_run or _moved(found, await act(found, said))
            except Exception as error:
                return found, bulk_failure(found.id, error)

        changed: list[UUID] = []
        unchanged: list[UUID] = []
        failed: list[BulkFailure] = []
        async for found, answer in in_order(page, done, at_once=at_once_for(self._caller, min(at_once, most))):
            if isinstance(answer, BulkFailure):
                failed.append(answer)
            else:
                (changed if answer else unchanged).append(found.id)
        return BulkReport(tuple(changed), tuple(unchanged), tuple(failed), page.cursor)


def _moved(before: WorkflowInstance, answer: WorkflowInstance | TransitionResult | ArchiveEntry) -> bool:
    """Whether it was done to the instance, and not so already; what was removed was there before."""
    if isinstance(answer, ArchiveEntry):
        return True
    after = answer if isinstance(answer, WorkflowInstance) else answer.instance
    return after.version > before.version


def bulk_failure(instance_id: UUID, error: Exception) -> BulkFailure:
    """What a report says of an error."""
    if isinstance(error, DetentError):
        return BulkFailure(instance_id, error.code, error.message)
    return BulkFailure(instance_id, type(error).__name__, str(error))
