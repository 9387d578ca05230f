"""A way to a Redis on which an answer may be lost: the server has done it, and nobody hears of that."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Passes bytes between clients and a Redis."""

    def __init__(self, redis_url: str) -> None:
        self._there = urlsplit(redis_url)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._losing = 0
        self.lost = 0
        """How many answers were lost."""

    @property
    def url(self) -> str:
        """Where it takes connections."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"redis://127.0.0.1:{port}{self._there.path}"

    def lose(self, answers: int = 1) -> None:
        """Cut the connection instead of passing the next answers."""
        self._losing = answers

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        answers, asks = await asyncio.open_connection(self._there.hostname, self._there.port)
        try:
            asking = asyncio.create_task(self._pass(reader, asks))
            await self._answer(answers, writer)
        finally:
            asking.cancel()
            await asyncio.wait([asking])
            for end in (asks, writer):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while piece := await reader.read(65536):
                if self._losing:
                    self._losing -= 1
                    self.lost += 1
                    return
                writer.write(piece)
