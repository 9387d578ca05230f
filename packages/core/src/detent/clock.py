"""Where time comes from. Nothing else in Detent asks the operating system what time it is."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time; tests inject one that stands still until it is moved."""

    def now(self) -> datetime:
        """The current instant, with its time zone."""
        ...


class SystemClock:
    """The clock of this process, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
