"""An execution: an instance of a flow, as those see it who think in steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self
from uuid import UUID

from detent.flows.flow import Flow
from detent.flows.names import ERROR, step_of, waiting
from detent.flows.own import Own, without_own
from detent.flows.perform import StepFailed
from detent.json_values import JsonObject, JsonValue
from detent.store.records import FINISHED, Status, WorkflowInstance
from detent.store.run_records import Run, RunStatus


class ExecutionStatus(StrEnum):
    """Where an execution stands; the names are FlowMonkey's."""

    PENDING = "pending"
    """It was started, and no worker has begun its first step."""
    RUNNING = "running"
    WAITING = "waiting"
    """For a time, for somebody, for a child, or until a failed step is tried again."""
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


ENDED = frozenset({ExecutionStatus.CANCELLED, ExecutionStatus.COMPLETED, ExecutionStatus.FAILED})
_BY_STATUS = {
    Status.COMPLETED: ExecutionStatus.COMPLETED,
    Status.FAILED: ExecutionStatus.FAILED,
    Status.CANCELLED: ExecutionStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step failed."""

    code: str
    message: str
    step_id: str
    details: object
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who ended it, why and when."""

    source: str
    """`user`, `timeout`, `system` or `parent`."""
    reason: str | None
    cancelled_at: datetime


@dataclass(frozen=True, slots=True)
class Execution:
    """An instance of a flow at one moment."""

    id: UUID
    flow_id: str
    flow_version: str
    status: ExecutionStatus
    current_step: str | None
    """The step it is in or waits in; `None` once it has ended by itself."""
    context: JsonObject
    error: StepError | None
    """The error of the step that failed last, also where another step has dealt with it, or where it is tried again."""
    wait_reason: str | None
    wait_details: JsonObject | None
    wake_at: datetime | None
    """When it goes on by itself, while it waits."""
    step_count: int
    """How many steps were begun."""
    cancellation: Cancellation | None
    parent_id: UUID | None
    tenant: str
    metadata: JsonObject
    """The labels that it was started with."""
    deadline: datetime | None
    """When it is cancelled if it has not ended by then."""
    created_at: datetime
    updated_at: datetime
    created: bool = False
    """Whether this call started it, and not an earlier one with the same idempotency key."""

    @property
    def ended(self) -> bool:
        """Whether nothing goes on any more."""
        return self.status in ENDED

    @classmethod
    def of(
        cls,
        instance: WorkflowInstance,
        flow: Flow,
        run: Run | None,
        cancellation: Cancellation | None = None,
        large: Mapping[str, JsonValue] = MappingProxyType({}),
    ) -> Self:
        """`instance` as an execution.

        `run` is the one that is under way, `cancellation` what history says of its end, `large` what is kept beside its context.
        """
        own = Own.of(instance.context)
        status = _status(instance, flow, own, run)
        held_up = status is ExecutionStatus.WAITING and run is not None
        return cls(
            id=instance.id,
            flow_id=instance.workflow,
            flow_version=instance.definition_version,
            status=status,
            current_step=step_of(instance.state, flow.steps),
            context={**large, **without_own(instance.context)},
            error=_failed_attempt(instance, flow, run) or _error(instance.context.get(ERROR)),
            wait_reason=_wait_reason(instance, own, run, status),
            wait_details=own.wait.details if own.wait is not None and status is ExecutionStatus.WAITING else None,
            wake_at=_wake_at(own, run, status, held_up=held_up),
            step_count=own.steps,
            cancellation=_cancellation(own) or cancellation,
            parent_id=instance.parent_id,
            tenant=instance.tenant,
            metadata=instance.metadata,
            deadline=own.deadline,
            created_at=instance.created_at,
            updated_at=instance.updated_at,
            created=instance.created,
        )


def _status(instance: WorkflowInstance, flow: Flow, own: Own, run: Run | None) -> ExecutionStatus:
    ended = _BY_STATUS.get(instance.status)
    if ended is not None:
        return ended
    if instance.status is Status.PAUSED or instance.state in map(waiting, flow.steps):
        return ExecutionStatus.WAITING
    if instance.created and not own.steps:
        return ExecutionStatus.PENDING
    if run is None or run.status is RunStatus.RUNNING:
        return ExecutionStatus.RUNNING
    if run.status is RunStatus.PARKED or run.error is not None:
        return ExecutionStatus.WAITING
    return ExecutionStatus.RUNNING if own.steps or run.attempts else ExecutionStatus.PENDING


def _wait_reason(instance: WorkflowInstance, own: Own, run: Run | None, status: ExecutionStatus) -> str | None:
    if status is not ExecutionStatus.WAITING:
        return None
    if instance.status is Status.PAUSED:
        return "it is paused"
    if run is not None and run.status is RunStatus.PARKED:
        return f"an operator is to decide: {run.reason}"
    if run is not None:
        return "the step is tried again"
    return None if own.wait is None else own.wait.reason


def _wake_at(own: Own, run: Run | None, status: ExecutionStatus, *, held_up: bool) -> datetime | None:
    if status is not ExecutionStatus.WAITING:
        return None
    if held_up and run is not None:
        return None if run.status is RunStatus.PARKED else run.available_at
    return own.wake


def _failed_attempt(instance: WorkflowInstance, flow: Flow, run: Run | None) -> StepError | None:
    """Why the last attempt of a step failed that is to be tried again: in the context is only what ended one."""
    if run is None or run.error is None or instance.status in FINISHED:
        return None
    code, message = str(run.error["code"]), str(run.error["message"])
    if code == StepFailed.__name__:
        code, _, message = message.partition(": ")
    return StepError(code, message, step_of(run.state, flow.steps) or run.state, None, run.updated_at)


def _error(written: object) -> StepError | None:
    if not isinstance(written, Mapping) or not written.keys() >= {"code", "message", "step_id", "timestamp"}:
        return None
    return StepError(
        code=written["code"],
        message=written["message"],
        step_id=written["step_id"],
        details=written.get("details"),
        timestamp=datetime.fromisoformat(written["timestamp"]),
    )


def _cancellation(own: Own) -> Cancellation | None:
    told = own.cancellation
    if told is None:
        return None
    return Cancellation(told["source"], told["reason"], datetime.fromisoformat(told["cancelled_at"]))
