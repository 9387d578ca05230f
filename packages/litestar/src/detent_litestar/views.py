"""How answers become bytes."""

from typing import Any, TypeVar

from litestar import Response
from litestar.response import Stream
from litestar.serialization import default_serializer
from litestar.types import Serializer
from pydantic_core import to_json

from detent.service.http.answers import Answer
from detent.service.http.changes import EventStream

T = TypeVar("T")
NO_CONTENT = 204


class ModelResponse(Response[T]):
    """JSON as pydantic writes it, whatever encoders the application has for its own types."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        return to_json(content)


def as_response(answer: Answer[Any]) -> Response[Any]:
    """The answer as Litestar sends it."""
    headers = dict(answer.headers)
    if answer.status == NO_CONTENT:
        return Response(None, status_code=NO_CONTENT, headers=headers)
    if isinstance(answer.body, EventStream):
        return Stream(answer.body.chunks, status_code=answer.status, headers=headers, media_type=answer.media_type)
    kind = Response if isinstance(answer.body, str) else ModelResponse
    return kind(answer.body, status_code=answer.status, headers=headers, media_type=answer.media_type)
