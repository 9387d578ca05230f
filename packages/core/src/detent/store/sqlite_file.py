"""An open SQLite file: whose turn it is to write, transactions from BEGIN to their end, and reads.

The parts of a SQLite store share one, so that runs, messages and instances are written by the same connection, one
transaction after the other.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from detent.clock import SystemClock
from detent.errors import ConnectionNotSupported, StoreUnavailable
from detent.store.row_locks import RowLocks
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_thread import (
    SqliteThread,
    Synchronous,
    begin,
    begin_now,
    commit,
    is_busy,
    rollback,
    storage_errors,
    translated,
)
from detent.store.sqlite_threads import SqliteThreads

R = TypeVar("R")

_WRITER = "writer"


class PassedOver(Exception):
    """The writer did not come in time for somebody who only looks for work."""


class SqliteFile:
    """The file at `path`. `busy_timeout` is how many seconds to wait for other processes, `lock_timeout` for other steps of
    this one.
    """

    def __init__(self, path: str, synchronous: Synchronous, busy_timeout: float, lock_timeout: float) -> None:
        self.path = path
        self._synchronous: Synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._lock_timeout = lock_timeout
        self._clock = SystemClock()
        self._turns = RowLocks()
        self._opening = asyncio.Lock()
        self._opened = 0
        self._threads: SqliteThreads | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the file, make or upgrade its tables. Raises `StoreUnavailable` or `StoreOutdated`."""
        async with self._opening:
            if self._threads is None:
                self._threads = await SqliteThreads.started(self.path, self._synchronous, self._busy_timeout)
            self._opened += 1

    async def close(self) -> None:
        """Wait for the step that is under way, and close the file."""
        async with self._opening:
            self._opened = max(0, self._opened - 1)
            if self._opened or self._threads is None:
                return
            threads, self._threads = self._threads, None
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._lock_timeout):
                        while self._under_way:
                            await asyncio.wait(self._under_way)
                        await self.wait_turn()
                    self.release_turn()
            finally:
                await threads.stop()

    def now(self) -> datetime:
        """The clock of this process, which is the one of the database."""
        return self._clock.now()

    @asynccontextmanager
    async def begun(
        self, busy: Callable[[], Exception], first: Callable[[sqlite3.Connection], R], *, wait: bool = True
    ) -> AsyncIterator[tuple[SqliteConnection, R]]:
        """A transaction, and what `first` answered in it, in one visit to the thread.

        `busy` makes what is raised when the writer does not come in time.
        """
        writer = self.writer()
        await self._take_turn(busy, wait=wait)
        connection = SqliteConnection(writer)
        async with self.ending(connection):
            try:
                start = begin if wait else partial(begin_now, busy_timeout=self._busy_timeout)
                answer = await writer.run(partial(start, first=first))
            except sqlite3.Error as error:
                raise busy() if is_busy(error) else translated(error) from error
            yield connection, answer

    async def write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` answered in a transaction of its own; raises `StoreUnavailable` when the writer does not come in time."""
        async with self.begun(writer_is_held, work) as (_, answer):
            return answer

    async def take(self, claim: Callable[[sqlite3.Connection], list[R]]) -> list[R]:
        """What `claim` took in a transaction of its own; nothing when the writer does not come in time."""
        with suppress(PassedOver):
            async with self.begun(PassedOver, claim) as (_, taken):
                return taken
        return []

    @asynccontextmanager
    async def ending(self, connection: SqliteConnection) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise, and let the next one write."""
        try:
            yield
        except BaseException:
            if connection.is_open:
                await self._end(connection, keep=False)
            raise
        if connection.is_open:
            await self._end(connection, keep=True)

    def writer(self) -> SqliteThread:
        """The thread that writes; raises `StoreUnavailable` where the file is not open."""
        return self._running().writer

    def take_turn(self) -> bool:
        """Hold the writer if nobody in this process does; says whether the caller holds it now."""
        return self._turns.take(_WRITER)

    async def wait_turn(self) -> None:
        """Hold the writer as soon as all who asked before are done."""
        await self._turns.wait(_WRITER)

    def release_turn(self) -> None:
        """Let the next one have the writer."""
        self._turns.release(_WRITER)

    def go_on(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """A task for what goes on whatever becomes of its callers; `close` waits for it."""
        task = asyncio.create_task(work, context=context)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def read(self, work: Callable[[sqlite3.Connection], R], outside: object | None = None) -> R:
        """What `work` answered on the reader, or in the transaction `outside`; raises `ConnectionNotSupported`."""
        source = self._running().reader if outside is None else self.own(outside)
        with storage_errors():
            return await source.run(work)

    def own(self, outside: object) -> SqliteConnection:
        """The open transaction that `outside` is; raises `ConnectionNotSupported` where it is none of this file."""
        if isinstance(outside, SqliteConnection) and outside.is_open and outside.belongs_to(self.writer()):
            return outside
        raise ConnectionNotSupported("SqliteStore", outside, "an open transaction from this store's begin()")

    async def _take_turn(self, busy: Callable[[], Exception], *, wait: bool) -> None:
        if self.take_turn():
            return
        if not wait:
            raise busy()
        try:
            async with asyncio.timeout(self._lock_timeout):
                await self.wait_turn()
        except TimeoutError:
            raise busy() from None

    async def _end(self, connection: SqliteConnection, *, keep: bool) -> None:
        connection.shut()
        # The end is reached and the writer is free, even if the caller is cancelled now.
        await asyncio.shield(self.go_on(self._ended(connection, keep=keep)))

    async def _ended(self, connection: SqliteConnection, *, keep: bool) -> None:
        try:
            with storage_errors():
                await connection.finish(commit if keep else rollback)
        finally:
            self.release_turn()
        if keep:
            connection.report()

    def _running(self) -> SqliteThreads:
        if self._threads is None:
            raise StoreUnavailable("it is not open")
        return self._threads


def writer_is_held() -> StoreUnavailable:
    """What is raised when the writer does not come in time."""
    return StoreUnavailable("another step holds the file for writing")


def nothing(_connection: sqlite3.Connection) -> None:
    """What to do first in a transaction when there is nothing to do."""
