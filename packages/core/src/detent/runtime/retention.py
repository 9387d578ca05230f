"""Retention: takes out what policies do not want kept any longer, in batches."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from detent.errors import InstanceBusy, StoreError
from detent.json_values import JsonObject
from detent.machine.forks import JOINED
from detent.runtime.at_once import LOCKED_AT_ONCE, in_order
from detent.runtime.caller import Caller
from detent.runtime.parts import Parts
from detent.runtime.removal import removal_of
from detent.runtime.retention_policy import RetentionPolicy
from detent.store.change import Removal
from detent.store.query import InstanceQuery, Order, Position, Span
from detent.store.records import LIVE, WorkflowInstance

logger = logging.getLogger("detent.retention")

PATIENCE = 12
"""How often one batch may find a row held, and go on in smaller pieces: enough to single out one of 500."""

_BY_END = Order("finished_at", descending=False)
_BY_AGE = Order("created_at", descending=False)


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What one application of the policies did."""

    deleted: int
    """Instances that were deleted for good."""
    archived: int
    """Instances that were removed and kept as a document."""
    history_entries: int
    """History entries that were too old and are gone."""
    receipts: int
    """Idempotency keys that had expired and are forgotten."""
    runs: int
    """Runs that had ended long enough ago (`Settings.keep_runs`)."""
    deliveries: int
    """Deliveries that were made long enough ago (`Settings.keep_delivered`)."""
    dead_letters: int
    """Messages to instances that could not be taken and have waited long enough (`Settings.keep_dead`)."""
    failed: int
    """Instances that changed meanwhile or were held by a step; they are found again next time."""
    more: bool
    """Whether the limit came before the end, so that another call finds more to do."""


@dataclass(slots=True)
class _Walk:
    """How far the history of the instances of one policy was looked through."""

    cutoff: datetime | None = None
    """The age that the walk under way asks for."""
    place: Position | None = None
    """The last instance that it has looked at."""
    done: datetime | None = None
    """The age that the last whole walk asked for: an instance that was not written since has nothing more to lose."""


class Retention:
    """Applies the policies. One per runtime, and one application at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._alone = asyncio.Lock()
        self._walks: dict[tuple[RetentionPolicy, str | None], _Walk] = {}

    async def apply(self, caller: Caller, *, limit: int, batch: int) -> RetentionReport:
        """Remove and prune among what the caller may see; of each kind not more than `limit`."""
        async with self._alone:
            run = _Run(self._parts, caller, limit, batch)
            policies = [policy for policy in self._parts.retention if _concerns(policy, caller)]
            for policy in policies:
                if policy.after is not None:
                    await run.remove(policy, policy.after)
            for policy in policies:
                if policy.keep_history is not None:
                    await run.prune(
                        policy, policy.keep_history, self._walks.setdefault((policy, caller.tenant), _Walk())
                    )
            if caller.tenant is None:
                # What has expired is so for everybody, but who is bound to a tenant touches nobody else's rows.
                await run.forget()
            return run.report()


class _Run:
    """One application of the policies: what is left of its limits, and what it did."""

    def __init__(self, parts: Parts, caller: Caller, limit: int, batch: int) -> None:
        self._parts = parts
        self._caller = caller
        self._now = parts.present
        self._batch = batch
        self._limit = self._removals_left = self._walks_left = limit
        self._counts: Counter[str] = Counter()
        self._more = False

    def report(self) -> RetentionReport:
        """What was done."""
        counted = {field.name: self._counts[field.name] for field in fields(RetentionReport) if field.name != "more"}
        return RetentionReport(**counted, more=self._more)

    async def remove(self, policy: RetentionPolicy, after: timedelta) -> None:
        """Remove what has been finished for long enough, the longest finished first."""
        before = self._counts[_done(policy)]
        async for found in self._finished(policy, after):
            page = await self._not_awaited(found)
            self._removals_left += len(found) - len(page)
            gone = await self._parts.unbroken(self._end(page, policy))
            self._counts[_done(policy)] += gone
            self._counts["failed"] += len(page) - gone
        if self._removals_left == 0 and self._counts[_done(policy)] > before:
            self._more = True

    async def prune(self, policy: RetentionPolicy, keep: timedelta, walk: _Walk) -> None:
        """Take out history entries that are too old, going on where the last application stopped."""
        if walk.cutoff is None:
            walk.cutoff = self._now - keep
        query = self._query(policy, created=Span(None, walk.cutoff), updated=Span(walk.done, None))
        while self._walks_left > 0:
            asked = min(self._batch, self._walks_left)
            page = await self._parts.store.find(query, order=_BY_AGE, limit=asked, after=walk.place)
            try:
                ids = [record.id for record in page]
                pruned = await self._parts.store.prune_history(ids, before=walk.cutoff) if ids else 0
            except InstanceBusy:
                self._counts["failed"] += 1
                return
            self._counts["history_entries"] += pruned
            self._walks_left -= len(page)
            if len(page) < asked:
                walk.done, walk.cutoff, walk.place = walk.cutoff, None, None
                return
            walk.place = Position(page[-1].id, page[-1].created_at)
        self._more = True

    async def forget(self) -> None:
        """Take out what is kept for a while only: receipts, ended runs, deliveries that were made, dead letters."""
        store, settings, now = self._parts.store, self._parts.settings, self._parts.now
        runs, delivered, dead = (
            self._now - keep for keep in (settings.keep_runs, settings.keep_delivered, settings.keep_dead)
        )
        await self._forget("receipts", lambda asked: store.prune_receipts(limit=asked, now=now))
        await self._forget("runs", lambda asked: store.runs.prune(before=runs, limit=asked))
        await self._forget("deliveries", lambda asked: store.outbox.prune(before=delivered, limit=asked))
        await self._forget("dead_letters", lambda asked: store.inbox.prune(before=dead, limit=asked))

    async def _forget(self, kind: str, prune: Callable[[int], Awaitable[int]]) -> None:
        left = self._limit
        while left > 0:
            asked = min(self._batch, left)
            pruned = await prune(asked)
            self._counts[kind] += pruned
            left -= pruned
            if pruned < asked:
                return
        self._more = True

    async def _finished(self, policy: RetentionPolicy, after: timedelta) -> AsyncIterator[Sequence[WorkflowInstance]]:
        """Pages of what has been finished for long enough. What a page could not remove is passed over."""
        # A span ends before its second instant, and what is due is due at once.
        end = self._now - after + self._now.resolution
        query = self._query(policy, finished=Span(None, end), statuses=policy.statuses)
        place: Position | None = None
        while self._removals_left > 0:
            asked = min(self._batch, self._removals_left)
            page = await self._parts.store.find(query, order=_BY_END, limit=asked, after=place)
            if page:
                place = Position(page[-1].id, page[-1].finished_at)
                self._removals_left -= len(page)
                yield page
            if len(page) < asked:
                return

    async def _not_awaited(self, page: Sequence[WorkflowInstance]) -> Sequence[WorkflowInstance]:
        """Without branches whose parent still waits for others: how they have ended is not joined yet."""
        parents = {record.parent_id for record in page if _is_branch(record) and record.parent_id is not None}
        if not parents:
            return page
        query = InstanceQuery(ids=tuple(parents), statuses=tuple(LIVE))
        waiting = {
            parent.id: parent for parent in await self._parts.store.find(query, order=_BY_AGE, limit=len(parents))
        }
        return [record for record in page if not _is_awaited(record, waiting)]

    def _query(self, policy: RetentionPolicy, **conditions: object) -> InstanceQuery:
        query = InstanceQuery(workflows=(policy.workflow,), **conditions)  # type: ignore[arg-type]  # named by us
        return query.of_tenant(policy.tenant or self._caller.tenant)

    async def _end(self, page: Sequence[WorkflowInstance], policy: RetentionPolicy) -> int:
        """Remove the instances of `page` that are still as they were found, tell of it, and answer how many went."""
        removals = await self._removals(page, policy)
        gone = await self._removed(removals)
        entries = {removal.entry.instance_id: removal.entry for removal in removals}
        for record in page:
            if record.id in gone:
                self._parts.observers.report_removal(record, entries[record.id])
        return len(gone)

    async def _removals(self, page: Sequence[WorkflowInstance], policy: RetentionPolicy) -> list[Removal]:
        """What is to go, in the order of `page`: for a document the history of each is read, of a few at once."""
        said: JsonObject = {"source": "retention", **self._caller.trigger_metadata}

        async def removal(record: WorkflowInstance) -> Removal | None:
            try:
                return await removal_of(
                    self._parts.store,
                    record,
                    now=self._now,
                    reason=policy.reason,
                    trigger_metadata=said,
                    archive=policy.action == "archive",
                )
            except StoreError:
                raise
            except Exception:
                # One that cannot be written down must not keep the others.
                logger.exception("instance %s cannot be archived and is kept", record.id)
                return None

        return [each async for each in in_order(page, removal, at_once=LOCKED_AT_ONCE) if each is not None]

    async def _removed(self, removals: Sequence[Removal]) -> Collection[UUID]:
        """The ids of those that are gone. Where a row is held, halves are tried, so that the others do not wait for it."""
        gone: set[UUID] = set()
        groups, patience = [removals], PATIENCE
        while groups and patience:
            group = groups.pop()
            try:
                gone.update(await self._parts.repeated(lambda group=group: self._parts.store.remove(group)))  # type: ignore[misc]
            except InstanceBusy:
                patience -= 1
                half = len(group) // 2
                groups += [part for part in (group[:half], group[half:]) if half and part]
        return gone


def _is_branch(record: WorkflowInstance) -> bool:
    return record.parent_link is not None and record.parent_link.event == JOINED


def _is_awaited(record: WorkflowInstance, live: Mapping[UUID, WorkflowInstance]) -> bool:
    """Whether it is a branch whose parent, one of `live`, is where it was when it began."""
    parent = live.get(record.parent_id) if _is_branch(record) and record.parent_id is not None else None
    return parent is not None and parent.entered_at <= record.created_at


def _done(policy: RetentionPolicy) -> str:
    return "archived" if policy.action == "archive" else "deleted"


def _concerns(policy: RetentionPolicy, caller: Caller) -> bool:
    return policy.tenant is None or caller.tenant in (None, policy.tenant)
