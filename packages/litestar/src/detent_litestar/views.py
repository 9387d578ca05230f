"""How answers become bytes."""

from typing import Any, TypeVar

from litestar import Response
from litestar.serialization import default_serializer
from litestar.types import Serializer
from pydantic_core import to_json

from detent.service.http.answers import Answer

T = TypeVar("T")


class ModelResponse(Response[T]):
    """JSON as pydantic writes it, whatever encoders the application has for its own types."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        return to_json(content)


def as_response(answer: Answer) -> Response[Any]:
    """The answer as Litestar sends it."""
    kind = Response if isinstance(answer.body, str) else ModelResponse
    return kind(answer.body, status_code=answer.status, headers=dict(answer.headers), media_type=answer.media_type)
