"""What a command of the SQLite store writes with, and what an application passes as `connection=`."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from detent.errors import StepRolledBack
from detent.store.after_commit import AfterCommit
from detent.store.sqlite_thread import SqliteThread

R = TypeVar("R")

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""Values for the `?` or the `:name` of a statement."""

_CONTROL = re.compile(r"\s*(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)


class SqliteConnection:
    """An open transaction on the writer's connection. It ends with the step, or with the block of `SqliteStore.begin()`.

    Statements run in the writer's thread, so that the event loop goes on meanwhile; errors of SQLite come as they are.
    While a transaction is open, nobody else can write to the file.
    """

    def __init__(self, thread: SqliteThread) -> None:
        self._thread = thread
        self._after_commit = AfterCommit()
        self._open = True

    async def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement; answers how many rows it changed."""
        statement = _plain(sql)
        return await self.run(lambda connection: connection.execute(statement, parameters).rowcount)

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first row, whose values can be asked for by name; `None` when there is none."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """All rows."""
        statement = _plain(sql)
        return await self.run(lambda connection: connection.execute(statement, parameters).fetchall())

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself when its body raises."""
        mark = self._after_commit.mark()
        try:
            await self.run(_begin_savepoint)
        except asyncio.CancelledError:
            # It was submitted, so there is one; after an error there is none, and undoing would hit one around it.
            await self._undo(mark)
            raise
        try:
            yield
        except BaseException:
            await self._undo(mark)
            raise
        await self.run(_keep_savepoint)

    @property
    def is_open(self) -> bool:
        """Whether the transaction has not ended yet."""
        return self._open

    def belongs_to(self, thread: SqliteThread) -> bool:
        """Whether it is a transaction of this writer."""
        return self._thread is thread

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` answers, called in the writer's thread inside this transaction. For the store."""
        if not self._open:
            raise RuntimeError("this transaction has ended")
        return await self._thread.run(lambda connection: work(_in_transaction(connection)))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the commit, unless a savepoint around this moment is undone."""
        self._after_commit.add(callback)

    def shut(self) -> None:
        """Take no further statement. For the store, which then ends the transaction."""
        self._open = False

    async def finish(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run the last statement. For the store."""
        await self._thread.run(work)

    def report(self) -> None:
        """Call what waited for the commit. For the store."""
        self._after_commit.run()

    async def _undo(self, mark: int) -> None:
        self._after_commit.forget_since(mark)
        if self._open:
            await self._thread.run(_undo_savepoint)


def _plain(sql: str) -> str:
    if _CONTROL.match(sql):
        raise ValueError("the transaction is begun and ended by the store; use savepoint() for a part of it")
    return sql


def _in_transaction(connection: sqlite3.Connection) -> sqlite3.Connection:
    # A full disk, for one, makes SQLite roll back by itself; what follows would then commit statement by statement.
    if not connection.in_transaction:
        raise StepRolledBack("SQLite ended the transaction")
    return connection


def _begin_savepoint(connection: sqlite3.Connection) -> None:
    connection.execute("SAVEPOINT detent")


def _keep_savepoint(connection: sqlite3.Connection) -> None:
    connection.execute("RELEASE detent")


def _undo_savepoint(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK TO detent")
        connection.execute("RELEASE detent")
