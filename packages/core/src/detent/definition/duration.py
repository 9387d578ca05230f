"""Lengths of time as people write them: `14d`, `1h30m`, `1.5s`, or ISO 8601 (`P14D`, `PT1H30M`)."""

import re
import reprlib
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

from detent.definition.shape import fault, hint_of
from detent.errors import InvalidValue

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
SHORT_PATTERN = "^-?" + "".join(f"(?:{_NUMBER}{unit})?" for unit in _UNITS) + "$"
"""The short form as a regular expression: every unit at most once, the largest first."""

_SHORT = re.compile("(?P<sign>-?)" + "".join(f"(?:(?P<{name}>{_NUMBER}){unit})?" for unit, name in _UNITS.items()))
_ISO = TypeAdapter(timedelta)
_HINT = "write it like 14d, 1h30m, 45s, or in ISO 8601 like P14D"


def parse_duration(text: str) -> timedelta:
    """The length of time that `text` says; raises `ValueError` where it says none.

    What no `timedelta` can hold becomes the longest one, so that it is reported as too long and not as unreadable.
    """
    try:
        return _iso(text) if text.lstrip("+-").startswith("P") else _short(text)
    except OverflowError:
        return timedelta.max


def duration_text(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as `duration`: `14d`, `1h30m`, `0s`."""
    if duration < timedelta(0):
        return "-" + duration_text(-duration)
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0").rstrip(".")
    counts = {"d": str(duration.days), "h": str(hours), "m": str(minutes), "s": f"{seconds}{fraction}"}
    return "".join(f"{count}{unit}" for unit, count in counts.items() if count != "0") or "0s"


def read_duration(value: object) -> timedelta:
    """The length of time that `value` is or says; raises `ValueError`, also for bare numbers, which have no unit."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise fault("unreadable_duration", f"{reprlib.repr(value)} is not a duration", hint=_HINT)


def duration_argument(value: object, path: str, *, least: timedelta | None = None) -> timedelta:
    """The length of time that an argument is or says, `least` or longer. Raises `InvalidValue` with a hint for callers."""
    try:
        length = read_duration(value)
    except ValueError as error:
        raise InvalidValue(path, str(error), hint=hint_for_arguments(value, error)) from None
    if least is not None and length < least:
        raise InvalidValue(path, f"must not be {'negative' if not least else 'less than ' + duration_text(least)}")
    return length


def hint_for_arguments(value: object, error: ValueError) -> str | None:
    """What to pass instead of `value`, which `read_duration` refused with `error`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'a number has no unit: write "{value}s", or pass timedelta(seconds={value})'
    hint = hint_of(error)
    return hint and f"{hint}, or pass a timedelta"


def _short(text: str) -> timedelta:
    found = _SHORT.fullmatch(text.replace(" ", ""))
    numbers = found.groupdict(default="") if found else {"sign": ""}
    sign = -1 if numbers.pop("sign") else 1
    amounts = {unit: float(number) for unit, number in numbers.items() if number}
    if not amounts:
        raise fault("unreadable_duration", f"{reprlib.repr(text)} is not a duration", hint=_hint_for(text))
    return timedelta(**amounts) * sign


def _hint_for(text: str) -> str:
    milliseconds = re.fullmatch(rf"\s*({_NUMBER})\s*ms\s*", text)
    return f"write {float(milliseconds[1]) / 1000:g}s" if milliseconds else _HINT


def _iso(text: str) -> timedelta:
    if re.search(r"^[^T]*[YM]", text):
        raise fault(
            "unreadable_duration",
            f"{reprlib.repr(text)} counts years or months, which differ in length",
            hint="write days",
        )
    try:
        return _ISO.validate_python(text)
    except ValidationError:
        raise fault("unreadable_duration", f"{reprlib.repr(text)} is not an ISO 8601 duration", hint=_HINT) from None


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["14d", "1h30m", "PT30S"]}),
]
"""A field that holds a length of time and is written as text."""
