"""The fourteen operators by which a value of the context is compared. Types are strict: 1 is neither true nor "1"."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from detent.json_values import JsonValue
from detent_handlers.patterns import LONGEST_SEARCH, is_found, pattern_fault

Op: TypeAlias = Literal[
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "nin",
    "contains",
    "startsWith",
    "endsWith",
    "exists",
    "notExists",
    "matches",
]
"""Their names, which are FlowMonkey's."""

ABSENT: Any = object()
"""What stands at a path where nothing is."""

WITHOUT_VALUE = frozenset({"exists", "notExists"})
"""Those that compare with nothing."""

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
    (type(None), "null"),
)


def kind(value: JsonValue) -> str:
    """What JSON calls the type of a value; `absent` for what is not there."""
    return next((name for types, name in _KINDS if isinstance(value, types)), "absent")


def same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are equal and of one type, all the way down; 1 and 1.0 are one number."""
    if kind(one) != kind(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other)


def compare(op: Op, actual: JsonValue, value: JsonValue, *, seconds: float = LONGEST_SEARCH) -> bool:
    """Whether `actual`, which may be `ABSENT`, stands to `value` as `op` says; `value_fault` has nothing against it.

    Raises `TimeoutError` for a pattern that would take longer than `seconds`.
    """
    if op == "matches":
        return isinstance(actual, str) and is_found(value, actual, seconds)
    return _OPERATIONS[op](actual, value)


def value_fault(op: Op, value: JsonValue) -> str | None:
    """Why nothing can ever be compared with `value` by `op`; `None` where it can."""
    if op in ("in", "nin"):
        return None if isinstance(value, list) else "must be a list"
    if op in ("gt", "gte", "lt", "lte"):
        return None if kind(value) in ("number", "text") else "must be a number or a text"
    if op in ("startsWith", "endsWith"):
        return None if isinstance(value, str) else "must be a text"
    return pattern_fault(value) if op == "matches" else None


def _among(actual: JsonValue, values: list[JsonValue]) -> bool:
    return any(same(actual, value) for value in values)


def _contains(actual: JsonValue, value: JsonValue) -> bool:
    if isinstance(actual, list):
        return _among(value, actual)
    return isinstance(actual, str) and isinstance(value, str) and value in actual


def _ordered(compared: Callable[[Any, Any], bool]) -> Callable[[JsonValue, JsonValue], bool]:
    return lambda actual, value: kind(actual) == kind(value) and compared(actual, value)


_OPERATIONS: Mapping[Op, Callable[[JsonValue, Any], bool]] = {
    "eq": same,
    "neq": lambda actual, value: not same(actual, value),
    "gt": _ordered(lambda actual, value: actual > value),
    "gte": _ordered(lambda actual, value: actual >= value),
    "lt": _ordered(lambda actual, value: actual < value),
    "lte": _ordered(lambda actual, value: actual <= value),
    "in": _among,
    "nin": lambda actual, values: not _among(actual, values),
    "contains": _contains,
    "startsWith": lambda actual, value: isinstance(actual, str) and actual.startswith(value),
    "endsWith": lambda actual, value: isinstance(actual, str) and actual.endswith(value),
    "exists": lambda actual, _: actual is not ABSENT and actual is not None,
    "notExists": lambda actual, _: actual is ABSENT or actual is None,
}
