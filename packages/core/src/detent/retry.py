"""When to try again: a policy as data, and the arithmetic that reads it. Nothing here waits."""

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how late a failed attempt is repeated."""

    attempts: int = 10
    """How many attempts there are in all, the first one included."""
    initial: timedelta = timedelta(seconds=1)
    """The delay after the first failure."""
    factor: float = 2.0
    """What each further delay is multiplied by."""
    maximum: timedelta = timedelta(hours=1)
    """The longest delay."""
    jitter: float = 0.1
    """The share of a delay, up or down, that is left to chance, so that failures do not come back in step."""

    def exhausted(self, attempts: int) -> bool:
        """Whether `attempts` failed attempts leave none to make."""
        return attempts >= self.attempts

    def delay(self, attempts: int, *, chance: float | None = None) -> timedelta:
        """How long to wait after the `attempts`-th failure; `chance` in 0..1 replaces the random draw."""
        try:
            grown = self.initial.total_seconds() * self.factor ** (attempts - 1)
        except OverflowError:
            grown = self.maximum.total_seconds()
        seconds = min(grown, self.maximum.total_seconds())
        draw = random.random() if chance is None else chance
        return timedelta(seconds=seconds * (1 + self.jitter * (2 * draw - 1)))
