"""A worker that is asked: it works on one waiting instance per call, and answers what became of it."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from detent.runtime.arguments import check_timeout
from detent.runtime.bulk_verbs import BulkReport
from detent.runtime.run_report import Advanced
from detent.runtime.runs import Runs
from detent.runtime.runtime import WorkflowRuntime
from detent.store.records import FINISHED, WorkflowInstance
from detent.store.run_records import ClaimedRun, FetchStrategy, Release, Run
from detent.store.signals import INBOX, RUNS, TIMERS
from detent.workers.executed import Executed, WorkOutcome
from detent.workers.patience import Patience
from detent.workers.wanted import Wanted, WorkflowType, strategy_of

logger = logging.getLogger("detent.workers")

_NONE = Executed(WorkOutcome.NONE)


class WorkflowWorker:
    """Works on waiting instances one by one, each call of `execute_waiting` on one, for as long as somebody calls.

    Enter the runtime first. Any number may be asked at once, in any number of processes and beside any `Worker`: each run is
    held by one of them. It serves all queues, without the limits that a `Worker` may have for some.

    A call that finds nothing to work on fires timeouts that are due, and lets instances take the messages that were sent to
    them, such as the news of their branches: `timeouts` and `inbox` say whether it does. The outbox and retention are left to a
    `Worker`. The verbs are those of gamgee's worker.
    """

    def __init__(self, runtime: WorkflowRuntime, *, timeouts: bool = True, inbox: bool = True) -> None:
        self._runtime = runtime
        self._timeouts = timeouts
        self._inbox = inbox

    async def execute_waiting(
        self,
        *,
        type: WorkflowType | None = None,  # noqa: A002 (the word of gamgee, and of who calls)
        step: str | None = None,
        strategy: FetchStrategy | str = FetchStrategy.OLDEST,
        timeout: float | timedelta | str = "0s",
    ) -> Executed:
        """Claim one waiting run that fits, work on it, and answer what became of its instance.

        The instance goes on from step to step until it has ended, or cannot go on now; with a `step` given, only that step of
        it is done. See `WorkOutcome` for the answers.

        * `type`: of which workflow, by its name, its definition, or a class with a `definition`; `None` for any that this runtime
          has registered. Others are never touched.
        * `step`: in which state the run began.
        * `strategy`: which one of those with the highest priority, `oldest`, `newest` or `random`.
        * `timeout`: how long to wait for one that fits, by the real clock: `"5s"`, a `timedelta`, or seconds. By default it looks
          once.

        Cancelled, it gives the run back for others to go on with, and raises. Raises `UnknownWorkflow`, `WorkflowUnavailable`,
        `InvalidValue`, and `StoreUnavailable` or `OutcomeUnknown` where the store could not be reached: then the run is left to
        whoever claims it when its lease has ended.
        """
        wanted = Wanted.of(self._runtime.running().parts.machines, type, step)
        order, time = strategy_of(strategy), asyncio.get_running_loop().time
        until = time() + check_timeout(timeout).total_seconds()
        while (claimed := await self._found(wanted, order, until - time())) is not None:
            executed = await self._executed(claimed, only=step is not None)
            if executed is not None:
                return executed
        return _NONE

    async def recover(
        self,
        *,
        type: WorkflowType | None = None,  # noqa: A002 (the word of gamgee, and of who calls)
        step: str | None = None,
        limit: int = 1000,
        reason: str | None = None,
    ) -> BulkReport:
        """Put up to `limit` (1 to 1000) unrecoverable runs back, the newest first, with no attempt counted.

        Only those of `type` and `step`, as for `execute_waiting`. `changed` are the ids of their instances, which go on with the
        command that they stopped at; `failed` are those that could not be put back, and why. History keeps `reason`. Raises
        `UnknownWorkflow`, `WorkflowUnavailable` and `InvalidValue`.
        """
        wanted = Wanted.of(self._runtime.running().parts.machines, type, step)
        return await self._runtime.runs.retry_parked(
            workflow=wanted.workflows, state=wanted.states, limit=limit, reason=reason
        )

    @property
    def _runs(self) -> Runs:
        return self._runtime.running().runs

    async def _found(self, wanted: Wanted, strategy: FetchStrategy, seconds: float) -> ClaimedRun | None:
        """The first run that fits, waited for as long as that."""
        store = self._runtime.store
        words = frozenset({RUNS, *([TIMERS] if self._timeouts else []), *([INBOX] if self._inbox else [])})
        claimed: ClaimedRun | None = None
        try:
            async with Patience(lambda: store.signals, words, seconds) as patience:
                while (claimed := await self._first(wanted, strategy)) is None and await patience.lasts():
                    pass
        except asyncio.CancelledError:
            await self._unheard([] if claimed is None else [claimed])
            raise
        return claimed

    async def _first(self, wanted: Wanted, strategy: FetchStrategy) -> ClaimedRun | None:
        """The first run that fits now, also of those that begin because of deadlines and messages, one after another."""
        while (claimed := await self._claim(wanted, strategy)) is None and await self._tend():
            pass
        return claimed

    async def _tend(self) -> bool:
        fired = self._timeouts and bool((await self._runtime.process_timeouts()).processed)
        return (self._inbox and bool((await self._runtime.process_inbox()).applied)) or fired

    async def _claim(
        self,
        wanted: Wanted,
        strategy: FetchStrategy = FetchStrategy.OLDEST,
        instances: Sequence[UUID] | None = None,
    ) -> ClaimedRun | None:
        """One run that fits. What was claimed for a caller who went away meanwhile is given back."""
        claiming = asyncio.create_task(
            self._runs.claim(
                1,
                tenant=self._runtime.tenant,
                workflows=wanted.workflows,
                states=wanted.states,
                strategy=strategy,
                instances=instances,
            )
        )
        try:
            claimed = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._unheard(claiming)
            raise
        return claimed[0] if claimed else None

    async def _unheard(self, claimed: "Sequence[ClaimedRun] | asyncio.Task[Sequence[ClaimedRun]]") -> None:
        """Give back what was claimed for a caller who goes away, or is just being claimed."""
        parts = self._runtime.running().parts

        async def give_back() -> None:
            try:
                held = await claimed if isinstance(claimed, asyncio.Task) else claimed
                releases = [Release(one.lease, uncount=True) for one in held]
                if releases:
                    await parts.store.runs.release(releases, now=parts.now)
            except Exception:
                logger.warning("what was claimed for a caller who went away was not given back", exc_info=True)

        await parts.unbroken(give_back())

    async def _executed(self, claimed: ClaimedRun, *, only: bool) -> Executed | None:
        """Work on a run, and unless it is the `only` one on those that follow; `None` where its version cannot run here."""
        first = claimed.run.id
        while True:
            run, advanced = await self._runs.work_through(claimed, serves=_any_queue, begins=lambda _: not only)
            if run.id == first and advanced is Advanced.RELEASED and not self._runs.can_run(run):
                return None
            instance = await self._runtime.store.load(run.instance_id)
            goes_on = (
                instance is not None and advanced is Advanced.COMPLETED and instance.run_id is not None and not only
            )
            following = (
                await self._claim(Wanted((run.workflow,), None), instances=[run.instance_id]) if goes_on else None
            )
            if following is None:
                return await self._told(run, advanced, instance)
            claimed = following

    async def _told(self, run: Run, advanced: Advanced, instance: WorkflowInstance | None) -> Executed:
        if instance is None:
            # Somebody has deleted it meanwhile.
            return _NONE
        parked = await self._runtime.store.runs.load(run.id) if advanced is Advanced.PARKED else None
        return Executed(
            _outcome(advanced, instance),
            instance_id=instance.id,
            workflow=instance.workflow,
            state=instance.state,
            status=instance.status,
            run_id=run.id,
            error=None if parked is None else parked.error,
        )


def _outcome(advanced: Advanced, instance: WorkflowInstance) -> WorkOutcome:
    if instance.status in FINISHED:
        return WorkOutcome.COMPLETED
    return WorkOutcome.UNRECOVERABLE if advanced is Advanced.PARKED else WorkOutcome.STOPPED


def _any_queue(_queue: str) -> bool:
    return True
