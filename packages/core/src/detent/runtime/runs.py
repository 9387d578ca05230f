"""One run, advanced: its commands one after another, each answer saved before the next begins, and then the transition.

A durable command runs outside any transaction; its answer is saved by one fenced write. A transactional one runs in a
transaction on its instance and is saved in the same commit. The transition is a commit of its own behind the last of them,
so that a hiccup of the storage there repeats no command.
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from detent.errors import (
    DefinitionInvalid,
    GotoNotAllowed,
    InstanceBusy,
    LeaseLost,
    OutcomeUnknown,
    RunStuck,
    StoreUnavailable,
    UnknownVersion,
)
from detent.json_values import JsonObject
from detent.machine.machine import Machine
from detent.retry import Retry
from detent.runtime.children import Children
from detent.runtime.draft import NextCommand, next_command
from detent.runtime.execution import Execution
from detent.runtime.held_run import HeldRun
from detent.runtime.journal import Before, Diverged, answer_in, command_entry, verdict_entry
from detent.runtime.leases import Leases
from detent.runtime.parts import Parts
from detent.runtime.repetition import delay_of, facts_of, failure_record
from detent.runtime.run_attempts import RunAttempts, require_taken
from detent.runtime.run_commits import OfCommand, RunCommits, require_fitting_end
from detent.runtime.run_report import Advanced, RunReport
from detent.runtime.run_steps import InstanceMoved, led
from detent.runtime.step import AskGuard, LastPart, Ran, Request, RunCommand, Step
from detent.store.records import Status
from detent.store.run_records import ClaimedRun, Run, RunClaim, Throttle
from detent.store.signals import RUNS

logger = logging.getLogger("detent.runs")

BATCH = 50
"""How many runs `sweep` claims at once."""

Serves: TypeAlias = Callable[[str], bool]
"""Whether the next command may be taken here without being claimed anew, by its queue."""
Due: TypeAlias = Callable[[timedelta], None]
"""Told after what time a run that was given back may be claimed again."""


class Runs:
    """Claims runs and advances them. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution, children: Children) -> None:
        self._parts = parts
        self._execution = execution
        self._attempts = RunAttempts(parts, children)
        self._foreign: set[tuple[str, str]] = set()
        self.leases = Leases(parts.store, parts.clock, parts.settings.lease)
        """What is under way here."""
        self._commits = RunCommits(parts, children, self.leases)
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
    ) -> Sequence[ClaimedRun]:
        """Up to `limit` runs that may be advanced here."""
        claim = RunClaim(
            worker=self.worker,
            lease=self._parts.settings.lease,
            limit=limit,
            queues=None if queues is None else tuple(queues),
            except_queues=tuple(except_queues),
            workflows=tuple(self._parts.machines.available),
            except_versions=tuple(sorted(self._foreign)),
            tenant=tenant,
            throttle=throttle,
        )
        return await self._parts.store.runs.claim(claim, now=self._parts.now)

    async def work_on(self, claimed: ClaimedRun, *, serves: Serves, due: Due | None = None) -> Advanced:
        """Advance one claimed run as far as that goes, and keep its lease meanwhile; `due` hears when it is to be repeated.

        Cancelled, it gives the run back for others to go on with, and raises.
        """
        held = HeldRun(self._parts, claimed)
        advanced = await self._held(held, serves)
        if due is not None and held.due_in is not None:
            due(held.due_in)
        self._parts.observers.report_run(held.run, advanced, held.took)
        return advanced

    async def _held(self, held: HeldRun, serves: Serves) -> Advanced:
        try:
            with self._parts.instrument.continued(held.run.trace):
                return await self.leases.under(held.lease, self._contained(held, serves))
        except LeaseLost:
            logger.info("run %s was taken over or cancelled", held.run.id)
            return Advanced.LOST
        except asyncio.CancelledError:
            await self._parts.unbroken(self._give_back(held))
            raise

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
        except (UnknownVersion, DefinitionInvalid):
            return await self._leave_to_others(held)
        stuck = _stuck(held.run, self._parts.settings.max_crashes)
        if stuck is not None:
            return await self._commits.park(held, stuck)
        try:
            step, request = led(self._parts, machine, held.run, held.instance)
        except (Diverged, InstanceMoved) as error:
            return await self._commits.park(held, error)
        return await self._follow(held, machine, step, request, serves)

    async def _follow(
        self, held: HeldRun, machine: Machine, step: Step[None], request: Request, serves: Serves
    ) -> Advanced:
        while not isinstance(request, LastPart):
            following = await self._one(held, machine, step, request, serves)
            if isinstance(following, Advanced):
                return following
            request = following
        return await self._finish(held, machine)

    async def _one(
        self, held: HeldRun, machine: Machine, step: Step[None], request: Request, serves: Serves
    ) -> Request | Advanced:
        """Answer one request and save the answer; what comes next, or why nothing does here."""
        if isinstance(request, AskGuard):
            return await self._guarded(held, request, lambda: self._ask(held, step, request, serves))
        if not isinstance(request, RunCommand):
            raise AssertionError(f"a run asked for {type(request).__name__}")
        if self._retry_of(request).at_most_once and held.attempts > 1:
            stuck = RunStuck(held.run.id, "what came of the only attempt of its command is not known")
            return await self._commits.park(held, stuck)
        held.only_once = self._retry_of(request).at_most_once
        if request.command.durable:
            return await self._guarded(held, request, lambda: self._attempt(held, step, request, serves))
        return await self._guarded(held, request, lambda: self._commit(held, machine, step, request, serves))

    async def _guarded(
        self, held: HeldRun, request: AskGuard | RunCommand, work: Callable[[], Awaitable[Request | Advanced]]
    ) -> Request | Advanced:
        try:
            return await work()
        except OfCommand as raised:
            return await self._failed(held, raised.error, self._retry_of(request))
        except (LeaseLost, StoreUnavailable, OutcomeUnknown):
            raise
        except InstanceBusy:
            await held.release(timedelta(seconds=1), uncount=True)
            return Advanced.RELEASED
        except (Diverged, InstanceMoved) as error:
            return await self._commits.park(held, error)
        except Exception as error:
            return await self._failed(held, error, self._retry_of(request))

    async def _ask(self, held: HeldRun, step: Step[None], request: AskGuard, serves: Serves) -> Request | Advanced:
        verdict = await self._attempts.ask(request)
        return await self._save(held, verdict_entry(request, verdict), step.send(verdict), serves)

    async def _attempt(
        self, held: HeldRun, step: Step[None], request: RunCommand, serves: Serves
    ) -> Request | Advanced:
        """A durable command: run it, and save its answer."""
        before = Before.of(request.context)
        try:
            if self._retry_of(request).attempts < held.attempts:
                raise RunStuck(held.run.id, f"attempt {held.attempts - 1} of its command, the last one, was cut off")
            ran = await self._attempts.make(held, request)
            require_taken(request, ran)
            entry = command_entry(request, ran, before)
        except Exception as error:
            if isinstance(error, LeaseLost) and error.run_id == held.run.id:
                raise
            if not self._is_last(held, error, request) or not _is_taken(request):
                raise OfCommand(error) from error
            before.restore(request.context)
            ran = _given_up(request, error)
            entry = command_entry(request, ran, before)
            return await self._save(held, entry, step.send(ran), serves)
        following = step.send(ran)
        require_fitting_end(held.run, request, ran, following)
        return await self._save(held, entry, following, serves)

    async def _commit(
        self, held: HeldRun, machine: Machine, step: Step[None], request: RunCommand, serves: Serves
    ) -> Request | Advanced:
        """A transactional command: run it and save its answer in one commit."""
        try:
            checkpoint = await held.persistently(
                lambda: self._commits.command(held, machine, lambda following: self._next(held, following, serves))
            )
        except (LeaseLost, StoreUnavailable, OutcomeUnknown, InstanceBusy, Diverged, InstanceMoved):
            raise
        except (GotoNotAllowed, RunStuck):
            # Its answer cannot be followed; no failure of the command says so.
            raise
        except Exception as raised:
            error = raised.error if isinstance(raised, OfCommand) else raised
            if not self._is_last(held, error, request) or not _is_taken(request):
                raise OfCommand(error) from error
            ran = _given_up(request, error)
            entry = command_entry(request, ran, Before.of(request.context))
            return await self._save(held, entry, step.send(ran), serves)
        if checkpoint is None:
            await held.release(uncount=True)
            return Advanced.RELEASED
        held.saved(checkpoint)
        if checkpoint.release is not None:
            return self._left()
        return step.send(answer_in(checkpoint.entry, request))

    async def _save(self, held: HeldRun, entry: JsonObject, following: Request, serves: Serves) -> Request | Advanced:
        """Save an answer, and go on here, if nothing speaks against it."""
        upcoming, stays = self._next(held, following, serves)
        status = await held.save(held.checkpoint(entry, upcoming, stays=stays))
        if not stays:
            return self._left()
        if status is not Status.ACTIVE:
            await held.release(uncount=True)
            return Advanced.RELEASED
        return following

    def _next(self, held: HeldRun, following: Request, serves: Serves) -> tuple[NextCommand, bool]:
        """What comes next, and whether it may be done here without being claimed anew."""
        if isinstance(following, RunCommand):
            upcoming = next_command(following.command)
            return upcoming, serves(upcoming["queue"])
        return NextCommand(command="", queue=held.run.queue, priority=held.run.priority), True

    def _left(self) -> Advanced:
        self._parts.store.signals.announce([RUNS])
        return Advanced.RELEASED

    async def _finish(self, held: HeldRun, machine: Machine) -> Advanced:
        try:
            return await held.persistently(lambda: self._commits.finish(held, machine))
        except OfCommand as raised:
            return await self._failed(held, raised.error, self._parts.settings.run_retry)
        except (LeaseLost, StoreUnavailable, OutcomeUnknown):
            raise
        except InstanceBusy:
            await held.release(timedelta(seconds=1), uncount=True)
            return Advanced.RELEASED
        except (Diverged, InstanceMoved) as error:
            return await self._commits.park(held, error)
        except Exception as error:
            return await self._failed(held, error, self._parts.settings.run_retry)

    async def _failed(self, held: HeldRun, error: Exception, retry: Retry) -> Advanced:
        """What becomes of a run when an attempt failed and no failure is taken: it is tried again, or parked."""
        delay = delay_of(error, attempts=held.attempts, retry=retry)
        if delay is None:
            return await self._commits.park(held, error)
        when = f"in {delay}" if delay else "at once"
        logger.info("run %s is tried again %s: %r", held.run.id, when, error)
        await held.release(delay, error=facts_of(error))
        return Advanced.RETRYING

    async def _leave_to_others(self, held: HeldRun) -> Advanced:
        version = held.run.workflow, held.run.definition_version
        logger.warning("workflow %r in version %s cannot run here, and is left to others", *version)
        self._foreign.add(version)
        await held.release(uncount=True)
        return Advanced.RELEASED

    async def _give_back(self, held: HeldRun) -> None:
        """Let others go on at once. The attempt that was broken off does not count, unless it was the only one allowed."""
        try:
            await held.release(uncount=not held.only_once)
        except LeaseLost:
            return
        except Exception:
            logger.warning("run %s could not be given back; its lease will end", held.run.id, exc_info=True)

    async def _machine(self, run: Run) -> Machine:
        async def captured() -> Machine:
            return self._parts.machines.captured(run.workflow, run.definition_version)

        return await self._execution.fetching(captured)

    def _retry_of(self, request: AskGuard | RunCommand) -> Retry:
        own = request.command.retry if isinstance(request, RunCommand) else None
        return own or self._parts.settings.run_retry

    def _is_last(self, held: HeldRun, error: Exception, request: RunCommand) -> bool:
        return delay_of(error, attempts=held.attempts, retry=self._retry_of(request)) is None


def _stuck(run: Run, max_crashes: int) -> Exception | None:
    """Why a run is not to be tried once more, if it has killed its workers."""
    if run.crashes >= max_crashes:
        return RunStuck(run.id, f"its worker died or lost it {run.crashes} times while it ran {run.command!r}")
    return None


def _is_taken(request: RunCommand) -> bool:
    """Whether a failure of this command leads anywhere."""
    return request.command.best_effort or (request.error is not None and request.compensates is None)


def _given_up(request: RunCommand, error: Exception) -> Ran:
    command = request.command
    return Ran(failure_record(command.name, error, best_effort=command.best_effort, compensates=request.compensates))
