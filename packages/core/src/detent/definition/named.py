"""What commands and guards have in common: a name that the registry binds to code, and metadata for that code."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue

from detent.definition.part import JsonObjectField, Part, constructor
from detent.definition.shape import fault, shown


class Named(Part):
    """A reference by name. A bare text is read as the name, and written again where nothing else is said."""

    short_form: ClassVar[JsonSchemaValue | None] = {"type": "string", "minLength": 1}

    name: str
    """The name it is registered under."""
    metadata: JsonObjectField = Field(default_factory=dict)
    """JSON that the code behind the name can read; it is the same for every instance."""

    @constructor
    def __init__(self, **written: Any) -> None:
        super().__init__(**written)

    @classmethod
    def expand(cls, written: object) -> object:
        """The object that a bare name stands for."""
        if isinstance(written, str):
            return {"name": written}
        if isinstance(written, Mapping | cls):
            return written
        raise fault("wrong_type", f"must be a name or an object, not {shown(written)}")

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """The name alone, where there is no more; duraflows (`by_alias`) reads only objects."""
        written = handler(self)
        return self.name if set(written) == {"name"} and not info.by_alias else written
