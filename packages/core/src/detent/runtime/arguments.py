"""What callers pass, checked before anything runs."""

from datetime import datetime, timedelta
from typing import Any, TypeGuard
from uuid import UUID

from detent.definition.duration import duration_argument
from detent.errors import InvalidValue
from detent.ids import as_id
from detent.store.records import WorkflowInstance

MAX_PAGE = 1000
"""How much one answer holds at most."""


def id_of(value: UUID | str | WorkflowInstance, path: str = "instance_id") -> UUID:
    """The id that `value` is, spells or has. Raises `InvalidValue`."""
    if isinstance(value, WorkflowInstance):
        return value.id
    try:
        return as_id(value)
    except (ValueError, TypeError, AttributeError):
        raise InvalidValue(path, f"is {value!r}, which is not a UUID") from None


def check_limit(limit: object, *, most: int = MAX_PAGE, path: str = "limit") -> None:
    """Raise `InvalidValue` unless `limit` is a whole number from 1 to `most`."""
    if not is_whole(limit) or not 1 <= limit <= most:
        raise InvalidValue(path, f"must be a whole number from 1 to {most}")


def check_sequence(before: object) -> None:
    """Raise `InvalidValue` unless `before` is `None` or the sequence of a history entry."""
    if before is not None and (not is_whole(before) or before < 1):
        raise InvalidValue("before", "must be a sequence, a whole number from 1")


def check_instant(value: Any, path: str) -> datetime | None:
    """`value` when it is `None` or an instant with its time zone. Raises `InvalidValue`."""
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        raise InvalidValue(path, "must be a datetime with a time zone")
    return value


def check_duration(value: timedelta | str, path: str) -> timedelta:
    """The length of time that `value` is or says. Raises `InvalidValue`."""
    return duration_argument(value, path)


def check_period(value: timedelta | str, path: str) -> timedelta:
    """The length of time that `value` is or says, longer than nothing. Raises `InvalidValue`."""
    length = check_duration(value, path)
    if length <= timedelta(0):
        raise InvalidValue(path, "must be longer than nothing")
    return length


def check_timeout(timeout: float | timedelta | str, path: str = "timeout") -> timedelta:
    """How long a caller waits at most: a length of time, as a text or in seconds, nothing included. Raises `InvalidValue`."""
    if isinstance(timeout, int | float):
        try:
            length = timedelta(seconds=timeout)
        except (ValueError, OverflowError):
            raise InvalidValue(path, "must be a length of time, such as 30s or 30") from None
    else:
        length = check_duration(timeout, path)
    if length < timedelta(0):
        raise InvalidValue(path, "must not be negative", hint="pass 0s to look once, or a length of time such as 30s")
    return length


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is a whole number, which `True` is not."""
    return isinstance(value, int) and not isinstance(value, bool)
