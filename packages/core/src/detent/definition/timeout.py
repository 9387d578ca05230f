"""Timeouts: when an event fires by itself, counted from the entry into its state or read from the context."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Self, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, SerializationInfo, StrictBool
from pydantic_core import CoreSchema, core_schema

from detent.definition.duration import duration_text, parse_duration, read_duration
from detent.definition.part import Part
from detent.definition.selectors import DotPath, look_up
from detent.definition.shape import fault
from detent.errors import InvalidValue
from detent.json_values import JsonObject

_Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_ABSENT = object()


class WrittenTimeout(Part):
    """A timeout written as an object: amounts that are added up, or the path of a deadline in the context."""

    at: DotPath | None = None
    """Where the context holds the deadline."""
    optional: StrictBool = False
    """Whether a context without that path has no deadline."""
    interrupts: StrictBool = False
    """Whether it fires although a run is under way."""
    across: _Name | None = None
    """What the states are called together that share this deadline."""
    after_weeks: _Amount | None = None
    """Weeks after the entry; fractions are allowed here and below."""
    after_days: _Amount | None = None
    """Days after the entry."""
    after_hours: _Amount | None = None
    """Hours after the entry."""
    after_minutes: _Amount | None = None
    """Minutes after the entry."""
    after_seconds: _Amount | None = None
    """Seconds after the entry."""

    def amounts(self) -> dict[str, float]:
        """What was given, by unit, as `timedelta` takes it."""
        written = {unit: getattr(self, f"after_{unit}") for unit in _UNITS}
        return {unit: amount for unit, amount in written.items() if amount is not None}


@dataclass(frozen=True, slots=True)
class Timeout:
    """When an event fires by itself; exactly one of `after` and `at` is set."""

    after: timedelta | None = None
    """How long after the entry into the state."""
    at: str | None = None
    """The path at which the context holds the deadline when the state is entered."""
    interrupts: bool = False
    """Whether it fires although a run is under way, or is parked, in the state: the run is cancelled. Others wait for the run."""
    optional: bool = False
    """Whether a context without the path `at` has no deadline, as one with `null` there; otherwise it is refused."""
    across: str | None = None
    """What the states are called together that share this deadline: where an instance comes from one of them to another, the
    event's deadline goes on instead of being counted anew, until the event itself is taken.
    """

    def __post_init__(self) -> None:
        if (self.after is None) == (self.at is None):
            raise InvalidValue("timeout", "needs either `after` or `at`")

    @classmethod
    def read(cls, written: object) -> Self:
        """The timeout that `written` says: `"14d"`, `"P14D"`, a `timedelta`, `{after_days: 14}` or `{at: path}`."""
        if isinstance(written, cls):
            return written
        return cls._from_object(written) if isinstance(written, Mapping) else cls(after=read_duration(written))

    @classmethod
    def _from_object(cls, written: Mapping[str, Any]) -> Self:
        fields = WrittenTimeout.model_validate(written)
        amounts = fields.amounts()
        if (fields.at is None) == (not amounts):
            hint = "write {after_days: 14}, with as many units as needed, or {at: 'path.into.context'}"
            raise fault("bad_timeout", "must say either after how long or at which path", hint=hint)
        try:
            after = timedelta(**amounts) if amounts else None
        except OverflowError:
            after = timedelta.max
        return cls(after, fields.at, fields.interrupts, fields.optional, fields.across)

    @property
    def spoken(self) -> str:
        """The canonical short text, as diagrams show it: `14d`, `1h30m`, `at delivery.deadline`."""
        return f"at {self.at}" if self.after is None else duration_text(self.after)

    def deadline(self, entered_at: datetime, context: JsonObject) -> datetime | None:
        """When it fires in a state entered at `entered_at` with `context`; `None` if the context says `null`.

        Raises `InvalidValue` with the path where the context holds no deadline, or none that can be read.
        """
        if self.after is not None:
            return _later(entered_at, self.after, "timeout")
        path = f"context.{self.at}"
        value = look_up(context, str(self.at), default=None if self.optional else _ABSENT)
        if value is _ABSENT:
            raise InvalidValue(path, "is missing, and a timeout reads it", hint="null says that there is no deadline")
        return None if value is None else _instant(value, entered_at, path)

    def _written(self, info: SerializationInfo) -> str | dict[str, Any]:
        flags: dict[str, Any] = {"interrupts": True} if self.interrupts else {}
        flags |= {} if self.across is None else {"across": self.across}
        if self.after is None:
            return {"at": self.at, **({"optional": True} if self.optional else {}), **flags}
        if flags:
            return {**_long_form(self.after), **flags}
        return _long_form(self.after) if info.by_alias else duration_text(self.after)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read,
            json_schema_input_schema=handler.generate_schema(str | WrittenTimeout),
            serialization=core_schema.plain_serializer_function_ser_schema(cls._written, info_arg=True),
        )


TimeoutLike: TypeAlias = str | timedelta | Mapping[str, Any] | Timeout
"""What may be written where a timeout is wanted."""


def _instant(value: object, entered_at: datetime, path: str) -> datetime:
    if not isinstance(value, str):
        raise InvalidValue(path, f"is {value!r}, which is no deadline", hint="store an ISO 8601 text with a time zone")
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return _relative(value, entered_at, path)
    if instant.tzinfo is None:
        raise InvalidValue(path, f"is {value!r}, which has no time zone", hint="end it with Z or an offset")
    return instant


def _relative(value: str, entered_at: datetime, path: str) -> datetime:
    try:
        after = parse_duration(value)
    except ValueError:
        reason = f"is {value!r}, which is neither an ISO 8601 time with a zone nor a duration"
        raise InvalidValue(path, reason) from None
    if after <= timedelta(0):
        raise InvalidValue(path, f"is {value!r}, which is not positive")
    return _later(entered_at, after, path)


def _later(entered_at: datetime, after: timedelta, path: str) -> datetime:
    try:
        return entered_at + after
    except OverflowError:
        raise InvalidValue(path, f"of {duration_text(after)} is beyond the last date there is") from None


def _long_form(after: timedelta) -> dict[str, float]:
    """The object that duraflows reads; only seconds are unknown to it."""
    minutes, seconds = divmod(after.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    exact = seconds + after.microseconds / 1_000_000
    amounts = {"afterDays": after.days, "afterHours": hours, "afterMinutes": minutes, "afterSeconds": exact}
    return {unit: amount for unit, amount in amounts.items() if amount} or {"afterDays": 0}
