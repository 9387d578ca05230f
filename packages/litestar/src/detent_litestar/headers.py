"""The headers of the contract as parameters and answers of Litestar."""

from typing import Annotated, Any

from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from detent.service.http.headers import IF_MATCH, KEY, KEY_OF_CREATION, KEY_OF_EVENT, MAX_KEY, TOLD, VERSION_SEEN

KeyOfCreation = Annotated[str | None, HeaderParameter(name=KEY, max_length=MAX_KEY, description=KEY_OF_CREATION)]
KeyOfEvent = Annotated[str | None, HeaderParameter(name=KEY, max_length=MAX_KEY, description=KEY_OF_EVENT)]
IfMatch = Annotated[str | None, HeaderParameter(name=IF_MATCH, description=VERSION_SEEN)]

_STATE = "detent_replayed"


def told(name: str) -> ResponseHeader:
    """The header of an answer, for OpenAPI."""
    return ResponseHeader(name=name, value="", description=TOLD[name], documentation_only=True)


def note_replay(request: Request[Any, Any, Any]) -> None:
    """Keep with the request that its answer was given before, so that an error, too, is answered with the header."""
    request.state[_STATE] = True


def was_replayed(request: Request[Any, Any, Any]) -> bool:
    """Whether the answer was given before."""
    return bool(request.state.get(_STATE))
