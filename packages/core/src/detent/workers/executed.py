"""What became of one call that worked on a waiting instance."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.records import Status


class WorkOutcome(StrEnum):
    """How far a call came with the instance that it worked on. The words are gamgee's."""

    COMPLETED = "completed"
    """The instance has ended; its `status` says how."""
    STOPPED = "stopped"
    """It goes on later, here or elsewhere: an attempt is to be repeated, it waits for an event or for its branches, it is paused,
    or its next step waits.
    """
    UNRECOVERABLE = "unrecoverable"
    """Its run is parked: attempts are used up, or cannot help. `recover` puts it back."""
    NONE = "none"
    """Nothing that fits has waited within the time."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What a call did, and where it left the instance; all but `outcome` are `None` where there was none."""

    outcome: WorkOutcome
    instance_id: UUID | None = None
    workflow: str | None = None
    state: str | None = None
    """Its state, as committed."""
    status: Status | None = None
    run_id: UUID | None = None
    """The run that was worked on last."""
    error: JsonObject | None = None
    """`code`, `message` and, where something was raised, `traceback` of what made it unrecoverable."""
