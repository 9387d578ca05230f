"""What JSON must look like: the model of a context or a payload, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic_core import CoreSchema, core_schema

from detent.definition.shape import fault, shown
from detent.errors import InvalidValue
from detent.json_values import JsonObject, json_object


@dataclass(frozen=True)
class DataModel:
    """A JSON Schema and its name; of a pydantic model, the schema is what is kept and compared."""

    name: str
    """The name of the pydantic model, or the schema's title."""
    json_schema: JsonObject
    """The JSON Schema, draft 2020-12."""
    model_class: type[BaseModel] | None = field(default=None, compare=False, repr=False)
    """The pydantic model where the definition was made with one; never stored."""

    @classmethod
    def read(cls, written: object) -> Self:
        """The model that `written` is: a pydantic model class or a JSON Schema object."""
        if isinstance(written, cls):
            return written
        if isinstance(written, type) and issubclass(written, BaseModel):
            return cls._from_class(written)
        if isinstance(written, Mapping):
            return cls._from_schema(written)
        raise fault("wrong_type", f"must be a pydantic model class or a JSON Schema object, not {shown(written)}")

    @classmethod
    def _from_class(cls, model: type[BaseModel]) -> Self:
        try:
            schema = model.model_json_schema()
        except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
            reason = f"{model.__name__} cannot be written as a JSON Schema: {error.message}"
            raise fault("no_json_schema", reason) from None
        return cls(model.__name__, {**schema, "title": model.__name__}, model)

    @classmethod
    def _from_schema(cls, written: Mapping[str, Any]) -> Self:
        try:
            schema = json_object(written, "")
        except InvalidValue as error:
            raise fault("not_json", error.reason, hint=error.hint, inside=error.path) from None
        title = schema.get("title", "")
        return cls(title if isinstance(title, str) else "", schema)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read,
            json_schema_input_schema=handler.generate_schema(dict[str, Any]),
            serialization=core_schema.plain_serializer_function_ser_schema(_schema_of),
        )


DataModelLike: TypeAlias = type[BaseModel] | Mapping[str, Any] | DataModel
"""What may be written where a model is wanted."""


def _schema_of(model: DataModel) -> JsonObject:
    return model.json_schema
