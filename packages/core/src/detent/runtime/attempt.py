"""One attempt to take one event, as its caller asked for it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonObject, JsonValue, json_object, json_value
from detent.store.records import CommandRecord

CREATED = "$created"
"""The event of an instance's first history entry."""
ON_ENTER = "$on_enter"
"""The event of an automatic hop."""


@dataclass(slots=True)
class Attempt:
    """What was asked, checked to be JSON, and how far it came."""

    instance_id: UUID
    event: str
    subject: Any
    payload: JsonValue
    trigger_metadata: JsonObject
    by_timer: bool = False
    """Whether the event fires by itself because its deadline has passed."""
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

    def restart(self) -> None:
        """Forget how far it came: the step is taken anew."""
        self.reached = False
        self.raised = self.raised_in = None
        self.ran.clear()

    def blame(self, error: Exception, where: str) -> None:
        """Keep that `error` was raised in the guard or command that `where` names, and say so in the error's notes."""
        self.raised, self.raised_in = error, where
        error.add_note(f"in {where}, instance {self.instance_id}")


def new_attempt(instance_id: UUID, event: str, *, subject: Any, payload: object, trigger_metadata: object) -> Attempt:
    """An attempt over copies of the caller's values. Raises `InvalidValue` where they are not JSON."""
    return Attempt(
        instance_id=instance_id,
        event=event,
        subject=subject,
        payload=json_value(payload, "payload"),
        trigger_metadata=json_object(trigger_metadata, "trigger_metadata"),
    )
