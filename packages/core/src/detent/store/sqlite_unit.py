"""A step of the SQLite store."""

from detent.store.change import Change
from detent.store.local_unit import LocalUnit
from detent.store.protocol import Existing
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_rows import write_change
from detent.store.sqlite_thread import storage_errors


class SqliteUnit(LocalUnit[SqliteConnection]):
    """One step inside a SQLite transaction; see `Unit`."""

    async def _write(self, change: Change) -> Existing | None:
        with storage_errors():
            return await self.connection.run(lambda connection: write_change(connection, change))
