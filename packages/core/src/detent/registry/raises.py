"""What a durable command may raise to say how it wants to be repeated; any other exception is repeated as its policy says."""

import math
from datetime import timedelta

from detent.definition.duration import duration_argument
from detent.errors import InvalidValue


class RetryAfter(Exception):
    """The attempt failed and is to be repeated after this time, instead of after the policy's delay. It counts as an attempt.

    `after` is a `timedelta`, a number of seconds, or text such as `"10s"`. Raises `InvalidValue` where it is none of these, or
    negative.
    """

    def __init__(self, after: timedelta | float | str, message: str = "") -> None:
        said = _seconds(after) if isinstance(after, int | float) else after
        self.after: timedelta = duration_argument(said, "after", least=timedelta(0))
        super().__init__(message or f"again after {self.after}")


class GiveUp(Exception):
    """The attempt failed and repeating it is no use: what follows is what follows the last attempt."""

    def __init__(self, message: str, *, code: str = "gave_up") -> None:
        super().__init__(message)
        self.code = code


def _seconds(number: float) -> timedelta:
    if isinstance(number, bool) or math.isnan(number):
        raise InvalidValue("after", f"is {number!r}", hint='pass seconds, a timedelta, or text such as "10s"')
    try:
        return timedelta(seconds=number)
    except OverflowError:
        raise InvalidValue("after", f"is {number!r} seconds, which is too long") from None
