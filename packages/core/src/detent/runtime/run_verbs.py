"""The verbs on runs: enqueue an event, let runs be worked on, and what operators ask and do about them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Unpack
from uuid import UUID

from detent.errors import InvalidValue, RunNotActive, RunNotFound
from detent.json_values import JsonObject, JsonValue
from detent.problems import did_you_mean
from detent.runtime.arguments import check_instant, check_limit, id_of
from detent.runtime.at_once import at_once_for, in_order
from detent.runtime.attempt import new_attempt
from detent.runtime.bulk_verbs import BulkFailure, BulkReport, bulk_failure
from detent.runtime.finding_verbs import Names, names_of
from detent.runtime.handle import Manner
from detent.runtime.intent import TakeEvent
from detent.runtime.operations import CancelRun, Operation, RetryRun
from detent.runtime.operator_verbs import OperatorVerbs
from detent.runtime.receipts import Idempotency
from detent.runtime.result import TransitionResult
from detent.runtime.run_report import RunReport
from detent.store.records import WorkflowInstance
from detent.store.run_records import Run, RunQuery, RunStatus


class RunVerbs(OperatorVerbs):
    """Durable transitions."""

    @property
    def runs(self) -> "OperatorsRuns":
        """What operators ask and do about runs: `runtime.runs.list(status="parked")`."""
        return OperatorsRuns(self)

    async def enqueue_event(
        self,
        instance_id: UUID | str | WorkflowInstance,
        name: str,
        *,
        subject: JsonValue = None,
        payload: JsonValue = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        expected_version: int | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> TransitionResult:
        """Let a worker take the event `name`, whether its commands are durable or not.

        Guards are asked now: a refusal is answered as from `trigger_event`. Otherwise the outcome is `accepted`, and the run is
        `run_id`. Transactional commands then run one by one, each in a commit of its own. `subject` is stored with the
        run, so it has to be JSON. All else is as for `trigger_event`, what it raises too.
        """
        identity = id_of(instance_id)
        attempt = new_attempt(
            identity,
            name,
            self._caller.saying(trigger_metadata, connection=connection),
            subject=subject,
            payload=payload,
            expected_version=expected_version,
            idempotency=Idempotency.of_event(identity, idempotency_key, idempotency_fingerprint),
            enqueued=True,
        )
        return await self.running().execution.take(TakeEvent(attempt))

    async def process_runs(self, *, limit: int = 100, queues: Sequence[str] | None = None) -> RunReport:
        """Advance up to `limit` runs whose turn it is, and say what became of them; a `Worker` does so all the time.

        Each goes on until it ends or has to wait. Any number of processes may do so at once.
        """
        check_limit(limit, most=1_000_000)
        return await self.running().runs.sweep(limit, queues, self.tenant)

    @property
    def runs_at_once(self) -> int:
        """How many runs this caller may move at once."""
        return at_once_for(self._caller)

    async def move_run(self, run: Run, operation: Operation, **manner: Unpack[Manner]) -> WorkflowInstance:
        """What operators do to a run, done to its instance."""
        return await self._operate(run.instance_id, operation, **manner)


class OperatorsRuns:
    """Runs as operators see them, within the caller's tenant."""

    def __init__(self, verbs: RunVerbs) -> None:
        self._verbs = verbs

    async def get(self, run_id: UUID | str) -> Run:
        """One run, with its journal. Raises `RunNotFound`."""
        identity = id_of(run_id, "run_id")
        found = await self._verbs.running().parts.store.runs.load(identity)
        if found is None or self._verbs.tenant not in (None, found.tenant):
            raise RunNotFound(identity)
        return found

    async def list(
        self,
        *,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        workflow: Names | None = None,
        state: Names | None = None,
        queue: str | None = None,
        limit: int = 50,
        after: UUID | str | None = None,
    ) -> Sequence[Run]:
        """Up to `limit` (1 to 1000) runs, the newest first; `after` is the id of the last one on the page before.

        `state` is the one in which a run began. Raises `InvalidValue`.
        """
        return await self._find(
            RunQuery(
                statuses=_statuses(status),
                workflows=names_of(workflow, "workflow"),
                states=names_of(state, "state"),
                queues=None if queue is None else (queue,),
            ),
            limit,
            after,
        )

    async def stalled(self, before: datetime | None = None, *, limit: int = 50) -> Sequence[Run]:
        """Runs whose worker gave no sign of life: their lease ended before an instant, now by default. Others take them over."""
        parts = self._verbs.running().parts
        instant = check_instant(before, "before") or parts.present
        return await self._find(RunQuery(expired_before=instant), limit, None)

    async def for_instance(self, instance_id: UUID | str | WorkflowInstance, *, limit: int = 50) -> Sequence[Run]:
        """The runs of one instance, the newest first."""
        return await self._find(RunQuery(instance_id=id_of(instance_id)), limit, None)

    async def delete_old(self, before: datetime, *, limit: int = 10_000) -> int:
        """Delete up to `limit` runs that ended before an instant; answers how many. History is not touched."""
        check_limit(limit, most=1_000_000)
        store = self._verbs.running().parts.store
        instant = check_instant(before, "before")
        return 0 if instant is None else await store.runs.prune(before=instant, limit=limit, tenant=self._verbs.tenant)

    async def retry(
        self, run_id: UUID | str, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """Let a parked run go on with the command it stopped at, its attempts forgotten; the instance.

        Raises `RunNotFound`, `RunNotActive`, `NothingToRetry` when it is not parked.
        """
        run = await self._active(run_id)
        return await self._verbs.move_run(run, RetryRun(run.id, reason), **manner)

    async def retry_parked(
        self,
        *,
        workflow: Names | None = None,
        state: Names | None = None,
        limit: int = 1000,
        reason: str | None = None,
        trigger_metadata: JsonObject | None = None,
    ) -> BulkReport:
        """The same for up to `limit` (1 to 1000) parked runs, the newest first, of these workflows and states.

        Each is a step of its own: one that cannot be retried is reported, by its instance, and stops nothing. What was
        retried is not parked any more, so that the next call goes on, and there is no cursor. Raises `InvalidValue`.
        """
        parked = await self.list(status=RunStatus.PARKED, workflow=workflow, state=state, limit=limit)

        async def done(run: Run) -> UUID | BulkFailure:
            try:
                await self._verbs.move_run(run, RetryRun(run.id, reason), trigger_metadata=trigger_metadata)
            except Exception as error:
                return bulk_failure(run.instance_id, error)
            return run.instance_id

        answers = [answer async for answer in in_order(parked, done, at_once=self._verbs.runs_at_once)]
        changed = tuple(answer for answer in answers if isinstance(answer, UUID))
        failed = tuple(answer for answer in answers if isinstance(answer, BulkFailure))
        return BulkReport(changed, (), failed, None)

    async def cancel(
        self, run_id: UUID | str, *, reason: str | None = None, **manner: Unpack[Manner]
    ) -> WorkflowInstance:
        """Give a run up; the instance stays in its state, free for other events. What commands did is not undone.

        A command under way is cancelled. The timeout that started the run, if one did, is parked. Raises `RunNotFound` and
        `RunNotActive`.
        """
        run = await self._active(run_id)
        timer = run.event if run.by_timer else None
        return await self._verbs.move_run(run, CancelRun(run.id, reason, timer), **manner)

    async def _active(self, run_id: UUID | str) -> Run:
        run = await self.get(run_id)
        if not run.is_active:
            raise RunNotActive(run.id, run.status.value)
        return run

    async def _find(self, query: RunQuery, limit: int, after: UUID | str | None) -> Sequence[Run]:
        check_limit(limit)
        runs = self._verbs.running().parts.store.runs
        start = None if after is None else id_of(after, "after")
        return await runs.find(replace(query, tenant=self._verbs.tenant), limit=limit, after=start)


def _statuses(status: RunStatus | str | Sequence[RunStatus | str] | None) -> tuple[RunStatus, ...] | None:
    if status is None:
        return None
    return tuple(map(_status, [status] if isinstance(status, str) else status))


def _status(name: RunStatus | str) -> RunStatus:
    try:
        return RunStatus(name)
    except ValueError:
        raise InvalidValue(
            "status", f"is {name!r}", hint=did_you_mean(name, [known.value for known in RunStatus])
        ) from None
