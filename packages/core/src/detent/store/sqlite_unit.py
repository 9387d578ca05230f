"""A step of the SQLite store."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from detent.store.change import Change
from detent.store.copies import copy_instance
from detent.store.protocol import Existing
from detent.store.records import Receipt, WorkflowInstance
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_rows import write_change
from detent.store.sqlite_thread import storage_errors


class SqliteUnit:
    """One step inside a SQLite transaction; see `Unit`."""

    def __init__(
        self,
        connection: SqliteConnection,
        record: WorkflowInstance | None,
        receipt: Receipt | None,
        now: datetime,
    ) -> None:
        self.connection = connection
        self.record = record
        self.receipt = receipt
        self.now = now

    async def flush(self) -> None:
        """Nothing is ever unsent."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A savepoint around one command: undone when its body raises, kept otherwise."""
        record = self.record
        try:
            async with self.connection.savepoint():
                yield
        except BaseException:
            self.record = record
            raise

    async def write(self, change: Change) -> Existing | None:
        """Write `change`; for an insert whose receipt's key is taken, what exists."""
        with storage_errors():
            existing = await self.connection.run(lambda connection: write_change(connection, change))
        if existing is None:
            self.record = copy_instance(change.instance)
        return existing

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the step is committed for good."""
        self.connection.after_commit(callback)
