"""The JSON of the operators' routes: what comes in and what goes out."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from detent.service.schemas import InstanceView, Whole
from detent.store.run_records import Run


class _Incoming(BaseModel):
    model_config = ConfigDict(extra="forbid")

    trigger_metadata: dict[str, Any] = Field(default_factory=dict, description="Who and why, for history.")


class _Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Operated(_Incoming):
    """What may come with an operator's verb."""

    reason: str | None = Field(default=None, description="Why, for history.")
    expected_version: Whole | None = Field(
        default=None, ge=1, description="The version the client has seen; at any other one nothing happens."
    )


NO_REASON = Operated()
"""What a verb with an empty body brings along."""


class Forced(Operated):
    """Where an instance is moved to, whatever its definition allows."""

    state: str = Field(description="The state to enter.")
    context: dict[str, Any] | None = Field(default=None, description="Written like a command's writes.")


class Retried(_Incoming):
    """What may come with another try of what went wrong last."""


NOTHING_SAID = Retried()


class Sent(_Incoming):
    """An event that is kept until the instance can take it."""

    event: str
    payload: Any = Field(default=None, description="JSON as the event's payload model wants it.")
    delay: str | None = Field(
        default=None, description="A duration such as `2d`: before it has passed it is not tried."
    )
    expires: str | None = Field(default=None, description="A duration: after it has passed it is not taken any more.")


class InstancePageView(_Outgoing):
    """Some of the instances that were found, in order."""

    instances: list[InstanceView]
    cursor: str | None = Field(description="Where the next page begins; null when this is the last.")


class MessageView(_Outgoing):
    """An event that was sent."""

    id: UUID
    instance_id: UUID
    event: str
    created_at: datetime
    available_at: datetime
    expires_at: datetime | None


class RunView(_Outgoing):
    """One durable transition: under way, parked or ended."""

    id: UUID
    instance_id: UUID
    event: str
    state: str
    target: str | None
    status: str
    command: str = Field(description="The next command; empty when only the end is left to commit.")
    queue: str
    attempts: int
    progress: dict[str, Any] | None = Field(description="`fraction` and `message`, as the command said last.")
    error: dict[str, Any] | None = Field(description="`code` and `message` of the last attempt that failed.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The view of `run`, without the traceback that is for operators at the log."""
        view = cls.model_validate(run)
        if view.error is not None:
            view.error = {name: view.error.get(name) for name in ("code", "message")}
        return view


class RunPageView(_Outgoing):
    """Some of the runs, the newest first."""

    runs: list[RunView]
    after: UUID | None = Field(description="The last one, for the next page; null when this is the last.")


class KeptMessageView(MessageView):
    """An event that is kept for an instance, and why it was not taken so far."""

    payload: Any
    attempts: int = Field(description="How often it was refused or failed.")
    dead_at: datetime | None = Field(description="Since when it can never be taken, or its attempts are used up.")
    reason: str | None = Field(description="Why it was not taken so far.")
    number: int = Field(description="Its place in the order of arrival.")
