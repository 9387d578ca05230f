"""One HTTP connection that is kept alive, and costs its caller next to nothing: what is measured is the server.

httpx takes about as long for a request as a framework does for an answer, and would hide half of any difference.
"""

import asyncio
import re
from typing import Self

_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
_OK = b"HTTP/1.1 200 "


class WrongAnswer(Exception):
    """An answer that is no 200 with a length."""


class Connection:
    """Posts empty objects of JSON, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Self:
        """A connection to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, path: str) -> bytes:
        """The body of the answer. Raises `WrongAnswer`."""
        self._writer.write(
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None:
            raise WrongAnswer(head.decode())
        body = await self._reader.readexactly(int(length[1]))
        if not head.startswith(_OK):
            raise WrongAnswer(f"{head.decode()}{body.decode()}")
        return body

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()
