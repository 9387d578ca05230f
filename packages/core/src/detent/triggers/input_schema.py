"""Whether JSON is what a trigger takes, with every error at its place."""

from detent.definition.json_schema import schema_problems
from detent.json_values import JsonObject, JsonValue
from detent.triggers.errors import InputError


def input_errors(schema: JsonObject | None, value: JsonValue) -> tuple[InputError, ...]:
    """Everything in which `value` is not what `schema` wants, by place; nothing where there is no schema."""
    return tuple(InputError(one.path, one.message, one.code) for one in schema_problems(schema, value))
