"""Selectors: which part of a context a command gets, as data; and where its answer is put.

A path is keys joined by dots; a number steps into a list. Only keys and indices of JSON values are followed: nothing
is evaluated and no attribute is read. What is not there is `None`.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Tag

from detent.definition.part import JsonValueField, Part
from detent.definition.shape import TAG, fault
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue

PLACE = re.compile(r"\\\$\{|\$\{([^{}]+)\}")
"""A place of a template, whose first group is what stands in it; or `\\${`, without a group."""
_ABSENT = object()


def _dot_path(path: str) -> str:
    if "" in path.split("."):
        raise fault("bad_path", f"{path!r} is not a path", hint="write keys joined by dots, like order.total")
    return path


DotPath = Annotated[str, AfterValidator(_dot_path)]
"""A place in a context: `order.lines.0.sku`."""


class KeySelector(Part):
    """The value of one top-level key, which is taken literally: dots in it are not followed."""

    key: str
    """The key."""


class KeysSelector(Part):
    """An object of those keys that the context has."""

    keys: tuple[str, ...]
    """The keys, each taken literally."""


class PathSelector(Part):
    """The value at a path."""

    path: DotPath
    """The path."""


class TemplateSelector(Part):
    r"""A JSON value whose texts are filled in: `${a.b}` alone becomes the value itself, inside other text its text.

    What is missing is `null`, or no text; `${a.b:-none}` says what stands there instead, and `${a.b:?}` refuses. `\${` is `${`.
    """

    template: JsonValueField
    """The value; the keys of its objects are left alone."""


class FullSelector(Part):
    """The whole context."""

    full: Literal[True]
    """Always true."""


class StaticSelector(Part):
    """A value that does not depend on the context."""

    static: JsonValueField
    """The value."""


_KINDS: dict[str, type[Part]] = {
    "key": KeySelector,
    "keys": KeysSelector,
    "path": PathSelector,
    "template": TemplateSelector,
    "full": FullSelector,
    "static": StaticSelector,
}


def _kind(written: object) -> str | None:
    if isinstance(written, Mapping):
        return next((TAG + key for key in written if key in _KINDS), None)
    return next((TAG + key for key, kind in _KINDS.items() if isinstance(written, kind)), None)


Selector: TypeAlias = Annotated[
    Annotated[KeySelector, Tag(TAG + "key")]
    | Annotated[KeysSelector, Tag(TAG + "keys")]
    | Annotated[PathSelector, Tag(TAG + "path")]
    | Annotated[TemplateSelector, Tag(TAG + "template")]
    | Annotated[FullSelector, Tag(TAG + "full")]
    | Annotated[StaticSelector, Tag(TAG + "static")],
    Discriminator(
        _kind,
        custom_error_type="bad_selector",
        custom_error_message="must be an object with one of the keys " + ", ".join(_KINDS),
    ),
]
"""One of the selectors, told apart by its key."""
SelectorLike: TypeAlias = (
    Mapping[str, Any] | KeySelector | KeysSelector | PathSelector | TemplateSelector | FullSelector | StaticSelector
)
"""What may be written where a selector is wanted."""


def select(selector: Selector, context: JsonObject) -> JsonValue:
    """The JSON value that `selector` picks from `context`, sharing nothing with either."""
    return copy.deepcopy(_selected(selector, context))


def _selected(selector: Selector, context: JsonObject) -> JsonValue:
    match selector:
        case KeySelector(key=key):
            return context.get(key)
        case KeysSelector(keys=keys):
            return {key: context[key] for key in keys if key in context}
        case PathSelector(path=path):
            return look_up(context, path)
        case TemplateSelector(template=template):
            return _filled(template, context)
        case FullSelector():
            return dict(context)
        case StaticSelector(static=static):
            return static


def keys_read(selector: Selector) -> frozenset[str] | None:
    """The top-level keys that `selector` may read; `None` for all of them."""
    match selector:
        case KeySelector(key=key):
            return frozenset([key])
        case KeysSelector(keys=keys):
            return frozenset(keys)
        case PathSelector(path=path):
            return frozenset([path.split(".")[0]])
        case TemplateSelector(template=template):
            return frozenset(_keys_in(template))
        case FullSelector():
            return None
        case StaticSelector():
            return frozenset()


def look_up(context: JsonObject, path: str, *, default: JsonValue = None) -> JsonValue:
    """The value at `path`, or `default` where there is none."""
    value: JsonValue = context
    for step in path.split("."):
        value = _step(value, step)
        if value is _ABSENT:
            return default
    return value


def put(context: JsonObject, path: str, value: JsonValue) -> None:
    """Sets `value` at `path` in `context`, in place, and creates the objects on the way.

    Raises `InvalidValue`, and leaves `context` as it was, where the path is empty or would walk through something
    that is not an object.
    """
    *way, last = path.split(".")
    if "" in (*way, last):
        raise InvalidValue(f"context.{path}", "is not a path", hint="write keys joined by dots, like order.total")
    _check_way(context, way, path)
    for step in way:
        context = context.setdefault(step, {})
    context[last] = value


def _check_way(context: JsonValue, way: list[str], path: str) -> None:
    for depth, step in enumerate(way, 1):
        context = context.get(step, {})
        if not isinstance(context, dict):
            walked = ".".join(way[:depth])
            raise InvalidValue(f"context.{path}", f"cannot be set, because context.{walked} is not an object")


def _step(value: JsonValue, step: str) -> JsonValue:
    if isinstance(value, dict):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return _ABSENT


def _filled(template: JsonValue, context: JsonObject) -> JsonValue:
    if isinstance(template, dict):
        return {key: _filled(value, context) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, context) for value in template]
    return _filled_text(template, context) if isinstance(template, str) else template


def _filled_text(template: str, context: JsonObject) -> JsonValue:
    alone = PLACE.fullmatch(template)
    if alone and alone[1]:
        return _place(alone[1], context, missing=None)
    return PLACE.sub(lambda place: _text(_place(place[1], context, missing="")) if place[1] else "${", template)


def _place(written: str, context: JsonObject, *, missing: JsonValue) -> JsonValue:
    """The value that `path`, `path:-default` or `path:?` stands for. Raises `InvalidValue` for the last, where there is none."""
    path, rest = path_and_rest(written)
    value = look_up(context, path, default=_ABSENT)
    if value is not _ABSENT:
        return value
    if rest.startswith("?"):
        raise InvalidValue(f"context.{path}", rest[1:].strip() or "is missing, and a template needs it")
    return rest[1:] if rest else missing


def path_and_rest(written: str) -> tuple[str, str]:
    """A place taken apart; the rest is `-default`, `?message` or nothing."""
    path, colon, rest = written.partition(":")
    return (written.strip(), "") if colon and not rest.startswith(("-", "?")) else (path.strip(), rest)


def _keys_in(template: JsonValue) -> Iterator[str]:
    """The top-level keys that the places in a template begin with."""
    if isinstance(template, dict):
        template = list(template.values())
    if isinstance(template, list):
        for value in template:
            yield from _keys_in(value)
    elif isinstance(template, str):
        for place in PLACE.finditer(template):
            if place[1]:
                yield path_and_rest(place[1])[0].split(".")[0]


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
