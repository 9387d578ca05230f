"""One event through one instance: load, choose, perform, conclude, commit, report.

Two paths lead through it. The *fast path* hands the store a pure decision; the *locked path* holds the row while guards
are awaited and commands run. Which one an event takes is compiled into its machine. A lent connection always takes the
locked path, inside the caller's transaction.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from detent.errors import (
    EventNotAvailable,
    InstanceBusy,
    InstanceNotFound,
    InstancePaused,
    OutcomeUnknown,
    StepRolledBack,
    StoreUnavailable,
)
from detent.machine.machine import Machine
from detent.runtime.attempt import Attempt
from detent.runtime.draft import Draft
from detent.runtime.failure import failure_change
from detent.runtime.injection import Transition
from detent.runtime.machines import VersionNotLoaded
from detent.runtime.parts import Parts
from detent.runtime.performer import Performer, run_in_place
from detent.runtime.reentrancy import inside_a_step, refuse_reentry, step_of
from detent.runtime.result import TransitionResult, result_of
from detent.runtime.step import Step, event_step
from detent.store.change import Change
from detent.store.protocol import Unit
from detent.store.records import Receipt, Status, WorkflowInstance

logger = logging.getLogger("detent.runtime")

T = TypeVar("T")


class Execution:
    """Takes events. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def trigger(self, attempt: Attempt, *, workflow: str | None, connection: object | None) -> TransitionResult:
        """Take one event, in a transaction of its own or in the caller's. `workflow`, where known, saves a read."""
        refuse_reentry(self._parts, attempt.instance_id)
        if connection is not None:
            return await self.fetching(lambda: self._joined(attempt, connection))
        return await self._parts.unbroken(self.fetching(lambda: self._own(attempt, workflow)))

    async def fetching(self, take: Callable[[], Awaitable[T]]) -> T:
        """Take the step; where an instance follows a version not compiled here, fetch that first."""
        while True:
            try:
                return await take()
            except VersionNotLoaded as missing:
                await self._parts.machines.fetch(self._parts.store, missing.workflow, missing.version)

    async def machine_of(self, record: WorkflowInstance) -> Machine:
        """The machine that governs `record`, fetched first where it is not compiled here."""

        async def governing() -> Machine:
            return self._parts.machines.governing(record)

        return await self.fetching(governing)

    async def _own(self, attempt: Attempt, workflow: str | None) -> TransitionResult:
        if workflow is None or not self._parts.machines.may_need_lock(workflow, attempt.event):
            draft = await self._fast(attempt)
            if draft is not None:
                return result_of(draft)
        return await self._locked(attempt)

    async def _fast(self, attempt: Attempt) -> Draft | None:
        """Decide inside the store; `None` when the event turns out to need the lock."""
        try:
            draft = await self._parts.store.apply(attempt.instance_id, self._decide(attempt), now=self._parts.now)
        except Exception as error:
            await self._note_failure(attempt, error)
            raise
        if draft is not None:
            self._parts.observers.report(draft.instance, draft.all_entries)
        return draft

    def _decide(
        self, attempt: Attempt
    ) -> Callable[[WorkflowInstance, Receipt | None, datetime], tuple[Change | None, Draft | None]]:
        def decide(
            record: WorkflowInstance, _receipt: Receipt | None, now: datetime
        ) -> tuple[Change | None, Draft | None]:
            draft = self.draft_of(record, attempt, now)
            if draft.machine.locked.event(record.state, attempt.event):
                return None, None
            run_in_place(self.step(draft), self._parts.calls, attempt)
            return draft.change(), draft

        return decide

    async def _locked(self, attempt: Attempt) -> TransitionResult:
        try:
            draft = await self._parts.repeated(lambda: self._lock_and_perform(attempt))
        except Exception as error:
            await self._note_failure(attempt, error)
            raise
        return result_of(draft)

    async def _lock_and_perform(self, attempt: Attempt) -> Draft:
        async with self._parts.store.transaction(attempt.instance_id, now=self._parts.now) as unit:
            return await self.perform(attempt, unit)

    async def _joined(self, attempt: Attempt, connection: object) -> TransitionResult:
        store = self._parts.store
        try:
            async with store.join(connection, attempt.instance_id, now=self._parts.now) as unit:
                draft = await self.perform(attempt, unit)
        except StepRolledBack as lost:
            if inside_a_step(self._parts):
                # The step around this one is repeated as a whole.
                raise
            raise StoreUnavailable(lost.reason) from lost
        except Exception as error:
            if _leaves_a_trace(attempt, error):
                with suppress(Exception):
                    async with store.join(connection, attempt.instance_id, now=self._parts.now) as unit:
                        await self._write_failure(unit, attempt, error)
            raise
        return result_of(draft)

    async def perform(self, attempt: Attempt, unit: Unit) -> Draft:
        """Take the event inside a unit, and hand the unit what to write.

        The container's scope lies inside the transaction, so that a failing finaliser still undoes the step.
        """
        draft = self.draft_of(locked_record(unit), attempt, unit.now)
        transition = Transition(attempt.instance_id, draft.machine.workflow, unit.connection)
        with step_of(self._parts, attempt.instance_id):
            async with self._parts.injector.open(transition) as scope:
                await Performer(self._parts.calls, attempt, unit, scope).run(self.step(draft))
        await unit.flush()
        await unit.write(draft.change())
        unit.after_commit(lambda: self._parts.observers.report(draft.instance, draft.all_entries))
        return draft

    def draft_of(self, record: WorkflowInstance, attempt: Attempt, now: datetime) -> Draft:
        """A fresh draft for a step on `record`. Raises what says that the instance cannot take the event."""
        attempt.restart()
        machine = self._parts.machines.governing(record)
        attempt.definition_version = machine.version
        _require_event(machine, record, attempt.event)
        return Draft(machine, record, attempt, now)

    def step(self, draft: Draft) -> Step[None]:
        """The decision over `draft`, under this runtime's limits."""
        settings = self._parts.settings
        return event_step(draft, max_chain=settings.max_chain, timer_retry=settings.timeout_retry)

    async def _note_failure(self, attempt: Attempt, error: Exception) -> None:
        """Leave a `failed` entry after the rollback, if the attempt got as far as a guard or a command. Best effort."""
        if not _leaves_a_trace(attempt, error):
            return
        retry = self._parts.settings.timeout_retry

        def decide(record: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> tuple[Change, Change]:
            change = failure_change(record, attempt, error, now, retry)
            return change, change

        try:
            change = await self._parts.store.apply(attempt.instance_id, decide, now=self._parts.now)
        except Exception:
            # Best effort: nothing that goes wrong here may stand in for the error the caller is about to see.
            logger.warning(
                "the failure of %r on instance %s was not recorded", attempt.event, attempt.instance_id, exc_info=True
            )
        else:
            self._parts.observers.report(change.instance, change.entries)

    async def _write_failure(self, unit: Unit, attempt: Attempt, error: Exception) -> None:
        change = failure_change(locked_record(unit), attempt, error, unit.now, self._parts.settings.timeout_retry)
        await unit.write(change)
        unit.after_commit(lambda: self._parts.observers.report(change.instance, change.entries))


def locked_record(unit: Unit) -> WorkflowInstance:
    """The record of a unit that was opened on an instance."""
    if unit.record is None:
        raise RuntimeError("the store opened a step on an instance without its record")
    return unit.record


def _require_event(machine: Machine, record: WorkflowInstance, event: str) -> None:
    if record.status is Status.PAUSED:
        raise InstancePaused(record.id)
    declared = machine.events(record.state) if record.status is Status.ACTIVE else {}
    if event not in declared:
        raise EventNotAvailable(record.id, record.state, event, declared)


def _leaves_a_trace(attempt: Attempt, error: Exception) -> bool:
    by_the_store = isinstance(
        error, StoreUnavailable | OutcomeUnknown | StepRolledBack | InstanceBusy | InstanceNotFound | VersionNotLoaded
    )
    return attempt.reached and (error is attempt.raised or not by_the_store)
