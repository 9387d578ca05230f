"""A TCP proxy before a database that counts what passes, so that chaos can be paced by work done, and cuts connections."""

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy import URL


class Lines:
    """The proxy; an async context manager."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passed = 0
        self._waiting: list[tuple[int, asyncio.Event]] = []
        self.cuts = 0
        """How many connections were cut."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, url: URL) -> str:
        """The same database, reached through the proxy."""
        there = url.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=self.port)
        return there.render_as_string(hide_password=False)

    async def after(self, pieces: int, *, at_most: float) -> None:
        """Wait until that many more pieces of traffic have passed, or for so many seconds."""
        passed = asyncio.Event()
        self._waiting.append((self._passed + pieces, passed))
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await passed.wait()

    def cut(self, share: float, chance: random.Random) -> None:
        """Cut about this share of the open connections, whatever is under way on them."""
        for writer in list(self._open):
            if chance.random() < share:
                self.cuts += 1
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            if isinstance(self._target, str):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except asyncio.CancelledError:
            # Nobody waits for the handler of a connection; asyncio would report that it was cancelled.
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
                self._count()
        writer.transport.abort()

    def _count(self) -> None:
        self._passed += 1
        for due, event in self._waiting:
            if due <= self._passed:
                event.set()
        self._waiting = [(due, event) for due, event in self._waiting if due > self._passed]
