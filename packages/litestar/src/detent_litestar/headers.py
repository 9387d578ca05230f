"""The headers of the contract as answers of Litestar."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader

from detent.service.http.headers import TOLD

_STATE = "detent_replayed"


def told(name: str) -> ResponseHeader:
    """The header of an answer, for OpenAPI."""
    return ResponseHeader(name=name, value="", description=TOLD[name], documentation_only=True)


def note_replay(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Keep with the request that its answer was given before, so that an error, too, is answered with the header."""
    connection.state[_STATE] = True


def was_replayed(request: Request[Any, Any, Any]) -> bool:
    """Whether the answer was given before."""
    return bool(request.state.get(_STATE))
