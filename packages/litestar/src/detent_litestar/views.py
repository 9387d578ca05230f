"""How answers become bytes, and what only the routes show."""

from typing import Any, Self, TypeVar

from litestar import Response
from litestar.serialization import default_serializer
from litestar.types import Serializer
from pydantic import BaseModel, Field
from pydantic_core import to_json

from detent.definition.model import WorkflowDefinition

T = TypeVar("T")


class ModelResponse(Response[T]):
    """JSON as pydantic writes it, whatever encoders the application has for its own types."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        return to_json(content)


class DefinitionView(BaseModel):
    """The newest version of a workflow."""

    name: str
    version: str
    initial_state: str
    states: list[str]
    description: str | None = Field(description="What the workflow is for, for people.")

    @classmethod
    def of(cls, definition: WorkflowDefinition) -> Self:
        """The view of `definition`."""
        return cls(
            name=definition.name,
            version=definition.version,
            initial_state=definition.initial_state,
            states=list(definition.states),
            description=definition.description,
        )
