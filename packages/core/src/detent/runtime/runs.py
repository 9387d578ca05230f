"""Runs at work: claimed, held under their leases, led on as far as they go, and given back."""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from detent.errors import DefinitionInvalid, LeaseLost, OutcomeUnknown, RunStuck, StoreUnavailable, UnknownVersion
from detent.machine.machine import Machine
from detent.runtime.children import Children
from detent.runtime.execution import Execution
from detent.runtime.held_run import HeldRun, Serves
from detent.runtime.journal import Diverged
from detent.runtime.leases import Leases
from detent.runtime.live_versions import why_not
from detent.runtime.parts import Parts
from detent.runtime.run_attempts import RunAttempts
from detent.runtime.run_commits import RunCommits
from detent.runtime.run_progress import RunProgress
from detent.runtime.run_report import Advanced, RunReport
from detent.runtime.run_steps import InstanceMoved, led
from detent.store.run_records import ClaimedRun, FetchStrategy, Run, RunClaim, Throttle

logger = logging.getLogger("detent.runs")

BATCH = 50
"""How many runs `sweep` claims at once."""
IN_A_ROW = 50
"""How many runs of one instance are worked on before others have their turn; a lease's length of time is enough too."""

Due: TypeAlias = Callable[[timedelta], None]
"""Told after what time a run that was given back may be claimed again."""
Begun: TypeAlias = Callable[[Run], None]
"""Told of a run that is worked on from now on."""


class Runs:
    """Claims runs and advances them. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution, children: Children) -> None:
        self._parts = parts
        self._execution = execution
        self._foreign: set[tuple[str, str]] = set()
        self.leases = Leases(parts.store, parts.clock, parts.settings.lease)
        """What is under way here."""
        self._commits = RunCommits(parts, children, self.leases)
        self._progress = RunProgress(parts, RunAttempts(parts, children), self._commits)
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        """What this process is called in the runs it holds."""

    async def claim(
        self,
        limit: int,
        *,
        queues: Sequence[str] | None = None,
        except_queues: Sequence[str] = (),
        throttle: Throttle | None = None,
        tenant: str | None = None,
        instances: Sequence[UUID] | None = None,
        workflows: Sequence[str] | None = None,
        states: Sequence[str] | None = None,
        strategy: FetchStrategy = FetchStrategy.OLDEST,
        now: datetime | None = None,
    ) -> Sequence[ClaimedRun]:
        """Up to `limit` runs that may be advanced here, and no others whoever asks; at `now`, where that is not the present."""
        available = self._parts.machines.available
        claim = RunClaim(
            worker=self.worker,
            lease=self._parts.settings.lease,
            limit=limit,
            queues=None if queues is None else tuple(queues),
            except_queues=tuple(except_queues),
            workflows=tuple(name for name in available if workflows is None or name in workflows),
            states=None if states is None else tuple(states),
            except_versions=tuple(sorted(self._foreign)),
            instances=None if instances is None else tuple(instances),
            tenant=tenant,
            throttle=throttle,
            strategy=strategy,
        )
        return await self._parts.store.runs.claim(claim, now=now or self._parts.now)

    async def work_on(self, claimed: ClaimedRun, *, serves: Serves) -> Advanced:
        """Advance one claimed run as far as that goes, and keep its lease meanwhile.

        Cancelled, it gives the run back for others to go on with, and raises.
        """
        return await self._reported(HeldRun(self._parts, claimed), serves)

    async def work_through(
        self,
        claimed: ClaimedRun,
        *,
        serves: Serves,
        begins: Serves,
        begun: Begun = lambda _: None,
        due: Due = lambda _: None,
    ) -> tuple[Run, Advanced]:
        """The same, and go on with the run that its end begins, where `begins` allows it, without giving the lease away; now and
        then others have their turn. Answers which run was the last, and what became of it.

        `begun` hears which run is worked on, `due` when one is to be repeated.
        """
        following, time, left = claimed, asyncio.get_running_loop().time, IN_A_ROW
        until = time() + self._parts.settings.lease.total_seconds()
        while True:
            left -= 1
            may_begin: Serves | None = (lambda queue: time() < until and begins(queue)) if left > 0 else None
            held = HeldRun(self._parts, following, may_begin)
            begun(held.run)
            advanced = await self._reported(held, serves)
            if held.due_in is not None:
                due(held.due_in)
            if held.following is None:
                return held.run, advanced
            if not held.is_fresh:
                # Its lease began when its end was decided, and committing that took long.
                await self._give_back(held)
                return held.run, advanced
            following = held.following

    def can_run(self, run: Run) -> bool:
        """Whether nothing is known that keeps the version of `run` from running here."""
        return (run.workflow, run.definition_version) not in self._foreign

    async def _reported(self, held: HeldRun, serves: Serves) -> Advanced:
        advanced = await self._held(held, serves)
        self._parts.observers.report_run(held.run, advanced, held.took)
        return advanced

    async def _held(self, held: HeldRun, serves: Serves) -> Advanced:
        try:
            with self._parts.instrument.continued(held.run.trace):
                return await self.leases.under(held.lease, self._contained(held, serves))
        except LeaseLost:
            logger.info("run %s was taken over or cancelled", held.run.id)
            if held.upcoming is not None:
                # Its end may be committed, and nobody heard of it: then what that began is held, and nobody works on it.
                await self._give_back(held)
            return Advanced.LOST
        except asyncio.CancelledError:
            await self._parts.unbroken(self._give_back(held))
            raise

    async def once(self, instance_id: UUID, *, tenant: str | None, now: datetime | None = None) -> Advanced | None:
        """What came of advancing the run of one instance until it ends or waits; `None` where none is due, now or at `now`."""
        claimed = await self.claim(1, tenant=tenant, instances=[instance_id], now=now)
        return await self.work_on(claimed[0], serves=lambda _: True) if claimed else None

    async def sweep(self, limit: int, queues: Sequence[str] | None, tenant: str | None) -> RunReport:
        """Advance up to `limit` runs, each until it ends or has to wait, and those they lead to."""
        counts: Counter[str] = Counter()
        left = limit
        while left > 0:
            claimed = await self.claim(min(left, BATCH), queues=queues, tenant=tenant)
            if not claimed:
                break
            left -= len(claimed)
            works = (self.work_on(one, serves=lambda queue: queues is None or queue in queues) for one in claimed)
            # All of them end here: what one raises is raised when nothing of the others goes on unattended.
            ended = await asyncio.gather(*works, return_exceptions=True)
            for advanced in ended:
                if isinstance(advanced, BaseException):
                    raise advanced
                counts[advanced.value] += 1
        return RunReport(**counts)

    async def _contained(self, held: HeldRun, serves: Serves) -> Advanced:
        """Advance it, and park it when that fails as nobody foresaw: given up silently, it would come back for ever."""
        try:
            return await self._advance(held, serves)
        except (LeaseLost, StoreUnavailable, OutcomeUnknown):
            raise
        except Exception as error:
            logger.exception("run %s could not be worked on", held.run.id)
            return await self._parked_for(held, error)

    async def _parked_for(self, held: HeldRun, error: Exception) -> Advanced:
        try:
            return await self._commits.park(held, error)
        except (LeaseLost, StoreUnavailable, OutcomeUnknown):
            raise
        except Exception:
            logger.exception("run %s could not be parked with what it raised", held.run.id)
            stuck = RunStuck(held.run.id, f"it raised {type(error).__name__}, which could not be written down")
            return await self._commits.park(held, stuck)

    async def _advance(self, held: HeldRun, serves: Serves) -> Advanced:
        try:
            machine = await self._machine(held.run)
        except (UnknownVersion, DefinitionInvalid) as error:
            return await self._cannot_run(held, error)
        stuck = _stuck(held.run, self._parts.settings.max_crashes)
        if stuck is not None:
            return await self._commits.park(held, stuck)
        try:
            step, request = led(self._parts, machine, held.run, held.instance)
        except (Diverged, InstanceMoved) as error:
            return await self._commits.park(held, error)
        return await self._progress.follow(held, machine, step, request, serves)

    async def _cannot_run(self, held: HeldRun, error: Exception) -> Advanced:
        version = held.run.workflow, held.run.definition_version
        if self._parts.settings.unresolvable == "park":
            stuck = RunStuck(
                held.run.id, f"workflow {version[0]!r} in version {version[1]} cannot run: {why_not(error)}"
            )
            return await self._commits.park(held, stuck)
        logger.warning("workflow %r in version %s cannot run here, and is left to others", *version)
        self._foreign.add(version)
        await held.release(uncount=True)
        return Advanced.RELEASED

    async def _give_back(self, held: HeldRun) -> None:
        """Let others go on at once. The attempt that was broken off does not count, unless it was the only one allowed."""
        try:
            await held.give_back()
        except Exception:
            logger.warning("run %s could not be given back; its lease will end", held.run.id, exc_info=True)

    async def _machine(self, run: Run) -> Machine:
        async def captured() -> Machine:
            return self._parts.machines.captured(run.workflow, run.definition_version)

        return await self._execution.fetching(captured)


def _stuck(run: Run, max_crashes: int) -> Exception | None:
    """Why a run is not to be tried once more, if it has killed its workers."""
    if run.crashes >= max_crashes:
        return RunStuck(run.id, f"its worker died or lost it {run.crashes} times while it ran {run.command!r}")
    return None
