"""The JSON that web packages and the CLI speak: separate models for what comes in and what goes out."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from detent.definition.model import WorkflowDefinition
from detent.runtime.arguments import is_whole


def _whole(value: object) -> object:
    if not is_whole(value):
        raise ValueError("must be a whole number")
    return value


# `strict=True` would say it shorter, and web frameworks that validate with `strict=False` would overrule it.
Whole = Annotated[int, BeforeValidator(_whole)]
"""A number that is whole as it is sent: no text, no boolean."""


class _Incoming(BaseModel):
    """Unknown fields are refused: a client sets nothing that is not named here."""

    model_config = ConfigDict(extra="forbid")


class _Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NewInstance(_Incoming):
    """What is needed to create an instance."""

    workflow: str = Field(min_length=1, description="The name of the workflow.")
    entry: str | None = Field(
        default=None, description="Another state to begin in, by the name the definition gives it."
    )
    context: dict[str, Any] = Field(default_factory=dict, description="Wins over the initial state's own context.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Labels that never change.")
    trigger_metadata: dict[str, Any] = Field(default_factory=dict, description="Who and why, for history.")


class TriggeredEvent(_Incoming):
    """What may come with an event."""

    payload: Any = Field(default=None, description="JSON as the event's payload model wants it.")
    trigger_metadata: dict[str, Any] = Field(default_factory=dict, description="Who and why, for history.")
    expected_version: Whole | None = Field(
        default=None, ge=1, description="The version the client has seen; at any other one nothing happens."
    )


class TimerView(_Outgoing):
    """A deadline of the current state."""

    event: str
    due: datetime
    attempts: int
    parked: bool
    reason: str | None


class InstanceView(_Outgoing):
    """One instance."""

    id: UUID
    workflow: str
    state: str
    status: str
    version: int = Field(description="The sequence of the last history entry.")
    definition_version: str
    context: dict[str, Any]
    metadata: dict[str, Any]
    timers: list[TimerView]
    due_at: datetime | None = Field(description="The earliest deadline.")
    entered_at: datetime
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = Field(description="When it was completed, failed or was cancelled.")
    parked_at: datetime | None = Field(
        description="Since when one of its deadlines, or its run, waits for an operator."
    )
    tenant: str = Field(description="Whose it is; empty without tenants.")
    parent_id: UUID | None = Field(description="The instance that it was created for.")
    run_id: UUID | None = Field(description="The run that is under way: until it ends the instance takes no event.")


class CommandView(_Outgoing):
    """What one command answered."""

    name: str
    ok: bool
    code: str | None
    message: str | None
    data: Any
    best_effort: bool
    compensates: str | None = Field(description="The command that this one undid, because a later one failed.")


class TransitionView(_Outgoing):
    """How an event ended."""

    outcome: str = Field(
        description="success, failure (routed to the error target), refused, or accepted: a worker finishes it."
    )
    from_state: str
    to_state: str
    commands: list[CommandView]
    reason: str | None
    history_sequence: int
    run_id: UUID | None = Field(description="The run by which a worker finishes it, or what it led to.")
    instance: InstanceView = Field(description="The instance after it; as it is now, when the answer is replayed.")
    replayed: bool = Field(description="Whether nothing ran, because the idempotency key was answered before.")


class EventView(_Outgoing):
    """One event that the instance's state declares."""

    name: str
    available: bool = Field(description="Whether its guards let it pass now.")
    reason: str | None = Field(description="Why not.")
    target: str | None
    error: str | None
    branches: list[str]
    internal: bool
    due_at: datetime | None
    has_commands: bool
    payload_schema: dict[str, Any] | None
    metadata: dict[str, Any]
    description: str | None


class ContextChangeView(_Outgoing):
    """One value of a context that a step put there, replaced or took out."""

    op: str = Field(description="add, replace or remove.")
    path: str = Field(description="Where, as a JSON pointer (RFC 6901); empty for the whole context.")
    value: Any = Field(description="What is there since; null where it was removed.")
    was: Any = Field(description="What was there before; null where it was added.")
    omitted: bool = Field(description="Whether the values are left out, because the entry would have become too large.")


class HistoryEntryView(_Outgoing):
    """One thing that happened to an instance."""

    sequence: int
    event: str
    from_state: str | None
    to_state: str
    outcome: str
    commands: list[CommandView]
    reason: str | None
    error: dict[str, Any] | None
    payload: Any
    trigger_metadata: dict[str, Any]
    transition_id: UUID
    definition_version: str
    created_at: datetime
    changes: list[ContextChangeView] | None = Field(
        default=None,
        description="What changed in the context since the entry before; null where that was not recorded.",
    )


class DefinitionView(BaseModel):
    """The newest version of a workflow."""

    name: str
    version: str
    initial_state: str
    states: list[str]
    description: str | None = Field(description="What the workflow is for, for people.")

    @classmethod
    def of(cls, definition: WorkflowDefinition) -> Self:
        """The view of `definition`."""
        return cls(
            name=definition.name,
            version=definition.version,
            initial_state=definition.initial_state,
            states=list(definition.states),
            description=definition.description,
        )


class FullDefinitionView(DefinitionView):
    """One version of a workflow in full."""

    definition: dict[str, Any] = Field(description="As `WorkflowDefinition.from_dict` reads it.")
    versions: list[str] = Field(description="The stored ones, the oldest first.")

    @classmethod
    def of_versions(cls, definition: WorkflowDefinition, versions: list[str]) -> Self:
        """The view of `definition`, one of these `versions`."""
        short = DefinitionView.of(definition).model_dump()
        return cls(**short, definition=definition.to_dict(), versions=versions)


class StoredVersionView(_Outgoing):
    """One stored version of a workflow."""

    version: str
    fingerprint: str = Field(description="What tells an edit made in place.")
    registered_at: datetime
    registered: bool = Field(description="Whether the runtime that was asked has it registered.")
    live: int = Field(description="How many instances that are active or paused are on it.")
    total: int = Field(description="How many instances are on it, the finished ones included.")


class ProblemDetails(BaseModel):
    """An error as RFC 9457 describes it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the kind of error.")
    hint: str | None = None
