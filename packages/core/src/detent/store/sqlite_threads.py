"""What a SQLite store has open between `open` and `close`."""

import sqlite3
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from detent.store.sqlite_schema import upgrade
from detent.store.sqlite_thread import SqliteThread, Synchronous, connect_reader, connect_writer, not_opened

IN_MEMORY = ":memory:"
"""The path that asks for a database of this store alone."""


@dataclass(frozen=True, slots=True)
class SqliteThreads:
    """A file that is open: one thread that writes, one that reads, and the folder of a file that nobody else knows."""

    writer: SqliteThread
    reader: SqliteThread
    folder: tempfile.TemporaryDirectory[str] | None

    @classmethod
    async def started(cls, path: str, synchronous: Synchronous, busy_timeout: float) -> "SqliteThreads":
        # A real file: SQLite's own `:memory:` is one connection, so that readers would see what is not committed.
        folder = tempfile.TemporaryDirectory(prefix="detent-") if path == IN_MEMORY else None
        if folder:
            path, synchronous = str(Path(folder.name, "memory.db")), "OFF"
        writer = SqliteThread(partial(connect_writer, path, synchronous, busy_timeout))
        threads = cls(writer, SqliteThread(partial(connect_reader, path, busy_timeout)), folder)
        try:
            await writer.open()
            await writer.run(upgrade)
            await threads.reader.open()
        except BaseException as error:
            await threads.stop()
            if isinstance(error, sqlite3.Error):
                raise not_opened(path, error) from error
            raise
        return threads

    async def stop(self) -> None:
        # The writer goes last: whoever is last to leave a WAL folds it back into the file.
        await self.reader.close()
        await self.writer.close()
        if self.folder:
            self.folder.cleanup()
