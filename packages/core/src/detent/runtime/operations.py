"""What operators do to an instance: pure functions of its record, each noted in history by one entry."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from detent.errors import InstanceFinished, InvalidValue, NothingToRetry, RunNotActive
from detent.json_values import JsonObject, JsonValue, json_object
from detent.problems import did_you_mean
from detent.runtime import timers
from detent.runtime.attempt import Attempt, new_attempt
from detent.runtime.caller import Caller
from detent.runtime.event_names import (
    CANCELLED,
    CONTEXT_PATCHED,
    NOTED,
    PAUSED,
    REARMED,
    RESUMED,
    RUN_CANCELLED,
    RUN_RETRIED,
)
from detent.runtime.execution import Execution, locked_record
from detent.runtime.history import noted
from detent.runtime.instrument import SILENCE
from detent.runtime.intent import require_free
from detent.runtime.lending import lent_step
from detent.runtime.machines import Machines
from detent.runtime.parts import Parts
from detent.runtime.reentrancy import refuse_reentry
from detent.store.change import Change, MoveRun
from detent.store.records import FINISHED, Outcome, Receipt, Status, WorkflowInstance
from detent.store.run_records import RunStatus


class Operation(Protocol):
    """One thing that may be done to an instance without taking an event."""

    @property
    def event(self) -> str:
        """What history calls it."""
        ...

    @property
    def reason(self) -> str | None:
        """Why it is done."""
        ...

    @property
    def payload(self) -> JsonValue:
        """What history keeps beside the reason."""
        ...

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        """The instance afterwards, `None` when it is so already. Raises what says that it cannot be done."""
        ...


@dataclass(frozen=True, slots=True)
class Cancel:
    """End an instance where it stands: its state is kept, its timers and its run are void."""

    reason: str | None
    event = CANCELLED
    payload = None

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        if record.status is Status.CANCELLED:
            return None
        _require_live(record)
        return timers.with_timers(replace(record, status=Status.CANCELLED, finished_at=now, run_id=None), (), now)


@dataclass(frozen=True, slots=True)
class Pause:
    """Let an instance take no event and fire no timeout."""

    reason: str | None
    event = PAUSED
    payload = None

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        _require_live(record)
        return None if record.status is Status.PAUSED else replace(record, status=Status.PAUSED)


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused instance go on; what fell due meanwhile fires with the next sweep."""

    reason: str | None
    event = RESUMED
    payload = None

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        _require_live(record)
        return None if record.status is Status.ACTIVE else replace(record, status=Status.ACTIVE)


@dataclass(frozen=True, slots=True)
class PatchContext:
    """Replace keys of the context and take others out, whatever the instance's status."""

    patch: JsonObject
    remove: tuple[str, ...]
    reason: str | None
    event = CONTEXT_PATCHED

    @property
    def payload(self) -> JsonValue:
        return {"patch": self.patch, "remove": list(self.remove)}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        require_free(record)
        kept = {key: value for key, value in record.context.items() if key not in self.remove}
        context = json_object({**kept, **self.patch}, "context")
        if context == record.context:
            return None
        machines.governing(record).check_context(context)
        return replace(record, context=context)


@dataclass(frozen=True, slots=True)
class Note:
    """Write something down in the history of an instance, which stays as it is."""

    name: str
    details: JsonValue
    reason: str | None
    event = NOTED

    @property
    def payload(self) -> JsonValue:
        return {"name": self.name, "details": self.details}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        return record


@dataclass(frozen=True, slots=True)
class Rearm:
    """Give timers a new chance: that of one event, or all that were tried in vain; at `due`, or at once."""

    timer: str | None
    due: datetime | None
    reason: str | None
    event = REARMED

    @property
    def payload(self) -> JsonValue:
        return {"event": self.timer, "due": None if self.due is None else self.due.isoformat()}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        _require_live(record)
        known = [timer.event for timer in record.timers]
        if self.timer is not None and self.timer not in known:
            reason = f"is {self.timer!r}, which has no timer in state {record.state!r}"
            raise InvalidValue("event", reason, hint=did_you_mean(self.timer, known))
        left = timers.rearmed(record.timers, self.timer, self.due or now)
        return None if left == record.timers else timers.with_timers(record, left, now)


@dataclass(frozen=True, slots=True)
class RetryRun:
    """Let the parked run of an instance go on, its attempts forgotten."""

    run_id: UUID
    reason: str | None
    event = RUN_RETRIED

    @property
    def payload(self) -> JsonValue:
        return {"run": str(self.run_id)}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        _require_run(record, self.run_id)
        if record.parked_at is None:
            raise NothingToRetry(record.id)
        return replace(record, parked_at=None)


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Give the run of an instance up; the instance stays where it is, free for other events."""

    run_id: UUID
    reason: str | None
    timer: str | None
    """The timer that started the run: it is parked, or it would fire again at once."""
    event = RUN_CANCELLED

    @property
    def payload(self) -> JsonValue:
        return {"run": str(self.run_id)}

    def after(self, record: WorkflowInstance, now: datetime, machines: Machines) -> WorkflowInstance | None:
        _require_run(record, self.run_id)
        left = record.timers
        if self.timer is not None:
            left = timers.stopped(left, self.timer, self.reason or "its run was cancelled")
        return timers.with_timers(replace(record, run_id=None, parked_at=None), left, now)


class Operations:
    """Does what operators ask for. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution) -> None:
        self._parts = parts
        self._execution = execution

    async def perform(
        self,
        instance_id: UUID,
        operation: Operation,
        caller: Caller,
        *,
        expected_version: int | None = None,
    ) -> WorkflowInstance:
        """The instance after the operation, in a transaction of its own or in the caller's."""
        refuse_reentry(self._parts, instance_id)
        attempt = new_attempt(
            instance_id, operation.event, caller, payload=operation.payload, expected_version=expected_version
        )
        if caller.connection is not None:
            return await self._traced(attempt, lambda: self._joined(attempt, operation, caller.connection))
        # The store sees to it that what it decides is not torn, so that it needs no task of its own.
        with self._parts.underway:
            return await self._traced(attempt, lambda: self._own(attempt, operation))

    async def _traced(self, attempt: Attempt, take: Callable[[], Awaitable[WorkflowInstance]]) -> WorkflowInstance:
        instrument = self._parts.instrument
        with instrument.transition(
            workflow=None, event=attempt.event, instance_id=attempt.instance_id, by="caller"
        ) as span:
            attempt.within(span, instrument.carrier())
            try:
                instance = await self._execution.fetching(take)
            except CancelledError:
                # The operation may go on without its caller, whose span ends here.
                attempt.within(SILENCE, attempt.trace)
                raise
            span.took(outcome=Outcome.SUCCESS, to_state=instance.state)
        return instance

    async def _own(self, attempt: Attempt, operation: Operation) -> WorkflowInstance:
        def decide(
            record: WorkflowInstance, _receipt: Receipt | None, now: datetime
        ) -> tuple[Change | None, tuple[WorkflowInstance, Change | None]]:
            change = self._change(record, attempt, operation, now)
            return change, (change.instance if change else record, change)

        def committed(answer: tuple[WorkflowInstance, Change | None]) -> None:
            self._report(attempt, answer[1])

        instance, _ = await self._parts.store.apply(
            attempt.instance_id, decide, now=self._parts.now, after_commit=committed
        )
        return instance

    async def _joined(self, attempt: Attempt, operation: Operation, connection: object) -> WorkflowInstance:
        with lent_step(self._parts):
            async with self._parts.store.join(connection, attempt.instance_id, now=self._parts.now) as unit:
                record = locked_record(unit)
                change = self._change(record, attempt, operation, unit.now)
                if change is None:
                    return record
                await unit.write(change)
                unit.after_commit(lambda: self._report(attempt, change))
                return change.instance

    def _change(self, record: WorkflowInstance, attempt: Attempt, operation: Operation, now: datetime) -> Change | None:
        attempt.require_sight(record)
        attempt.require_version(record)
        attempt.span.began(workflow=record.workflow, from_state=record.state)
        after = operation.after(record, now, self._parts.machines)
        if after is None:
            return None
        change = noted(
            record,
            after,
            event=attempt.event,
            now=now,
            transition_id=attempt.transition_id,
            trigger_metadata=attempt.trigger_metadata,
            record_changes=self._parts.settings.record_changes,
            reason=operation.reason,
            payload=attempt.payload,
        )
        return self._parts.completed(_with_run_moved(change, record, operation, now), attempt.trace)

    def _report(self, attempt: Attempt, change: Change | None) -> None:
        if change is not None:
            self._parts.committed(change, attempt.took)


def _with_run_moved(change: Change, before: WorkflowInstance, operation: Operation, now: datetime) -> Change:
    """The change with what it means for the run under way: an instance that lets go of it, or is parked no more."""
    if before.run_id is None:
        return change
    if change.instance.run_id is None:
        moved = MoveRun(before.run_id, RunStatus.CANCELLED, now, operation.reason)
    elif before.parked_at is not None and change.instance.parked_at is None:
        moved = MoveRun(before.run_id, RunStatus.PENDING, now)
    else:
        return change
    return replace(change, effects=(*change.effects, moved))


def _require_run(record: WorkflowInstance, run_id: UUID) -> None:
    if record.run_id != run_id:
        raise RunNotActive(run_id, "not under way")


def _require_live(record: WorkflowInstance) -> None:
    if record.status in FINISHED:
        raise InstanceFinished(record.id, record.status.value)
