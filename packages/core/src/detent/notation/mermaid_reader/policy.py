"""How a worker takes, repeats and times the work of a state: said on an arrow of the state to itself, or in the front matter.

`attempts`, `initial`, `factor`, `maximum` and `jitter` are those of a retry policy; `timeout` and `queue` are of the command.
`backoffMs` is gamgee's: a wait of up to so many milliseconds by chance after the first failure, and of up to twice as many
after each further one.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from detent.definition.commands import CommandRef
from detent.definition.duration import duration_text
from detent.definition.shape import shape_problems
from detent.problems import did_you_mean

_KEY = re.compile(r"[A-Za-z_]\w*")
_WHOLE, _NUMBERS = frozenset({"attempts", "backoffMs"}), frozenset({"factor", "jitter"})
_RETRY = ("attempts", "initial", "factor", "maximum", "jitter")
_OF_COMMAND = ("timeout", "queue")
KEYS = ("attempts", "backoffMs", *_RETRY[1:], *_OF_COMMAND)
"""What may be said."""


def read_pairs(text: str) -> list[tuple[str, str]] | None:
    """The pairs of a label that is nothing but `key=value, key=value`, with commas or blanks between; `None` for any other."""
    if "=" not in text:
        return None
    words = " ".join(text.replace(",", " ").split())
    for written in (" = ", " =", "= "):
        words = words.replace(written, "=")
    pairs = [word.partition("=") for word in words.split(" ")]
    well = all(_KEY.fullmatch(key) and value and "=" not in value for key, _, value in pairs)
    return [(key, value) for key, _, value in pairs] if well else None


def read_policy(said: Mapping[str, Any]) -> dict[str, Any]:
    """The `retry`, `timeout` and `queue` of a command, as they are written in a definition. Raises `ValueError`."""
    unknown = next((key for key in said if key not in KEYS), None)
    if unknown is not None:
        hint = did_you_mean(unknown, KEYS)
        raise ValueError(f"{unknown!r} is none of {', '.join(KEYS)}" + (f"; {hint}" if hint else ""))
    values = {key: _read(key, value) for key, value in said.items()}
    if "backoffMs" in values:
        if "initial" in values:
            raise ValueError("`backoffMs` and `initial` say the same")
        values = {"jitter": 1.0, **values, "initial": _half(values.pop("backoffMs"))}
    retry = {key: values[key] for key in _RETRY if key in values}
    written = {**({"retry": retry} if retry else {}), **{key: values[key] for key in _OF_COMMAND if key in values}}
    _check(written)
    return written


def _check(written: Mapping[str, Any]) -> None:
    """Raise `ValueError` for what no command can be written with, so that it is told where it stands."""
    try:
        CommandRef.model_validate({"name": "work", **written})
    except ValidationError as error:
        first = next(iter(shape_problems(error)))
        hint = f"; {first.hint}" if first.hint else ""
        raise ValueError(f"{first.path.removeprefix('retry.')}: {first.message}{hint}") from None


def _read(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value) if key in _WHOLE else float(value) if key in _NUMBERS else value
    except ValueError:
        what = "whole number" if key in _WHOLE else "number"
        raise ValueError(f"{key} is {value!r}, which is no {what}") from None


def _half(milliseconds: object) -> str:
    """The delay which chance doubles at most, and leaves nothing of at least."""
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or milliseconds < 1:
        raise ValueError(f"backoffMs is {milliseconds!r}, and must be a whole number from 1")
    try:
        return duration_text(timedelta(milliseconds=milliseconds) / 2)
    except OverflowError:
        raise ValueError(f"backoffMs is {milliseconds}, which is beyond all time") from None
