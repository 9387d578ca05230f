"""A TCP proxy before PostgreSQL that counts round trips on the wire, and cuts connections where it is told.

A round trip is a message after which a client waits for `ReadyForQuery`: Sync, or a simple Query. What each one was about is
known by the SQL that the prepared statement was parsed from.

```python
async with Wire(server.address) as wire:
    store = PgStore.from_url(wire.url(url), pool_size=1, max_overflow=0)
    ...                                        # warm up: statements are prepared once for each connection
    with wire.recording() as trips:
        await store.apply(instance_id, decide)
    assert len(trips) == 2
```
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from sqlalchemy import URL

_SSL_REQUEST = 80877103
_CANCEL_REQUEST = 80877102


@dataclass(frozen=True)
class Cut:
    """Where to cut the next connection that says something."""

    matches: Callable[[str], bool]
    """Whether this round trip is the one, by its SQL."""
    forward: bool
    """Whether the server gets it, and answers to nobody."""


class Wire:
    """The proxy; an async context manager."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._records: list[list[str]] = []
        self._cut: Cut | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.refusing = False
        """Whether new connections are closed at once."""
        self.was_cut = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self._links):
            link.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, url: URL) -> URL:
        """The same database, reached through the proxy."""
        return url.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=self.port)

    @contextmanager
    def recording(self) -> Iterator[list[str]]:
        """The SQL of every round trip inside the block, in order."""
        trips: list[str] = []
        self._records.append(trips)
        try:
            yield trips
        finally:
            self._records.remove(trips)

    def cut(self, matches: Callable[[str], bool], *, forward: bool) -> None:
        """Cut the connection of the next round trip whose SQL matches: before the server gets it, or after it answered."""
        self._cut = Cut(matches, forward)
        self.was_cut.clear()

    def cut_all(self) -> None:
        """Cut all connections now."""
        for link in list(self._links):
            link.close()

    def taken(self, sql: str) -> Cut | None:
        """Note a round trip; the cut that is due here, which happens once."""
        for trips in self._records:
            trips.append(sql)
        cut = self._cut
        if cut is None or not cut.matches(sql):
            return None
        self._cut = None
        self.was_cut.set()
        return cut

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refusing:
            writer.close()
            return
        if isinstance(self._target, str):
            server = await asyncio.open_unix_connection(self._target)
        else:
            server = await asyncio.open_connection(*self._target)
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.close()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of a client with its connection to the server."""

    def __init__(self, wire: Wire, client: Stream, server: Stream) -> None:
        self._wire = wire
        self._client, self._to_client = client
        self._server, self._to_server = server
        self._parsed: dict[bytes, str] = {}
        self._bound = ""
        self._muted = False

    async def run(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if not await self._start():
                return
            down = asyncio.create_task(self._relay_answers())
            try:
                await self._relay_requests()
            finally:
                if self._muted:
                    await down
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)

    def close(self) -> None:
        for writer in (self._to_client, self._to_server):
            writer.close()

    async def _start(self) -> bool:
        """Forward the start-up message; whether messages follow."""
        while True:
            head = await self._client.readexactly(8)
            length: int
            code: int
            length, code = struct.unpack("!II", head)
            body = await self._client.readexactly(length - 8)
            if code == _SSL_REQUEST:
                self._to_client.write(b"N")
                continue
            self._to_server.write(head + body)
            await self._to_server.drain()
            return code != _CANCEL_REQUEST

    async def _relay_requests(self) -> None:
        while True:
            kind, body = await _message(self._client)
            self._learn(kind, body)
            cut = self._wire.taken(self._about(kind, body)) if kind in b"SQ" else None
            if cut is not None and not cut.forward:
                return
            self._muted = cut is not None
            self._to_server.write(_framed(kind, body))
            await self._to_server.drain()
            if self._muted or kind == b"X":
                return

    async def _relay_answers(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, body = await _message(self._server)
                if not self._muted:
                    self._to_client.write(_framed(kind, body))
                    await self._to_client.drain()
                elif kind == b"Z":
                    return

    def _learn(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._parsed[name] = rest.partition(b"\0")[0].decode()
            self._bound = self._parsed[name]
        elif kind == b"B":
            statement = body.partition(b"\0")[2].partition(b"\0")[0]
            self._bound = self._parsed.get(statement, "")

    def _about(self, kind: bytes, body: bytes) -> str:
        return body.rstrip(b"\0").decode() if kind == b"Q" else self._bound


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body
