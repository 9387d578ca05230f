"""What a run commits on its instance: transactional commands, its end, and that it waits for an operator."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import TypeAlias, TypeVar

from detent.errors import (
    DetentError,
    InstanceBusy,
    InstanceNotFound,
    InvalidValue,
    LeaseLost,
    OutcomeUnknown,
    RunStuck,
    StepRolledBack,
    StoreUnavailable,
)
from detent.machine.machine import Machine
from detent.registry.raises import GiveUp
from detent.runtime.children import Children
from detent.runtime.draft import Draft, NextCommand
from detent.runtime.event_names import PARKED
from detent.runtime.execution import locked_record
from detent.runtime.held_run import HeldRun
from detent.runtime.history import cleaned, facts_told, noted
from detent.runtime.injection import Transition
from detent.runtime.instrument import Span
from detent.runtime.journal import Before, Diverged, command_entry, last_trace
from detent.runtime.leases import Leases
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, check_kept
from detent.runtime.reentrancy import step_of
from detent.runtime.repetition import facts_of, facts_with_traceback
from detent.runtime.run_attempts import attempt_span, require_taken
from detent.runtime.run_report import Advanced
from detent.runtime.run_steps import InstanceMoved, led
from detent.runtime.step import LastPart, Ran, Request, RunCommand, Step
from detent.runtime.undoing import failure_in, failure_told
from detent.store.change import Change, MoveRun, SaveStep
from detent.store.protocol import Unit
from detent.store.records import Outcome, Receipt, Status, WorkflowInstance
from detent.store.run_records import Checkpoint, Run, RunStatus

logger = logging.getLogger("detent.runs")

T = TypeVar("T")

Following: TypeAlias = Callable[[Request], tuple[NextCommand, bool]]
"""What comes next after a request, and whether this worker does it."""


class OfCommand(Exception):
    """What a command raised: of another instance or store, if it speaks of one, and never of its own run."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Ending:
    """The end of a run, decided, and the change that it comes to."""

    def __init__(self, held: HeldRun, draft: Draft) -> None:
        self.draft = draft
        self._held = held
        self._change: Change | None = None

    def change(self, parts: Parts, span: Span) -> Change:
        """What is to be written: the same however often it is asked for."""
        if self._change is None:
            self.draft.attempt.within(span, parts.instrument.carrier())
            span.began(workflow=self.draft.machine.workflow, from_state=self.draft.from_state)
            self._held.take_along(self.draft)
            self._change = parts.concluded(self.draft)
        return self._change


class RunCommits:
    """Commits on behalf of runs. Each holds the instance, then the run, and checks the lease before it writes; a plain end holds
    nothing, and has the store check.
    """

    def __init__(self, parts: Parts, children: Children, leases: Leases) -> None:
        self._parts = parts
        self._children = children
        self._leases = leases

    async def command(
        self, held: HeldRun, machine: Machine, following: Following, is_final: Callable[[Exception], bool]
    ) -> Checkpoint | None:
        """Run a transactional command and save its answer, in one commit; `None` when the instance is paused.

        `is_final` is as in `RunAttempts.make`.
        """

        async def commit(unit: Unit, run: Run, record: WorkflowInstance) -> Checkpoint | None:
            began = perf_counter()
            if len(run.journal) > len(held.run.journal):
                # The commit before was cut off, and nobody knew that it is there.
                return held.checkpoint_saved_in(run)
            if record.status is Status.PAUSED:
                return None
            step, request = led(self._parts, machine, run, record, unit.now)
            if not isinstance(request, RunCommand):
                raise Diverged("a command", type(request).__name__)
            before = Before.of(request.context)
            ran = await self._traced(held, request, unit, is_final)
            entry = command_entry(request, ran, before, held.trace)
            after = step.send(ran)
            require_fitting_end(run, request, ran, after)
            upcoming, stays = following(after)
            await unit.flush()
            checkpoint = held.checkpoint(entry, upcoming, stays=stays, took=timedelta(seconds=perf_counter() - began))
            await unit.write(Change(record, record.version, run.id, (), (SaveStep(checkpoint),)))
            return checkpoint

        return await self._held(held, commit)

    async def _traced(
        self, held: HeldRun, request: RunCommand, unit: Unit, is_final: Callable[[Exception], bool]
    ) -> Ran:
        with attempt_span(self._parts.instrument, held, request) as span:
            try:
                ran = await self._perform(unit, request, lambda performer: performer.command(request))
                span.answered(ok=ran.record.ok, code=ran.record.code)
                require_taken(request, ran)
            except (StoreUnavailable, OutcomeUnknown, InstanceBusy, LeaseLost):
                # Of the store, and no answer of the command.
                raise
            except Exception as raised:
                if is_final(raised.error if isinstance(raised, OfCommand) else raised):
                    span.unrecoverable()
                raise
        return ran

    def concluded(self, held: HeldRun, step: Step[None], last: LastPart) -> Ending | None:
        """The end of a run that was led to its last part; `None` where commands run in the commit of it."""
        draft = last.draft
        draft.now, draft.follows = self._parts.present, last_trace(held.journal)
        return Ending(held, draft) if _is_over(step) else None

    @contextmanager
    def spanned(self, held: HeldRun) -> Iterator[Span]:
        """The span of the transition that ends a run."""
        run = held.run
        with self._parts.instrument.transition(
            workflow=run.workflow, event=run.event, instance_id=run.instance_id, by="run"
        ) as span:
            yield span

    async def end_at_once(self, held: HeldRun, ending: Ending, span: Span) -> bool:
        """Whether the transition is committed, with everything that follows by itself, fenced by the instance's version and the
        lease. Not where the instance was written since the claim, or the lease is lost: whoever then holds both finds out which.
        """
        parts, run, seen = self._parts, held.run, held.instance

        def decide(record: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> tuple[Change | None, bool]:
            if record.version != seen.version:
                return None, held.has_begun(record)
            return ending.change(parts, span), True

        def committed(done: bool) -> None:
            if done:
                held.ended(ending.draft.instance)
                parts.reported(ending.draft)

        with self._leases.ending(held.lease):
            try:
                done = await parts.store.apply(
                    run.instance_id,
                    decide,
                    now=parts.now,
                    workflow=run.workflow,
                    known=lambda _: seen,
                    after_commit=committed,
                )
            except StepRolledBack:
                return False
        if done:
            if held.following is None and held.has_begun(ending.draft.instance):
                # It was committed before, and nobody heard of it.
                held.ended(ending.draft.instance)
            span.took(outcome=ending.draft.outcome, to_state=ending.draft.state, run_id=run.id)
        return done

    async def end_in_place(self, held: HeldRun, machine: Machine, span: Span) -> bool:
        """The same with the instance and the run held, and the lease checked: not while the instance is paused. Raises
        `LeaseLost`.
        """

        async def commit(unit: Unit, run: Run, record: WorkflowInstance) -> bool:
            if record.status is Status.PAUSED:
                return False
            step, request = led(self._parts, machine, run, record, unit.now)
            if not isinstance(request, LastPart):
                raise Diverged("the end", type(request).__name__)
            draft = request.draft
            draft.follows = last_trace(run.journal)
            draft.attempt.within(span, self._parts.instrument.carrier())
            span.began(workflow=run.workflow, from_state=record.state)
            await self._perform(unit, request, lambda performer: performer.run(step))
            await unit.flush()
            await unit.write(self._parts.concluded(draft))
            span.took(outcome=draft.outcome, to_state=draft.state, run_id=run.id)
            unit.after_commit(lambda: self._parts.reported(draft))
            return True

        return await self._held(held, commit)

    async def park(self, held: HeldRun, error: Exception) -> Advanced:
        """Let the run wait for an operator, with the reason in history. One whose instance does not know it ends here."""

        async def commit(unit: Unit, run: Run, record: WorkflowInstance) -> None:
            change = _parked(run, record, unit, error, record_changes=self._parts.settings.record_changes)
            await unit.write(change)
            unit.after_commit(lambda: self._parts.committed(change, held.took))

        logger.warning("run %s is parked: %s", held.run.id, _reason(held.run, error))
        try:
            await held.persistently(lambda: self._held(held, commit))
        except InstanceNotFound:
            # It was deleted, and its run with it.
            raise LeaseLost(held.run.id) from None
        return Advanced.PARKED

    async def _held(self, held: HeldRun, commit: Callable[[Unit, Run, WorkflowInstance], Awaitable[T]]) -> T:
        async def once() -> T:
            async with self._parts.store.transaction(held.run.instance_id, now=self._parts.now) as unit:
                with self._leases.locked(held.lease):
                    run = await held.locked(unit)
                    return await commit(unit, run, locked_record(unit))

        return await self._parts.repeated(once)

    async def _perform(
        self, unit: Unit, request: RunCommand | LastPart, work: Callable[[Performer], Awaitable[T]]
    ) -> T:
        draft: Draft = request.draft
        transition, instrument = (
            Transition(draft.instance.id, draft.machine.workflow, unit.connection),
            self._parts.instrument,
        )
        try:
            with step_of(self._parts, draft.instance.id):
                async with self._parts.injector.open(transition) as scope:
                    performer = Performer(self._parts.calls, draft.attempt, unit, scope, self._children, instrument)
                    return await work(performer)
        except (StoreUnavailable, OutcomeUnknown, InstanceBusy, LeaseLost) as error:
            if error is draft.attempt.raised:
                raise OfCommand(error) from error
            raise


def _is_over(step: Step[None]) -> bool:
    """Go on with a step behind its last part; whether that asked for nothing, so that its draft is decided."""
    try:
        step.send(None)
    except StopIteration:
        return True
    step.close()
    return False


def require_fitting_end(run: Run, request: RunCommand, ran: Ran, following: Request) -> None:
    """Raise `RunStuck` where the last command has succeeded and its context does not fit the model.

    It is not saved then: a saved answer could be mended by nobody, while the command can, and is run again on retry.
    """
    if not ran.record.ok or not isinstance(following, LastPart):
        return
    try:
        check_kept(request)
    except InvalidValue as error:
        raise RunStuck(run.id, f"after {request.command.name!r}, its {error.message}") from error


def _reason(run: Run, error: Exception) -> str:
    """Why a run is parked, and where it was undoing what it had done, why it did so."""
    speaks = isinstance(error, DetentError | GiveUp | Diverged | InstanceMoved)
    facts = facts_of(error)
    reason = cleaned(str(facts["message"]) if speaks else facts_told(facts))
    failed = failure_in(run.journal)
    if failed is None:
        return reason
    doing = "undoing what was done" if run.command else "about to take that failure"
    return f"{reason}; it was {doing}, because {failure_told(failed)}"


def _parked(run: Run, record: WorkflowInstance, unit: Unit, error: Exception, *, record_changes: bool) -> Change:
    # The traceback is for who looks at the run: history goes to more people.
    reason, facts = _reason(run, error), facts_with_traceback(error)
    if record.run_id != run.id:
        ended = MoveRun(run.id, RunStatus.CANCELLED, unit.now, reason, facts)
        return Change(record, record.version, run.id, (), (ended,))
    change = noted(
        record,
        replace(record, parked_at=unit.now),
        event=PARKED,
        now=unit.now,
        transition_id=run.id,
        trigger_metadata=run.trigger_metadata,
        record_changes=record_changes,
        outcome=Outcome.FAILED,
        reason=reason,
        error=facts_of(error),
        payload={"run": str(run.id), "event": run.event, "command": run.command},
        definition_version=run.definition_version,
    )
    return replace(change, effects=(MoveRun(run.id, RunStatus.PARKED, unit.now, reason, facts),))
