"""What became of runs that were worked on."""

from dataclasses import dataclass
from enum import Enum


class Advanced(Enum):
    """What became of one claimed run."""

    COMPLETED = "completed"
    """Its transition is committed."""
    RETRYING = "retrying"
    """An attempt failed; it is repeated after a while."""
    PARKED = "parked"
    """It waits for an operator."""
    RELEASED = "released"
    """Others go on with it: its next command is of another queue, its instance is paused, or its version cannot run here."""
    LOST = "lost"
    """It was taken over or cancelled meanwhile; what was done here last is not kept."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How many runs came to what."""

    completed: int = 0
    retrying: int = 0
    parked: int = 0
    released: int = 0
    lost: int = 0

    @property
    def worked_on(self) -> int:
        """All of them."""
        return self.completed + self.retrying + self.parked + self.released + self.lost
