"""The retry policy of a command as it is written: durations as text, everything optional."""

import reprlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator

from detent.definition.duration import Duration
from detent.definition.part import Part
from detent.definition.shape import fault
from detent.problems import did_you_mean
from detent.retry import NEVER, Retry

_DEFAULT = Retry()


class WrittenRetry(Part):
    """A retry policy written as an object: `{attempts: 5, initial: "30s"}`."""

    attempts: int = Field(default=_DEFAULT.attempts, ge=1)
    """How many attempts there are in all, the first one included."""
    initial: Duration = Field(default=_DEFAULT.initial, gt=timedelta(0))
    """The delay after the first failure."""
    factor: float = Field(default=_DEFAULT.factor, ge=1, allow_inf_nan=False)
    """What each further delay is multiplied by."""
    maximum: Duration = Field(default=_DEFAULT.maximum, gt=timedelta(0))
    """The longest delay."""
    jitter: float = Field(default=_DEFAULT.jitter, ge=0, le=1)
    """The share of a delay, up or down, that is left to chance."""


def read_retry(written: object) -> Retry:
    """The policy that `written` is or says. Raises `ValueError`, of which `ValidationError` is one."""
    if isinstance(written, Retry):
        return written
    if written == "never":
        return NEVER
    if isinstance(written, str):
        message = f"must be 'never' or an object, not {reprlib.repr(written)}"
        raise fault("unknown_value", message, hint=did_you_mean(written, ["never"]))
    fields = WrittenRetry.model_validate(written)
    return Retry(**{name: getattr(fields, name) for name in WrittenRetry.model_fields})


def _write(retry: Retry) -> dict[str, Any] | str:
    if retry == NEVER:
        return "never"
    fields = {name: getattr(retry, name) for name in WrittenRetry.model_fields}
    return WrittenRetry.model_construct(**fields).model_dump(mode="json", exclude_defaults=True)


RetryField = Annotated[
    Retry,
    PlainValidator(read_retry, json_schema_input_type=WrittenRetry | Literal["never"]),
    PlainSerializer(_write),
]
"""A field that holds a retry policy."""
RetryLike: TypeAlias = Retry | Mapping[str, Any] | Literal["never"]
"""What may be written where a retry policy is wanted."""
