"""What a command or a guard is told about the step it is part of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.json_values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class GuardContext:
    """What a guard sees. It must not change anything: a guard may be asked several times for one event."""

    instance_id: UUID
    workflow: str
    event: str
    subject: Any
    """Whatever the caller passed along for this call; never stored."""
    context: JsonObject
    """A copy of the instance's context."""
    metadata: JsonObject
    payload: JsonValue
    """What came with the event, already valid."""
    trigger_metadata: JsonObject
    """Who and why."""
    now: datetime
    from_state: str
    guard_metadata: JsonObject
    """The metadata of the reference by which the definition names this guard."""
    tenant: str
    """Whose instance it is; empty without tenants."""


@dataclass(slots=True)
class CommandContext:
    """What a command gets: one is made for each command of each step.

    `ctx.context` is written to in place; assigning another object to it replaces what it holds.
    """

    instance_id: UUID
    workflow: str
    event: str
    """The event whose command this is; `$on_enter` for those of a state's entry."""
    subject: Any
    """Whatever the caller passed along for this call; never stored."""
    context: JsonObject
    """The instance's context. What is written here is stored with the step and wins over the state's own patch."""
    metadata: JsonObject
    payload: JsonValue
    """What came with the event, already valid."""
    trigger_metadata: JsonObject
    """Who and why."""
    now: datetime
    from_state: str
    """The state the instance is in while the command runs."""
    to_state: str
    """The state that is entered if no command fails."""
    transition_id: UUID
    """The same for every command and every history entry of this step."""
    command_metadata: JsonObject
    """The metadata of the reference by which the definition names this command."""
    input: JsonValue
    """What the reference's `input` selector took from the context; `None` without one."""
    tenant: str
    """Whose instance it is; empty without tenants."""
    connection: Any
    """Writes in the step's own transaction: an `AsyncSession`, a `SqliteConnection` or a `MemoryTransaction`, by store."""

    def __setattr__(self, name: str, value: Any) -> None:
        held = getattr(self, "context", None) if name == "context" else None
        if held is None or held is value:
            object.__setattr__(self, name, value)
            return
        replacement = dict(value)
        held.clear()
        held.update(replacement)
