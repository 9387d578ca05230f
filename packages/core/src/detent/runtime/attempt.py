"""One attempt to take one event, as its caller asked for it."""

from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

from detent.errors import InstanceNotFound, VersionConflict
from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.runtime.caller import Caller
from detent.runtime.instrument import SILENCE, Span
from detent.runtime.receipts import Idempotency
from detent.store.records import CommandRecord, WorkflowInstance


@dataclass(slots=True)
class Attempt:
    """What was asked, checked to be JSON, and how far it came."""

    instance_id: UUID
    event: str
    subject: Any
    payload: JsonValue
    caller: Caller
    expected_version: int | None = None
    """The version the caller has seen; at any other one it wants nothing to happen."""
    idempotency: Idempotency | None = None
    enqueued: bool = False
    """Whether a worker shall run its commands, durable or not."""
    trace: JsonObject = field(default_factory=dict)
    """The trace context of its span, for what goes on elsewhere."""
    span: Span = SILENCE
    """What is told how far it came."""
    by_timer: bool = False
    """Whether the event fires by itself because its deadline has passed."""
    message_id: UUID | None = None
    """The message that asks for it: taken out of the inbox with the step, unless that is refused."""
    transition_id: UUID = field(default_factory=new_id)
    """The id that all history entries of this attempt share."""
    reached: bool = False
    """Whether a guard or a command was called: from then on a failure leaves a `failed` entry."""
    ran: list[CommandRecord] = field(default_factory=list)
    """What the commands answered before the attempt failed."""
    raised: Exception | None = None
    """What a guard or command raised, to be told apart from what the store raises around it."""
    raised_in: str | None = None
    """Which guard or command that was, in words."""
    definition_version: str | None = None
    """The version that governed it, once that is known."""
    started: float = field(default_factory=perf_counter)

    @property
    def trigger_metadata(self) -> JsonObject:
        """Who asks and why, for history."""
        return self.caller.trigger_metadata

    @property
    def took(self) -> timedelta:
        """How long ago it was asked for."""
        return timedelta(seconds=perf_counter() - self.started)

    def stored_subject(self) -> JsonValue:
        """The subject as a run keeps it, for the worker that finishes the event. Raises `InvalidValue` where it is not JSON."""
        return json_value(self.subject, "subject")

    def require_sight(self, record: WorkflowInstance) -> None:
        """Raise `InstanceNotFound` when the instance is of another tenant than the caller."""
        if not self.caller.may_see(record):
            raise InstanceNotFound(record.id)

    def require_version(self, record: WorkflowInstance) -> None:
        """Raise `VersionConflict` when the instance has moved on since the caller has seen it."""
        if self.expected_version not in (None, record.version):
            raise VersionConflict(record.id, self.expected_version, record.version)

    def within(self, span: Span, trace: JsonObject) -> None:
        """From now on it goes on inside `span`, whose trace context is `trace`."""
        self.span, self.trace = span, trace

    def restart(self) -> None:
        """Forget how far it came: the step is taken anew."""
        self.reached = False
        self.raised = self.raised_in = None
        self.ran.clear()

    def blame(self, error: Exception, where: str) -> None:
        """Keep that `error` was raised in the guard or command that `where` names, and say so in the error's notes."""
        self.raised, self.raised_in = error, where
        error.add_note(f"in {where}, instance {self.instance_id}")


def new_attempt(
    instance_id: UUID,
    event: str,
    caller: Caller,
    *,
    subject: Any = None,
    payload: object = None,
    expected_version: int | None = None,
    idempotency: Idempotency | None = None,
    enqueued: bool = False,
) -> Attempt:
    """An attempt over copies of the caller's values. Raises `InvalidValue` where they are not JSON."""
    return Attempt(
        instance_id=instance_id,
        event=event,
        subject=subject,
        payload=json_value(payload, "payload"),
        caller=Caller(caller.connection, caller.tenant, json_object(caller.trigger_metadata, "trigger_metadata")),
        expected_version=expected_version,
        idempotency=idempotency,
        enqueued=enqueued,
    )
