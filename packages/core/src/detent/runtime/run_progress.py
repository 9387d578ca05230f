"""One run, led on: its commands one after another, each answer saved before the next begins, and then the transition.

A durable command runs outside any transaction; its answer is saved by one fenced write. A transactional one runs in a
transaction on its instance and is saved in the same commit. The transition is a commit of its own behind the last of them,
so that a hiccup of the storage there repeats no command; the answer of the last durable command goes with it in one commit where
nothing but decisions lies between the two.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from detent.errors import GotoNotAllowed, InstanceBusy, LeaseLost, OutcomeUnknown, RunStuck, StoreUnavailable
from detent.json_values import JsonObject
from detent.machine.machine import Machine
from detent.retry import Retry
from detent.runtime.draft import NextCommand, next_command
from detent.runtime.held_run import HeldRun, Serves
from detent.runtime.instrument import Span
from detent.runtime.journal import Before, Diverged, answer_in, command_entry, verdict_entry
from detent.runtime.parts import Parts
from detent.runtime.repetition import delay_of, facts_of, failure_record
from detent.runtime.run_attempts import RunAttempts
from detent.runtime.run_commits import OfCommand, RunCommits, require_fitting_end
from detent.runtime.run_report import Advanced
from detent.runtime.run_steps import InstanceMoved
from detent.runtime.step import AskGuard, LastPart, Ran, Request, RunCommand, Step
from detent.store.records import Status
from detent.store.signals import RUNS

logger = logging.getLogger("detent.runs")


class RunProgress:
    """Leads held runs on. One per runtime."""

    def __init__(self, parts: Parts, attempts: RunAttempts, commits: RunCommits) -> None:
        self._parts = parts
        self._attempts = attempts
        self._commits = commits

    async def follow(
        self, held: HeldRun, machine: Machine, step: Step[None], request: Request, serves: Serves
    ) -> Advanced:
        """Answer one request after another, from the first that the journal does not answer, and commit the transition."""
        while not isinstance(request, LastPart):
            following = await self._one(held, machine, step, request, serves)
            if isinstance(following, Advanced):
                return following
            request = following
        return await self._finish(held, machine, step, request)

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
            ran, entry = await self._attempts.make(
                held, request, before, lambda error: self._is_final(held, error, request)
            )
        except Exception as error:
            if isinstance(error, LeaseLost) and error.run_id == held.run.id:
                raise
            if not self._is_last(held, error, request) or not _is_taken(request):
                raise OfCommand(error) from error
            before.restore(request.context)
            ran = _given_up(request, error)
            entry = command_entry(request, ran, before, held.trace)
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
                lambda: self._commits.command(
                    held,
                    machine,
                    lambda following: self._next(held, following, serves),
                    lambda error: self._is_final(held, error, request),
                )
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
            entry = command_entry(request, ran, Before.of(request.context), held.trace)
            return await self._save(held, entry, step.send(ran), serves)
        if checkpoint is None:
            await held.release(uncount=True)
            return Advanced.RELEASED
        held.saved(checkpoint)
        if checkpoint.release is not None:
            return self._left()
        return step.send(answer_in(checkpoint.entry, request))

    async def _save(self, held: HeldRun, entry: JsonObject, following: Request, serves: Serves) -> Request | Advanced:
        """Save an answer, and go on here, if nothing speaks against it. The last one waits for the end of the run."""
        upcoming, stays = self._next(held, following, serves)
        if isinstance(following, LastPart):
            held.unsaved = held.checkpoint(entry, upcoming, stays=stays)
            return following
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

    async def _finish(self, held: HeldRun, machine: Machine, step: Step[None], last: LastPart) -> Advanced:
        try:
            return await self._end(held, machine, step, last)
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

    async def _end(self, held: HeldRun, machine: Machine, step: Step[None], last: LastPart) -> Advanced:
        """Commit the end, at once with the answer before it where that is possible, else behind it."""
        with self._commits.spanned(held) as span:
            if await self._ended_at_once(held, step, last, span):
                return Advanced.COMPLETED
            active = await held.save_left()
            if active and await held.persistently(lambda: self._commits.end_in_place(held, machine, span)):
                return Advanced.COMPLETED
        await held.release(uncount=True)
        return Advanced.RELEASED

    async def _ended_at_once(self, held: HeldRun, step: Step[None], last: LastPart, span: Span) -> bool:
        try:
            ending = self._commits.concluded(held, step, last)
            return ending is not None and await held.persistently(lambda: self._commits.end_at_once(held, ending, span))
        except (LeaseLost, StoreUnavailable, OutcomeUnknown):
            raise
        except Exception:
            # It is of what lies behind the answer, which is kept: what is mended there needs no other one.
            await held.save_left()
            raise

    async def _failed(self, held: HeldRun, error: Exception, retry: Retry) -> Advanced:
        """What becomes of a run when an attempt failed and no failure is taken: it is tried again, or parked."""
        delay = delay_of(error, attempts=held.attempts, retry=retry)
        if delay is None:
            return await self._commits.park(held, error)
        when = f"in {delay}" if delay else "at once"
        logger.info("run %s is tried again %s: %r", held.run.id, when, error)
        await held.release(delay, error=facts_of(error))
        return Advanced.RETRYING

    def _retry_of(self, request: AskGuard | RunCommand) -> Retry:
        own = request.command.retry if isinstance(request, RunCommand) else None
        return own or self._parts.settings.run_retry

    def _is_last(self, held: HeldRun, error: Exception, request: RunCommand) -> bool:
        return delay_of(error, attempts=held.attempts, retry=self._retry_of(request)) is None

    def _is_final(self, held: HeldRun, error: Exception, request: RunCommand) -> bool:
        """Whether the attempts of a command end with `error`, and nothing is done about it."""
        return self._is_last(held, error, request) and not _is_taken(request)


def _is_taken(request: RunCommand) -> bool:
    """Whether a failure of this command leads anywhere."""
    return request.command.best_effort or (request.error is not None and request.compensates is None)


def _given_up(request: RunCommand, error: Exception) -> Ran:
    command = request.command
    return Ran(failure_record(command.name, error, best_effort=command.best_effort, compensates=request.compensates))
