"""What changed in a context from one history entry to the next: a pure function of the two."""

from collections.abc import Iterator

from pydantic_core import to_json

from detent.json_values import JsonObject, JsonValue, copy_value
from detent.store.records import ContextChange

MAX_BYTES = 16 * 1024
"""How large the changes of one entry may be, as JSON, and keep their values."""


def changes_between(before: JsonObject, after: JsonObject) -> tuple[ContextChange, ...]:
    """What leads from one context to the other, by path; nothing where they are equal. It shares no JSON with them.

    Objects are looked into, lists and all other values are replaced whole. Top-level keys that begin with `$` are Detent's
    own and left out. Changes beyond `MAX_BYTES` keep their paths alone, and where these are too many, one stands for all.
    """
    if before is after:
        return ()
    changes = _between(_of_the_application(before), _of_the_application(after), "")
    # By path, because stores do not keep the order of keys.
    return _bounded(tuple(sorted(changes, key=lambda change: change.path)))


def _of_the_application(context: JsonObject) -> JsonObject:
    return {key: value for key, value in context.items() if not key.startswith("$")}


def _between(before: JsonObject, after: JsonObject, within: str) -> Iterator[ContextChange]:
    for key, was in before.items():
        path = f"{within}/{_token(key)}"
        if key not in after:
            yield ContextChange("remove", path, was=copy_value(was))
        else:
            yield from _at(path, was, after[key])
    for key, value in after.items():
        if key not in before:
            yield ContextChange("add", f"{within}/{_token(key)}", value=copy_value(value))


def _at(path: str, was: JsonValue, value: JsonValue) -> Iterator[ContextChange]:
    if isinstance(was, dict) and isinstance(value, dict):
        yield from _between(was, value, path)
    elif not _equal(was, value):
        yield ContextChange("replace", path, copy_value(value), copy_value(was))


def _equal(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are the same JSON. For Python `True`, `1` and `1.0` are equal, also within lists."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and bool(one == other)


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _bounded(changes: tuple[ContextChange, ...]) -> tuple[ContextChange, ...]:
    if _fit(changes):
        return changes
    paths = tuple(ContextChange(change.op, change.path, omitted=True) for change in changes)
    return paths if _fit(paths) else (ContextChange("replace", "", omitted=True),)


def _fit(changes: tuple[ContextChange, ...]) -> bool:
    return not changes or len(to_json([change.to_json() for change in changes])) <= MAX_BYTES
