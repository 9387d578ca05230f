"""`delay`: a wait of a given length, or until an instant."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AliasChoices, Field, PlainValidator, WithJsonSchema, model_validator

from detent.definition.shape import fault
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, wait, wait_until
from detent.json_values import JsonObject, JsonValue
from detent_handlers.config import HandlerConfig, filled_in, unusable

_KEYS = ("ms", "seconds", "minutes", "hours", "days", "until")
_HINT = "write it like 2030-01-31T09:00:00Z or 2030-01-31T09:00:00+01:00"


def _instant(written: object) -> datetime:
    try:
        instant = datetime.fromisoformat(written) if isinstance(written, str) else written
    except ValueError:
        instant = None
    if not isinstance(instant, datetime):
        raise fault("unreadable_instant", "is not an instant in ISO 8601", hint=_HINT)
    if instant.utcoffset() is None:
        raise fault("instant_without_zone", "is an instant without its zone", hint=_HINT)
    return instant


_Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
_Instant = Annotated[datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


class DelayConfig(HandlerConfig):
    """How long to wait, as one or more amounts that are added up; or until when."""

    ms: Annotated[_Amount, Field(validation_alias=AliasChoices("ms", "delay_ms", "delayMs"))] = 0
    """Milliseconds."""
    seconds: _Amount = 0
    """Seconds."""
    minutes: _Amount = 0
    """Minutes."""
    hours: _Amount = 0
    """Hours."""
    days: _Amount = 0
    """Days of 24 hours."""
    until: _Instant | None = None
    """The instant, in ISO 8601 with its zone; one that has passed is over at once."""

    @property
    def length(self) -> timedelta:
        """The sum of the amounts. Raises `OverflowError` beyond what a `timedelta` holds."""
        return timedelta(
            days=self.days, hours=self.hours, minutes=self.minutes, seconds=self.seconds, milliseconds=self.ms
        )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.until is not None and self.model_fields_set - {"until"}:
            raise fault("two_delays", "says both how long and until when", hint="keep one of them")
        try:
            self.length  # noqa: B018 - it is asked for what it raises
        except OverflowError:
            raise fault("delay_too_long", "is longer than can be waited for") from None
        return self


def _needs_input(config: JsonObject) -> str | None:
    return None if config else "how long or until when, in its config or its input"


@handler("delay", name="Delay", category="control", targets=False, waits=True, needs_input=_needs_input)
async def delay(ctx: HandlerContext, config: DelayConfig, input: JsonValue) -> Result:
    """Waits for a time or until an instant, then goes on to `on_resume`, else to `on_success`.

    The wait is a timer of the execution: it takes no worker, and outlives all of them. Where the config says nothing at all, the
    step's input says it with the same keys; without that it fails with `INPUT_VALIDATION_FAILED`.
    """
    said = config if config.model_fields_set else filled_in(config, input, *_KEYS)
    if isinstance(said, Failure):
        return said
    if not said.model_fields_set:
        return unusable("neither the config nor the input says how long or until when")
    if said.until is not None:
        return wait_until(said.until, "a delay")
    if said.length > _longest(ctx.now):
        return unusable("the delay ends after the year 9999")
    return wait(said.length, "a delay")


def _longest(now: datetime) -> timedelta:
    return datetime.max.replace(tzinfo=now.tzinfo) - now
