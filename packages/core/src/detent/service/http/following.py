"""Live updates over a websocket: each message is one history entry as JSON."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError

from detent.errors import DetentError
from detent.service.http.ask import Ask
from detent.service.http.changes import changes, entry_json
from detent.service.http.errors import NotTaken, TurnedAway
from detent.service.http.meanings import meaning_of
from detent.service.http.operations import OPERATIONS
from detent.service.http.origins import is_own_origin
from detent.service.http.parameters import LAST_SEQUENCE
from detent.store.records import HistoryEntry

CLOSE_CODES = 4000
"""Close codes for what would be a status of HTTP begin here: 4404."""

_id: TypeAdapter[UUID] = TypeAdapter(UUID)
_sequence: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=LAST_SEQUENCE)])


def check_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Raise `NotTaken` for a page of somebody else."""
    if not is_own_origin(headers.get("origin"), headers.get("host", ""), allowed):
        raise NotTaken(TurnedAway(403, "a page of another origin may not open this"))


async def opened(ask: Ask, instance_id: str, after: str) -> AsyncGenerator[str, None]:
    """The messages, if the sender may have them. Raises `NotTaken`."""
    try:
        identity, known = _id.validate_python(instance_id), _sequence.validate_python(after)
        await OPERATIONS["stream_changes"].admitted(ask, {"instance_id": identity})
        await ask.service.get_instance(identity)
    except ValidationError:
        raise NotTaken(TurnedAway(400, "the id of the instance or `after` is none")) from None
    except DetentError as error:
        raise NotTaken(TurnedAway(meaning_of(error).status, error.code)) from error
    return _messages(changes(ask, identity, known))


async def _messages(found: AsyncIterator[HistoryEntry | None]) -> AsyncGenerator[str, None]:
    async for entry in found:
        if entry is not None:
            yield entry_json(entry)


async def until_gone(messages: AsyncGenerator[str, None], gone: Awaitable[None]) -> AsyncIterator[str]:
    """The messages until they end, or whoever they are for has gone."""
    leaving, coming = asyncio.ensure_future(gone), None
    try:
        while True:
            coming = asyncio.ensure_future(anext(messages, None))
            await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            message = coming.result() if coming.done() else None
            if message is None or leaving.done():
                return
            yield message
    finally:
        leaving.cancel()
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})
        await messages.aclose()


async def gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Wait until the client has gone; what it says, text or bytes, is nothing to us."""
    while (await receive())["type"] != "websocket.disconnect":
        pass
