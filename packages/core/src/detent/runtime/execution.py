"""One event through one instance: load, choose, perform, conclude, commit, report.

Two paths lead through it. The *fast path* hands the store a pure decision; the *locked path* holds the row while guards
are awaited and commands run. Which one an event takes is compiled into its machine. A lent connection always takes the
locked path, inside the caller's transaction.
"""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias, TypeVar

from detent.errors import InstanceBusy, InstanceNotFound, OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.machine.machine import Machine
from detent.runtime.attempt import Attempt
from detent.runtime.children import Children
from detent.runtime.draft import Draft
from detent.runtime.failure import failure_change
from detent.runtime.injection import Transition
from detent.runtime.instrument import SILENCE
from detent.runtime.intent import Intent
from detent.runtime.lending import lent_step
from detent.runtime.machines import VersionNotLoaded
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, run_in_place
from detent.runtime.reentrancy import refuse_reentry, step_of
from detent.runtime.result import TransitionResult, answer_of, replayed, result_of
from detent.store.change import Change, PutReceipt, TakeMessage
from detent.store.protocol import Known, Unit
from detent.store.records import Outcome, Receipt, ReceiptKey, WorkflowInstance

logger = logging.getLogger("detent.runtime")

T = TypeVar("T")

Taken: TypeAlias = Draft | TransitionResult
"""A step that was taken, or the result that its idempotency key was answered before."""


class Execution:
    """Takes events. One per runtime."""

    def __init__(self, parts: Parts, children: Children) -> None:
        self._parts = parts
        self._children = children

    async def take(self, intent: Intent, *, workflow: str | None = None) -> TransitionResult:
        """Take one step, in a transaction of its own or in the caller's. `workflow`, where known, saves a read."""
        attempt, parts = intent.attempt, self._parts
        refuse_reentry(parts, attempt.instance_id)
        workflow = workflow or parts.last_seen.workflow_of(attempt.instance_id)
        if attempt.caller.connection is not None:
            return await self._traced(intent, workflow, lambda: self._joined(intent, workflow))
        if intent.may_need_lock(parts.machines, workflow):
            return await parts.unbroken(self._traced(intent, workflow, lambda: self._own(intent, workflow)))
        # The store sees to it that a fast step is not torn, so that it needs no task of its own.
        with parts.underway:
            await parts.observers.have_their_turn()
            return await self._traced(intent, workflow, lambda: self._at_once(intent, workflow))

    async def _traced(
        self, intent: Intent, workflow: str | None, take: Callable[[], Awaitable[TransitionResult]]
    ) -> TransitionResult:
        attempt, instrument = intent.attempt, self._parts.instrument
        with instrument.transition(
            workflow=workflow, event=attempt.event, instance_id=attempt.instance_id, by="caller"
        ) as span:
            attempt.within(span, instrument.carrier())
            try:
                result = await self.fetching(take)
            except CancelledError:
                # The step may go on without its caller, whose span ends here.
                attempt.within(SILENCE, attempt.trace)
                raise
            span.took(outcome=result.outcome, to_state=result.to_state, run_id=result.run_id, replayed=result.replayed)
        return result

    async def fetching(self, take: Callable[[], Awaitable[T]]) -> T:
        """Take the step; where an instance follows a version not compiled here, fetch that first."""
        while True:
            try:
                return await take()
            except VersionNotLoaded as missing:
                await self._parts.machines.fetch(self._parts.store, missing.workflow, missing.version)

    async def machine_of(self, record: WorkflowInstance) -> Machine:
        """The machine that governs `record`, fetched first where it is not compiled here; for looking, not for a step.

        Raises `IncompatibleState`, `UnknownVersion`, or `DefinitionInvalid` when that version cannot run here.
        """

        async def governing() -> Machine:
            return self._parts.machines.governing(record)

        return await self.fetching(governing)

    async def _own(self, intent: Intent, workflow: str | None) -> TransitionResult:
        """Hold the row, unless nobody knows the workflow and the store finds that it needs not be held."""
        taken = None
        if workflow is None:
            taken = await self._fast(intent, None)
        if taken is None:
            taken = await self._locked(intent)
        return _result(taken)

    async def _at_once(self, intent: Intent, workflow: str | None) -> TransitionResult:
        """Let the store decide. A version that was not compiled here when it was asked may need the lock after all."""
        taken = await self._fast(intent, workflow)
        if taken is None:
            taken = await self._parts.unbroken(self._locked(intent))
        return _result(taken)

    async def _fast(self, intent: Intent, workflow: str | None) -> Taken | None:
        """Decide inside the store; `None` when the step turns out to need the lock."""
        attempt, last_seen = intent.attempt, self._parts.last_seen
        try:
            return await self._apply(intent, workflow, known=last_seen.of)
        except Exception as error:
            last_seen.forget(attempt.instance_id)
            await self._note_failure(attempt, error)
            raise

    async def _apply(
        self, intent: Intent, workflow: str | None, *, known: Known, outside: object | None = None
    ) -> Taken | None:
        attempt, parts = intent.attempt, self._parts
        key = _key(attempt)

        def committed(taken: Taken | None) -> None:
            if isinstance(taken, Draft):
                parts.reported(taken)

        return await parts.store.apply(
            attempt.instance_id,
            self._decide(intent),
            key=key,
            now=parts.now,
            workflow=workflow,
            # A receipt is read with the record, so that a key saves nothing.
            known=known if key is None else None,
            after_commit=committed,
            outside=outside,
        )

    def _decide(
        self, intent: Intent
    ) -> Callable[[WorkflowInstance, Receipt | None, datetime], tuple[Change | None, Taken | None]]:
        def decide(
            record: WorkflowInstance, receipt: Receipt | None, now: datetime
        ) -> tuple[Change | None, Taken | None]:
            answered = _answered(intent.attempt, record, receipt)
            if answered is not None:
                return None, answered
            draft = self.draft_of(record, intent, now)
            if intent.needs_lock(draft.machine, record):
                return None, None
            self.run_in_place(draft, intent)
            return self._concluded(draft), draft

        return decide

    async def _locked(self, intent: Intent) -> Taken:
        try:
            return await self._parts.repeated(lambda: self._lock_and_perform(intent))
        except Exception as error:
            await self._note_failure(intent.attempt, error)
            raise

    async def _lock_and_perform(self, intent: Intent) -> Taken:
        store, attempt = self._parts.store, intent.attempt
        async with store.transaction(attempt.instance_id, key=_key(attempt), now=self._parts.now) as unit:
            return await self.perform(intent, unit)

    async def _joined(self, intent: Intent, workflow: str | None) -> TransitionResult:
        store, attempt = self._parts.store, intent.attempt
        connection = attempt.caller.connection
        taken = None
        try:
            with lent_step(self._parts):
                if not intent.may_need_lock(self._parts.machines, workflow):
                    # Until the caller commits, he has an answer to edit that may come to nothing.
                    known = self._parts.last_seen.copy_of
                    taken = await self._apply(intent, workflow, known=known, outside=connection)
                if taken is None:
                    async with store.join(
                        connection, attempt.instance_id, key=_key(attempt), now=self._parts.now
                    ) as unit:
                        taken = await self.perform(intent, unit)
        except Exception as error:
            if _leaves_a_trace(attempt, error):
                with suppress(Exception):
                    async with store.join(connection, attempt.instance_id, now=self._parts.now) as unit:
                        await self._write_failure(unit, attempt, error)
            raise
        return _result(taken)

    async def perform(self, intent: Intent, unit: Unit) -> Taken:
        """Take the step inside a unit, and hand the unit what to write.

        The container's scope lies inside the transaction, so that a failing finaliser still undoes the step.
        """
        record, attempt = locked_record(unit), intent.attempt
        answered = _answered(attempt, record, unit.receipt)
        if answered is not None:
            return answered
        draft = self.draft_of(record, intent, unit.now)
        if intent.needs_lock(draft.machine, record):
            await self._perform_commands(intent, draft, unit)
        else:
            self.run_in_place(draft, intent)
        change = self._concluded(draft)
        if change is not None:
            await unit.write(change)
        unit.after_commit(lambda: self._parts.reported(draft))
        draft.tell_span()
        return draft

    async def _perform_commands(self, intent: Intent, draft: Draft, unit: Unit) -> None:
        attempt, parts = intent.attempt, self._parts
        transition = Transition(attempt.instance_id, draft.machine.workflow, unit.connection)
        with step_of(parts, attempt.instance_id):
            async with parts.injector.open(transition) as scope:
                performer = Performer(parts.calls, attempt, unit, scope, self._children, parts.instrument)
                await performer.run(intent.step(draft, parts.settings))
        await unit.flush()

    def draft_of(self, record: WorkflowInstance, intent: Intent, now: datetime) -> Draft:
        """A fresh draft for a step on `record`. Raises what says that the instance cannot take it."""
        attempt = intent.attempt
        attempt.restart()
        self._parts.machines.require_available(record.workflow)
        machine = self._parts.machines.governing(record)
        attempt.definition_version = machine.version
        attempt.require_version(record)
        intent.admit(machine, record)
        attempt.span.began(workflow=machine.workflow, from_state=record.state)
        return Draft(machine, record, attempt, now, record_changes=self._parts.settings.record_changes)

    def run_in_place(self, draft: Draft, intent: Intent) -> None:
        """Decide a step that asks nothing but guards which can be asked in place."""
        run_in_place(intent.step(draft, self._parts.settings), self._parts.calls, intent.attempt)

    def _concluded(self, draft: Draft) -> Change | None:
        """What a decided step wants written, the receipt of its key included; `None` where that is nothing."""
        idempotency, message_id = draft.attempt.idempotency, draft.attempt.message_id
        # A message that was refused is tried again, so that its key is not answered yet.
        stays = message_id is not None and draft.outcome is Outcome.REFUSED
        if message_id is not None and not stays:
            draft.effects = (*draft.effects, TakeMessage(message_id))
        if idempotency is not None and not stays:
            keep = self._parts.settings.keep_receipts
            receipt = idempotency.receipt(draft.instance.id, answer_of(draft), draft.now, keep)
            draft.effects = (*draft.effects, PutReceipt(receipt))
        return None if draft.is_blank else self._parts.concluded(draft)

    async def _note_failure(self, attempt: Attempt, error: Exception) -> None:
        """Leave a `failed` entry after the rollback, if the attempt got as far as a guard or a command. Best effort."""
        if not _leaves_a_trace(attempt, error):
            return
        settings = self._parts.settings

        def decide(record: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> tuple[Change, Change]:
            change = failure_change(
                record, attempt, error, now, settings.timeout_retry, record_changes=settings.record_changes
            )
            return change, change

        def committed(change: Change) -> None:
            self._parts.committed(change, attempt.took)

        try:
            await self._parts.unbroken(
                self._parts.store.apply(attempt.instance_id, decide, now=self._parts.now, after_commit=committed)
            )
        except Exception:
            # Best effort: nothing that goes wrong here may stand in for the error the caller is about to see.
            logger.warning(
                "the failure of %r on instance %s was not recorded", attempt.event, attempt.instance_id, exc_info=True
            )

    async def _write_failure(self, unit: Unit, attempt: Attempt, error: Exception) -> None:
        settings = self._parts.settings
        change = failure_change(
            locked_record(unit),
            attempt,
            error,
            unit.now,
            settings.timeout_retry,
            record_changes=settings.record_changes,
        )
        await unit.write(change)
        unit.after_commit(lambda: self._parts.committed(change, attempt.took))


def locked_record(unit: Unit) -> WorkflowInstance:
    """The record of a unit that was opened on an instance."""
    if unit.record is None:
        raise RuntimeError("the store opened a step on an instance without its record")
    return unit.record


def _key(attempt: Attempt) -> ReceiptKey | None:
    return None if attempt.idempotency is None else attempt.idempotency.key


def _answered(attempt: Attempt, record: WorkflowInstance, receipt: Receipt | None) -> TransitionResult | None:
    """What the attempt's key was answered before, whatever has become of the instance since.

    Raises `InstanceNotFound` for another tenant's instance, and `IdempotencyConflict` where the key stands for another request.
    """
    attempt.require_sight(record)
    if attempt.idempotency is None or receipt is None:
        return None
    attempt.idempotency.check_same_request(receipt, event=attempt.event)
    return replayed(receipt, record)


def _result(taken: Taken) -> TransitionResult:
    return result_of(taken) if isinstance(taken, Draft) else taken


def _leaves_a_trace(attempt: Attempt, error: Exception) -> bool:
    by_the_store = isinstance(
        error, StoreUnavailable | OutcomeUnknown | StepRolledBack | InstanceBusy | InstanceNotFound | VersionNotLoaded
    )
    return attempt.reached and (error is attempt.raised or not by_the_store)
