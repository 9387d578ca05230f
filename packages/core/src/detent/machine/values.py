"""Checks values against a pydantic model or a JSON Schema, so that both read alike: as a list of problems."""

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from detent.definition.data_model import DataModel
from detent.json_values import JsonValue
from detent.problems import Problem

_SchemaValidator: Any
_References: Any
try:
    from jsonschema import Draft202012Validator as _SchemaValidator
    from referencing import Registry as _References
except ImportError:  # the extra `schema` is not installed
    _SchemaValidator = _References = None

ValueCheck: TypeAlias = Callable[[JsonValue], list[Problem]]
"""The problems of a value; none when it is valid."""


class SchemaSupportMissing(Exception):
    """A JSON Schema is declared, and nothing is installed that can check it."""


def value_check(declared: DataModel) -> ValueCheck:
    """Checks by the model's class where the definition was written with it, else by its schema, as for a version that is
    known only as a stored snapshot. Raises `SchemaSupportMissing`.
    """
    if declared.model_class is not None:
        return _by_model(declared.model_class)
    if _SchemaValidator is None:
        raise SchemaSupportMissing
    # With an empty registry a reference to elsewhere is never fetched.
    return _by_schema(_SchemaValidator(declared.json_schema, registry=_References()))


def _by_model(model: type[BaseModel]) -> ValueCheck:
    def check(value: JsonValue) -> list[Problem]:
        try:
            # As JSON, so that a strict model takes the texts that JSON has for dates and ids.
            model.model_validate_json(to_json(value))
        except ValidationError as error:
            return model_problems(error)
        return []

    return check


def model_problems(error: ValidationError) -> list[Problem]:
    """What a pydantic model found, without the values, which may be secret."""
    return [
        Problem(_dotted(fault["loc"]), fault["type"], fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _by_schema(validator: Any) -> ValueCheck:
    def check(value: JsonValue) -> list[Problem]:
        faults = sorted(validator.iter_errors(value), key=lambda fault: list(map(str, fault.absolute_path)))
        return [Problem(_dotted(fault.absolute_path), str(fault.validator), fault.message) for fault in faults]

    return check


def _dotted(path: Any) -> str:
    return ".".join(str(part) for part in path)
