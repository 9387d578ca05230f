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
    retry_on: tuple[type[Exception], ...] = ()
    """Only these errors are worth another attempt; with none named, all are. Not part of a written definition."""
    give_up_on: tuple[type[Exception], ...] = ()
    """These errors are not worth another attempt. Not part of a written definition."""

    def exhausted(self, attempts: int) -> bool:
        """Whether `attempts` failed attempts leave none to make."""
        return attempts >= self.attempts

    @property
    def at_most_once(self) -> bool:
        """Whether there is one attempt only, so that one whose outcome is not known must not be made again."""
        return self.attempts == 1

    def worth_repeating(self, error: BaseException) -> bool:
        """Whether another attempt may help after `error`."""
        if isinstance(error, self.give_up_on):
            return False
        return not self.retry_on or isinstance(error, self.retry_on)

    def delay(self, attempts: int, *, chance: float | None = None) -> timedelta:
        """How long to wait after the `attempts`-th failure; `chance` in 0..1 replaces the random draw."""
        try:
            grown = self.initial.total_seconds() * self.factor ** (attempts - 1)
        except OverflowError:
            grown = self.maximum.total_seconds()
        seconds = min(grown, self.maximum.total_seconds())
        draw = random.random() if chance is None else chance
        return timedelta(seconds=seconds * (1 + self.jitter * (2 * draw - 1)))


NEVER = Retry(attempts=1)
"""One attempt, and no other even when its worker dies: what is written as `"never"`."""
