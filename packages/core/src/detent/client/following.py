"""What happens to an instance on a server, as it comes: server-sent events, asked for again where the stream ended."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx

from detent.client.sending import Sender
from detent.service.schemas import HistoryEntryView

_OVER = 204
"""The status that says that nothing more will come."""


async def follow(sender: Sender, path: str, after: int) -> AsyncGenerator[HistoryEntryView, None]:
    """The entries after `after`, in order, each once, until nothing more will come.

    A stream that ends or breaks off is opened again where it stood. Raises as `Sender.send`.
    """
    known = after
    while True:
        answer = await sender.send("GET", path, params={"after": known}, stream=True)
        if answer.status_code == _OVER:
            return
        came = False
        # Closed here, so that who leaves in the middle holds no connection of the server's any longer.
        async with aclosing(_entries(answer)) as entries:
            async for entry in entries:
                known, came = entry.sequence, True
                yield entry
        if not came:
            await sender.rest()


async def _entries(answer: httpx.Response) -> AsyncGenerator[HistoryEntryView, None]:
    """The entries of one stream, however it ends."""
    try:
        async for data in _data(answer.aiter_bytes()):
            yield HistoryEntryView.model_validate_json(data)
    except httpx.TransportError:
        return
    finally:
        await answer.aclose()


async def _data(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What the events of a stream say; what comes after the last line that is whole is dropped."""
    # Not by lines of text, which end at characters that JSON leaves as they are.
    said, left = b"", b""
    async for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b":")
            if field == b"data":
                said += value
            elif not line.strip() and said:
                yield said
                said = b""
