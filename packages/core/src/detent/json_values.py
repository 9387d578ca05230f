"""JSON values: what callers may hand over, checked once at the door and copied, so that nothing behind re-checks.

Refused here because one layer would take it and the next would not: NaN and infinities, NUL characters and lone
surrogates, numbers that JSON readers do not take back, keys that are not text, and nesting beyond `MAX_DEPTH`.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from detent.errors import InvalidValue

JsonValue: TypeAlias = Any
"""`None`, `bool`, `int`, `float`, `str`, a list of them, or a dict from `str` to them."""
JsonObject: TypeAlias = dict[str, JsonValue]
"""A JSON object."""

MAX_DEPTH = 32
"""How deep lists and objects may nest."""
MAX_INTEGER_BITS = 1024
"""Larger integers are refused: Python stops reading them back at 4,300 digits, other readers far earlier."""


def json_value(value: object, path: str) -> JsonValue:
    """A copy of `value` that is JSON and shares nothing with it; tuples become lists.

    `path` names the value in the error, `InvalidValue`, which says where inside it the fault is and why.
    """
    return _copy(value, path, MAX_DEPTH)


def json_object(value: object, path: str) -> JsonObject:
    """A copy of `value` as a JSON object; `None` becomes an empty one. Raises `InvalidValue`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        reason = f"must be an object with text keys, not {type(value).__name__}"
        raise InvalidValue(path, reason, hint=_spelling(value) if hasattr(value, "model_dump") else None)
    copied: JsonObject = _copy(value, path, MAX_DEPTH)
    return copied


def _copy(value: object, path: str, depth: int) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return _integer(value, path)
    if isinstance(value, float):
        return _number(value, path)
    if depth == 0:
        raise InvalidValue(path, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {_key(key, path): _copy(item, f"{path}.{key}", depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item, f"{path}[{index}]", depth - 1) for index, item in enumerate(value)]
    raise InvalidValue(path, f"is a {type(value).__name__}, which is not JSON", hint=_spelling(value))


def _text(value: str, path: str) -> str:
    if "\0" in value:
        raise InvalidValue(path, "contains a NUL character, which PostgreSQL cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(path, "contains a lone surrogate, which is not valid Unicode") from None
    return str(value)


def _integer(value: int, path: str) -> int:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise InvalidValue(path, f"is an integer of more than {MAX_INTEGER_BITS} bits")
    return int(value)


def _number(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise InvalidValue(path, f"is {value}, which JSON cannot express")
    return float(value)


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise InvalidValue(path, f"has the key {key!r}, and keys of JSON objects are text")
    return _text(key, path)


def _spelling(value: object) -> str | None:
    if hasattr(value, "isoformat"):
        return "pass value.isoformat()"
    if hasattr(value, "model_dump"):
        return "pass value.model_dump(mode='json')"
    if isinstance(value, set | frozenset):
        return "pass a list"
    return "pass a text, a number, a list or an object"
