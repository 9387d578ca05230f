"""What happened to an execution, in the words of flows: read off its history, so that it is in order and as true as the state."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from detent.flows.flow import Flow
from detent.flows.names import CHILD_ENDED, ERROR, EXPIRE, FAIL, FINISH, RESUME, WAIT, WAIT_TIMEOUT, WAKE, goto, step_of
from detent.json_values import JsonObject, JsonValue
from detent.runtime.event_names import CANCELLED, CREATED, NOTED, ON_ENTER
from detent.runtime.observers import Observation, Worked, WorkflowObserver
from detent.runtime.run_report import Advanced
from detent.store.records import FINISHED, HistoryEntry, Outcome, Status, WorkflowInstance


class FlowEventType(StrEnum):
    """What may happen; the names are FlowMonkey's."""

    CREATED = "execution.created"
    WAITING = "execution.waiting"
    RESUMED = "execution.resumed"
    COMPLETED = "execution.completed"
    FAILED = "execution.failed"
    CANCELLED = "execution.cancelled"
    STEP_COMPLETED = "step.completed"
    STEP_FAILED = "step.failed"
    """Its attempts are used up."""
    STEP_RETRY = "step.retry"
    """An attempt failed, and another one is made. Observers hear of it; history does not keep it."""
    RECORDED = "execution.recorded"
    """What `FlowService.record` was told; `details` holds its `name` and `details`."""
    OPERATED = "execution.operated"
    """An operator paused it, resumed it after a pause, forced it, changed its context, or mended a run."""


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """One thing that happened to an execution."""

    type: FlowEventType
    execution_id: UUID
    sequence: int
    """The history entry that it is read off: several events may come of one."""
    at: datetime
    step_id: str | None
    details: JsonObject
    """What else is known: `to_step`, `event`, `reason`, `code`."""


_LEFT_WAIT = {RESUME, WAKE, CHILD_ENDED}
_EXPIRED = {EXPIRE, WAIT_TIMEOUT}
_ENDS = {
    "success": FlowEventType.COMPLETED,
    "failure": FlowEventType.FAILED,
    "cancelled": FlowEventType.CANCELLED,
}


def events_of(entry: HistoryEntry, flow: Flow, end_of: Callable[[str], str | None]) -> Iterator[FlowEvent]:
    """What one history entry says; `end_of` answers how an execution has ended that is in a state, `None` where it has not."""
    step = None if entry.from_state is None else step_of(entry.from_state, flow.steps)
    details: JsonObject = {"event": entry.event, "to_step": step_of(entry.to_state, flow.steps)}
    if entry.reason is not None:
        details["reason"] = entry.reason

    def event(type_: FlowEventType, **more: JsonValue) -> FlowEvent:
        return FlowEvent(type_, entry.instance_id, entry.sequence, entry.created_at, step, {**details, **more})

    if entry.event == CREATED:
        yield event(FlowEventType.CREATED)
        return
    if entry.event == NOTED:
        yield FlowEvent(
            FlowEventType.RECORDED, entry.instance_id, entry.sequence, entry.created_at, step, entry.payload
        )
        return
    if entry.event == CANCELLED:
        yield event(FlowEventType.CANCELLED, source=entry.trigger_metadata.get("source"))
        return
    yield from map(event, _types(entry, flow))
    end = end_of(entry.to_state) if entry.from_state != entry.to_state else None
    if end is not None:
        yield event(_ENDS[end], **({"source": "timeout"} if entry.event in _EXPIRED else {}))


def _types(entry: HistoryEntry, flow: Flow) -> Iterator[FlowEventType]:
    """What an entry says of its step, or of a wait."""
    if entry.event == WAIT:
        yield FlowEventType.WAITING
    elif entry.event in _LEFT_WAIT:
        yield FlowEventType.RESUMED
    elif entry.event == FAIL or (entry.event == ON_ENTER and entry.outcome is Outcome.FAILURE):
        yield FlowEventType.STEP_FAILED
    elif entry.event in (ON_ENTER, FINISH) or entry.event in map(goto, flow.steps):
        yield FlowEventType.STEP_COMPLETED
    elif entry.event.startswith("$"):
        yield FlowEventType.OPERATED


class FlowObserver(WorkflowObserver):
    """Told of what happens to flows, after the commit: override `on_event`. Register it by `WorkflowRuntime(observers=[…])`.

    `flow_of` says which flow an instance is an execution of, `None` for none: `FlowBook.flow_of`.
    """

    def __init__(self, flow_of: Callable[[str, str], Flow | None]) -> None:
        self._flow_of = flow_of

    async def on_event(self, event: FlowEvent) -> None:
        """Something happened to an execution."""

    async def on_created(self, seen: Observation) -> None:
        await self._told(seen)

    async def on_transition(self, seen: Observation) -> None:
        await self._told(seen)

    async def on_run(self, worked: Worked) -> None:
        run = worked.run
        flow = self._flow_of(run.workflow, run.definition_version)
        if flow is None or worked.advanced is not Advanced.RETRYING:
            return
        error = run.error and {key: run.error[key] for key in ("code", "message")}
        details: JsonObject = {"attempt": run.attempts, ERROR: error}
        step = step_of(run.state, flow.steps)
        await self.on_event(FlowEvent(FlowEventType.STEP_RETRY, run.instance_id, 0, run.updated_at, step, details))

    async def _told(self, seen: Observation) -> None:
        instance = seen.instance
        flow = self._flow_of(instance.workflow, instance.definition_version)
        if flow is None:
            return
        for event in events_of(seen.entry, flow, lambda state: _end_in(instance, state)):
            await self.on_event(event)


_BY_STATUS = {Status.COMPLETED: "success", Status.FAILED: "failure", Status.CANCELLED: "cancelled"}


def _end_in(instance: WorkflowInstance, state: str) -> str | None:
    """How an instance has ended, if it did so in `state`."""
    return _BY_STATUS[instance.status] if instance.status in FINISHED and instance.state == state else None
