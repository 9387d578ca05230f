"""What decorators are told about how things run, read; and told in the words of the one who wrote it when it cannot be."""

import reprlib
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import ValidationError

from detent.definition.duration import hint_for_arguments, read_duration
from detent.definition.retries import RetryLike, read_retry
from detent.definition.shape import hint_of, shape_problems
from detent.errors import RegistrationInvalid
from detent.retry import Retry

Read = TypeVar("Read")


def retry_option(name: str, written: RetryLike | None) -> Retry | None:
    """The retry policy of what is called `name`; `None` where nothing is said. Raises `RegistrationInvalid`."""
    return None if written is None else _read(name, "retry", read_retry, written, lambda _, error: hint_of(error))


def timeout_option(name: str, written: timedelta | str | None) -> timedelta | None:
    """The timeout of what is called `name`; `None` where nothing is said. Raises `RegistrationInvalid`."""
    if written is None:
        return None
    length = _read(name, "timeout", read_duration, written, hint_for_arguments)
    if length <= timedelta(0):
        raise RegistrationInvalid(name, f"its timeout is {written!r}, and it must be longer than nothing")
    return length


def _read(
    name: str,
    option: str,
    read: Callable[[object], Read],
    written: object,
    hint: Callable[[object, ValueError], str | None],
) -> Read:
    try:
        return read(written)
    except ValidationError as error:
        first, *others = shape_problems(error)
        told = "; ".join(f"{problem.path}: {problem.message}".removeprefix(": ") for problem in (first, *others))
        raise RegistrationInvalid(name, f"its {option} cannot be read: {told}", hint=first.hint) from None
    except ValueError as error:
        shown = f"its {option} is {reprlib.repr(written)}, which cannot be read: {error}"
        raise RegistrationInvalid(name, shown, hint=hint(written, error)) from None
