"""What is handed over when a trigger fires: by who fires it to its step, and by the step to what starts flows."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from detent.errors import DetentError
from detent.json_values import JsonObject, JsonValue
from detent.triggers.trigger import Trigger


@dataclass(slots=True)
class Call:
    """A call or a message: handed to the command, and not stored by itself."""

    source: str
    """`http`, `event` or `manual`."""
    value: JsonValue
    key: str | None = None
    tenant: str | None = None
    """Of the message, where the trigger is nobody's."""
    labels: JsonObject = field(default_factory=dict)
    error: DetentError | None = None
    """Why nothing was started, once the command has run: it is logged there, and raised to who fired."""


@dataclass(frozen=True, slots=True)
class Start:
    """One execution that a trigger wants started."""

    trigger: Trigger
    trigger_id: UUID
    tenant: str
    source: str
    """`cron`, `http`, `event`, `manual` or `backfill`."""
    value: JsonValue = None
    """What stands under the trigger's `context_key`."""
    key: str | None = None
    """Of the same key there is one execution."""
    labels: JsonObject = field(default_factory=dict)
    """What its metadata tells besides."""


class Starter(Protocol):
    """Starts executions."""

    async def start(self, wanted: Start, connection: object) -> tuple[UUID, bool]:
        """The execution, in the transaction of `connection`, and whether it is new."""
        ...
