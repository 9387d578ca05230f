"""Whether JSON is what a trigger takes, by a JSON Schema, with every error at its place."""

from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from detent.definition.shape import dotted
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.triggers.errors import InputError

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

MOST = 50
"""How many errors are told of one body."""


def check_schema(schema: JsonObject) -> str | None:
    """Why `schema` is not a JSON Schema; `None` where it is one."""
    if jsonschema is None:  # pragma: no cover - the extra is installed where this is tested
        return "it cannot be read without detent[schema]"
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return str(error.message)
    return None


def input_errors(schema: JsonObject | None, value: JsonValue) -> tuple[InputError, ...]:
    """Everything in which `value` is not what `schema` wants, by place; nothing where there is no schema."""
    if schema is None:
        return ()
    validator = _validator(to_json(schema))
    try:
        found = [next_ for next_, _ in zip(validator.iter_errors(value), range(MOST), strict=False)]
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        raise InvalidValue("input_schema", f"cannot be followed: {error}") from None
    told = [InputError(dotted(error.absolute_path), error.message[:500], str(error.validator)) for error in found]
    return tuple(sorted(told, key=lambda error: (error.path, error.keyword)))


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    of = jsonschema.Draft202012Validator
    return of(from_json(schema), registry=referencing.Registry(), format_checker=of.FORMAT_CHECKER)
