"""Forms for JSON: which fields a JSON Schema asks for, and the JSON that was typed into them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from starlette.datastructures import FormData

from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue

Kind: TypeAlias = Literal["text", "date", "whole", "number", "yes", "choice", "json"]
"""How a value is typed in: `json` for whatever has no field of its own."""

PREFIX = "field:"
"""What the name of a field that holds a property starts with."""
WHOLE = "payload"
"""The field that holds all of it as JSON."""

_KINDS: Mapping[object, Kind] = {"string": "text", "integer": "whole", "number": "number", "boolean": "yes"}


@dataclass(frozen=True, slots=True)
class Field:
    """One property of the JSON that is wanted."""

    key: str
    kind: Kind
    required: bool
    label: str
    description: str = ""
    choices: tuple[str, ...] = ()
    """What may be chosen, as JSON."""
    default: str = ""
    minimum: str = ""
    """The smallest number that is taken, as JSON; empty where nothing is said."""
    maximum: str = ""

    @property
    def name(self) -> str:
        """What it is called in the form."""
        return PREFIX + self.key


def fields_of(schema: JsonObject | None) -> Sequence[Field] | None:
    """A field for each property of an object; `None` where the schema describes something else, or nothing."""
    properties = (schema or {}).get("properties")
    if schema is None or not isinstance(properties, Mapping) or schema.get("type", "object") != "object":
        return None
    required = schema.get("required")
    wanted = required if isinstance(required, list) else []
    return [_field(name, _plain(each, schema), required=name in wanted) for name, each in properties.items()]


def json_of(form: FormData, fields: Sequence[Field] | None, what: str = WHOLE) -> JsonValue:
    """What was typed in; a field that was left empty is left out unless it is required. Raises `InvalidValue`."""
    if fields is None:
        return read_json(str(form.get(what, "")), what)
    typed = {field.key: _typed(field, str(form.get(field.name, ""))) for field in fields}
    return {name: value for name, value in typed.items() if value is not _NOTHING}


def read_json(text: str, what: str) -> JsonValue:
    """The JSON in a text; `None` for an empty one. Raises `InvalidValue`."""
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(what, f"is not JSON: {error}") from None


_NOTHING: Any = object()


def _typed(field: Field, text: str) -> JsonValue:
    if field.kind in ("text", "date"):
        return text if text or field.required else _NOTHING
    if not text.strip():
        return _NOTHING
    if field.kind in ("whole", "number"):
        return _number(field, text.strip())
    return read_json(text, field.key)


def _number(field: Field, text: str) -> JsonValue:
    value = read_json(text, field.key)
    if isinstance(value, bool) or not isinstance(value, int if field.kind == "whole" else int | float):
        raise InvalidValue(field.key, f"must be a {'whole ' if field.kind == 'whole' else ''}number")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _field(name: str, described: Mapping[str, Any], *, required: bool) -> Field:
    choices = described.get("enum", [described["const"]] if "const" in described else None)
    listed = tuple(json.dumps(choice, ensure_ascii=False) for choice in choices) if isinstance(choices, list) else ()
    kind: Kind = "choice" if listed else _kind(described)
    return Field(
        key=name,
        kind=kind,
        required=required,
        label=str(described.get("title") or name),
        description=str(described.get("description") or ""),
        choices=listed,
        default=_default(described.get("default"), kind),
        minimum=_bound(described.get("minimum")),
        maximum=_bound(described.get("maximum")),
    )


def _kind(described: Mapping[str, Any]) -> Kind:
    written = described.get("type")
    if isinstance(written, list):
        real = [each for each in written if each != "null"]
        written = real[0] if len(real) == 1 else None
    if written == "string" and described.get("format") == "date":
        return "date"
    return _KINDS.get(written, "json") if isinstance(written, str) else "json"


def _default(value: object, kind: Kind) -> str:
    if value is None:
        return ""
    return value if kind in ("text", "date") and isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bound(value: object) -> str:
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _plain(described: object, schema: JsonObject, *, steps: int = 5) -> Mapping[str, Any]:
    """The description of a property with its references followed, so many steps, and without the `null` beside a type."""
    if not isinstance(described, Mapping):
        return {}
    found = _behind(described, schema)
    return described if found is None or not steps else _plain(found, schema, steps=steps - 1)


def _behind(described: Mapping[str, Any], schema: JsonObject) -> Mapping[str, Any] | None:
    """What a description leads to, by a reference or as the one that is not `null`; `None` where it speaks for itself."""
    reference = described.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        found = (schema.get("$defs") or {}).get(reference.removeprefix("#/$defs/"))
        return {**(found if isinstance(found, Mapping) else {}), **_without(described, "$ref")}
    options = described.get("anyOf")
    if not isinstance(options, list):
        return None
    real = [each for each in options if isinstance(each, Mapping) and each.get("type") != "null"]
    return {**_without(described, "anyOf"), **real[0]} if len(real) == 1 and len(options) == 2 else None


def _without(described: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: value for name, value in described.items() if name != key}
