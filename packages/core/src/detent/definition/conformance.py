"""Whether a part of a JSON object can belong to a model, as far as the part alone proves it.

A pydantic model is asked where the definition was made with one; otherwise JSON Schema, where `jsonschema` (extra
`schema`) is installed; otherwise nothing is found wrong. References to other documents are never followed.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from detent.definition.data_model import DataModel
from detent.json_values import JsonObject

try:
    import jsonschema as installed_jsonschema
    import referencing as installed_referencing
except ImportError:  # pragma: no cover - the extra is installed where this is tested
    installed_jsonschema = None  # type: ignore[assignment]
    installed_referencing = None  # type: ignore[assignment]

jsonschema: Any = installed_jsonschema
"""The library, or `None` where the extra `schema` is not installed."""
referencing: Any = installed_referencing
"""What looks up references for it; with an empty registry it never opens a connection."""


def schema_fault(schema: JsonObject) -> str | None:
    """Why `schema` is not a JSON Schema; `None` where it is one, or where that cannot be told."""
    if jsonschema is None:
        return None
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return str(error.message)
    return None


def misfits(model: DataModel, part: JsonObject) -> Iterator[tuple[str, str]]:
    """The keys of `part` that no valid object can have with these values, each with the reason."""
    if model.model_class is not None:
        yield from _misfits_of_class(model.model_class, part)
    elif jsonschema is not None and schema_fault(model.json_schema) is None:
        yield from _misfits_of_schema(model.json_schema, part)


def _misfits_of_class(model: type[BaseModel], part: JsonObject) -> Iterator[tuple[str, str]]:
    try:
        model.model_validate_json(to_json(part))
    except ValidationError as error:
        found = error.errors(include_url=False)
        wrong = [
            (line["loc"], line["msg"]) for line in found if not (line["type"] == "missing" and len(line["loc"]) == 1)
        ]
        yield from ((str(place[0]), reason) for place, reason in wrong if place and place[0] in part)
    except Exception:
        return


def _misfits_of_schema(schema: JsonObject, part: JsonObject) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties", {})
    for key, value in part.items():
        if key in properties:
            yield from ((key, reason) for reason in _reasons(schema, properties[key], value))
        elif schema.get("additionalProperties") is False and "patternProperties" not in schema:
            yield key, "there is no such property"


def _reasons(root: JsonObject, subschema: JsonObject, value: object) -> Iterator[str]:
    definitions = {key: root[key] for key in ("$defs", "definitions") if key in root}
    alone = definitions | {"allOf": [subschema]}
    validator = jsonschema.Draft202012Validator(alone, registry=referencing.Registry())
    try:
        yield from [error.message for error in validator.iter_errors(value)]
    except (referencing.exceptions.Unresolvable, RecursionError):
        return
