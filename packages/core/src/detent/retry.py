"""When to try again: a policy as data, and the arithmetic that reads it. Nothing here waits."""

import math
import random
import reprlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from detent.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how late a failed attempt is repeated. Raises `InvalidValue`."""

    attempts: int = 10
    """How many attempts there are in all, the first one included."""
    initial: timedelta = timedelta(seconds=1)
    """The delay after the first failure; none at all repeats at once."""
    factor: float = 2.0
    """What each further delay is multiplied by."""
    maximum: timedelta = timedelta(hours=1)
    """The longest delay, the first one included."""
    jitter: float = 0.1
    """The share of a delay, up or down, that is left to chance, so that failures do not come back in step."""
    retry_on: tuple[type[Exception], ...] = ()
    """Only these errors are worth another attempt; with none named, all are. Not part of a written definition."""
    give_up_on: tuple[type[Exception], ...] = ()
    """These errors are not worth another attempt. Not part of a written definition."""

    def __post_init__(self) -> None:
        if not _is_between(self.attempts, 1, kind=int):
            raise _refused(
                "attempts", self.attempts, "pass a whole number from 1, which makes one attempt and no other"
            )
        if not _is_between(self.factor, 1):
            raise _refused("factor", self.factor, "pass a number from 1, which makes all delays alike")
        if not _is_between(self.jitter, 0, 1):
            raise _refused("jitter", self.jitter, "pass a number from 0 to 1")
        for path, length in (("initial", self.initial), ("maximum", self.maximum)):
            if not _is_length(length):
                raise _refused(path, length, "pass a length of time such as timedelta(seconds=1)")
        for path, errors in (("retry_on", self.retry_on), ("give_up_on", self.give_up_on)):
            if not _are_kinds_of_error(errors):
                raise _refused(path, errors, "pass a tuple of exception classes such as (TimeoutError,)")

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


def _is_between(value: Any, least: float, most: float = math.inf, *, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most and value != math.inf


def _is_length(value: object) -> bool:
    return isinstance(value, timedelta) and value >= timedelta(0)


def _are_kinds_of_error(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in value)


def _refused(path: str, value: object, hint: str) -> InvalidValue:
    return InvalidValue(path, f"of a Retry cannot be {reprlib.repr(value)}", hint=hint)


NEVER = Retry(attempts=1)
"""One attempt, and no other even when its worker dies: what is written as `"never"`."""
