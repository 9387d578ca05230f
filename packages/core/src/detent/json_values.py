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


_MAPPINGS = (dict, Mapping)
"""Which a mapping is: it is seen of a `dict` at once, and of others by asking the abstract class."""

_CONTAINERS = (dict, list)
_SMALL = 2**53

_Path: TypeAlias = "str | tuple[_Path, object]"
"""Where a value stands: what the caller calls it, or a key or an index within such a place. Spelt out only for an error."""


def json_value(value: object, path: str) -> JsonValue:
    """A copy of `value` that is JSON and shares nothing with it; tuples become lists.

    `path` names the value in the error, `InvalidValue`, which says where inside it the fault is and why.
    """
    return _copy(value, path, MAX_DEPTH)


def json_object(value: object, path: str) -> JsonObject:
    """A copy of `value` as a JSON object; `None` becomes an empty one. Raises `InvalidValue`."""
    if value is None:
        return {}
    if not isinstance(value, _MAPPINGS):
        reason = f"must be an object with text keys, not {type(value).__name__}"
        raise InvalidValue(path, reason, hint=_spelling(value) if hasattr(value, "model_dump") else None)
    copied: JsonObject = _copy(value, path, MAX_DEPTH)
    return copied


def copy_value(value: JsonValue) -> JsonValue:
    """A JSON value with containers of its own, which is known to be JSON: it was checked before, or read from a store."""
    if isinstance(value, dict):
        return copy_object(value)
    if isinstance(value, list):
        return [copy_value(item) for item in value]
    return value


def copy_object(value: JsonObject) -> JsonObject:
    """The same for an object."""
    copied = dict(value)
    for key, item in copied.items():
        # Most values are no containers, and shared as they are.
        if isinstance(item, _CONTAINERS):
            copied[key] = copy_value(item)
    return copied


def _copy(value: object, path: _Path, depth: int) -> JsonValue:
    if isinstance(value, str):
        return _text(value, path)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _integer(value, path)
    if isinstance(value, float):
        return _number(value, path)
    if depth == 0:
        raise _fault(path, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, _MAPPINGS):
        return _copied(value, path, depth - 1)
    if isinstance(value, list | tuple):
        return [_copy(item, (path, index), depth - 1) for index, item in enumerate(value)]
    raise _fault(path, f"is a {type(value).__name__}, which is not JSON", hint=_spelling(value))


def _copied(value: Mapping[Any, Any], path: _Path, depth: int) -> JsonObject:
    copied: JsonObject = {}
    for key, item in value.items():
        # Every value goes through here several times a step: what is plainly fine is seen to be so without a call.
        name = key if type(key) is str and key.isascii() and "\0" not in key else _key(key, path)
        kind = type(item)
        if (
            item is None
            or kind is bool
            or (kind is int and -_SMALL < item < _SMALL)
            or (kind is str and item.isascii() and "\0" not in item)
        ):
            copied[name] = item
        else:
            copied[name] = _copy(item, (path, key), depth)
    return copied


def _text(value: str, path: _Path) -> str:
    if "\0" in value:
        raise _fault(path, "contains a NUL character, which PostgreSQL cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _fault(path, "contains a lone surrogate, which is not valid Unicode") from None
    return str(value)


def _integer(value: int, path: _Path) -> int:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise _fault(path, f"is an integer of more than {MAX_INTEGER_BITS} bits")
    return int(value)


def _number(value: float, path: _Path) -> float:
    if not math.isfinite(value):
        raise _fault(path, f"is {value}, which JSON cannot express")
    return float(value)


def _key(key: object, path: _Path) -> str:
    if not isinstance(key, str):
        raise _fault(path, f"has the key {key!r}, and keys of JSON objects are text")
    return _text(key, path)


def _fault(path: _Path, reason: str, *, hint: str | None = None) -> InvalidValue:
    return InvalidValue(_spelt(path), reason, hint=hint)


def _spelt(path: _Path) -> str:
    if isinstance(path, str):
        return path
    outer, inner = path
    return f"{_spelt(outer)}[{inner}]" if isinstance(inner, int) else f"{_spelt(outer)}.{inner}"


def _spelling(value: object) -> str | None:
    if hasattr(value, "isoformat"):
        return "pass value.isoformat()"
    if hasattr(value, "model_dump"):
        return "pass value.model_dump(mode='json')"
    if isinstance(value, set | frozenset):
        return "pass a list"
    return "pass a text, a number, a list or an object"
