"""What every part of a definition has in common: how it is read, constructed and written.

A part is frozen, knows its keys in both spellings, and refuses any other key. `null` means *left out* wherever
leaving out is allowed, because that is what an empty line in YAML says.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from detent.definition.shape import fault, shape_problems, with_near_misses
from detent.definition.spelling import BOTH_SPELLINGS, camel
from detent.errors import DefinitionInvalid, InvalidValue
from detent.json_values import JsonObject, json_object, json_value

_Function = TypeVar("_Function", bound=Callable[..., Any])


def constructor(function: _Function) -> _Function:
    """Marks an `__init__` that only people call: pydantic goes past it when it reads data.

    It may therefore take what is natural to write in Python (`timeout="14d"`) with types that say so, while a
    definition that is read reports the faults of all its parts at once.
    """
    vars(function)["__pydantic_base_init__"] = True
    return function


class Part(BaseModel):
    """A frozen piece of a definition; constructing one with a fault of shape raises `DefinitionInvalid`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        alias_generator=BOTH_SPELLINGS,
        use_attribute_docstrings=True,
    )

    short_form: ClassVar[JsonSchemaValue | None] = None
    """The JSON Schema of what may be written instead of the object, if anything may."""

    @constructor
    def __init__(self, **written: Any) -> None:
        try:
            super().__init__(**written)
        except ValidationError as error:
            raise DefinitionInvalid(
                _label(type(self), written), shape_problems(error), part=type(self).__name__
            ) from None

    @classmethod
    def spellings(cls) -> dict[str, str]:
        """Every key that may be written, with the name of the field it sets."""
        fields = cls.model_fields
        return {name: name for name in fields} | {camel(name): name for name in fields}

    @classmethod
    def expand(cls, written: object) -> object:
        """The object that a short form stands for; anything else unchanged."""
        return written

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, written: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(cls._without_nulls(cls.expand(written)))
        except ValidationError as error:
            raise with_near_misses(error, cls.spellings()) from None

    @classmethod
    def _without_nulls(cls, written: object) -> object:
        if not isinstance(written, Mapping) or all(value is not None for value in written.values()):
            return written
        optional = {key for key, name in cls.spellings().items() if not cls.model_fields[name].is_required()}
        return {key: value for key, value in written.items() if value is not None or key not in optional}

    def __repr_args__(self) -> Any:
        """Only what differs from the defaults, so that a definition can be read in a failing test."""
        fields = type(self).model_fields
        defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
        return [(name, value) for name, value in super().__repr_args__() if value != defaults.get(str(name))]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(core_schema)
        described = handler.resolve_ref_schema(reference)
        _add_second_spelling(described, cls.model_fields)
        if cls.short_form is not None:
            described |= {"anyOf": [cls.short_form, dict(described)]}
            for key in described.keys() - {"anyOf"}:
                del described[key]
        return reference


def _label(part: type[Part], written: Mapping[str, Any]) -> str:
    name = written.get("name")
    return name if isinstance(name, str) else part.__name__


def _add_second_spelling(described: JsonSchemaValue, fields: Mapping[str, object]) -> None:
    """Lists camelCase beside snake_case, so that an editor accepts either spelling of a key."""
    twice = {name: camel(name) for name in fields if camel(name) != name and name in described["properties"]}
    for name, other in twice.items():
        said = f"Another spelling of `{name}`."
        described["properties"][other] = described["properties"][name] | {"description": said}
    required = described.get("required", [])
    either = [{"anyOf": [{"required": [name]}, {"required": [twice[name]]}]} for name in required if name in twice]
    if either:
        described["required"] = [name for name in required if name not in twice]
        described["allOf"] = either


def _json_object(value: object) -> JsonObject:
    try:
        return json_object(value, "")
    except InvalidValue as error:
        raise fault("not_json", error.reason, hint=error.hint, inside=error.path) from None


def _json_value(value: object) -> Any:
    try:
        return json_value(value, "")
    except InvalidValue as error:
        raise fault("not_json", error.reason, hint=error.hint, inside=error.path) from None


JsonObjectField = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""A JSON object, copied, so that the definition shares nothing with what it was made from."""
JsonValueField = Annotated[Any, BeforeValidator(_json_value)]
"""Any JSON value, copied."""
