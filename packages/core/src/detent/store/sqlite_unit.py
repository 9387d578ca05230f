"""A step of the SQLite store."""

from collections.abc import Sequence
from uuid import UUID

from detent.store.change import Change
from detent.store.local_unit import LocalUnit
from detent.store.messages import InboxMessage
from detent.store.protocol import MESSAGES_OF_A_PAGE, Existing
from detent.store.run_records import Run
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_inbox_rows import read_messages
from detent.store.sqlite_rows import write_change
from detent.store.sqlite_run_rows import read_run
from detent.store.sqlite_thread import storage_errors


class SqliteUnit(LocalUnit[SqliteConnection]):
    """One step inside a SQLite transaction; see `Unit`."""

    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the locked instance. Nobody claims it before the step ends: no other transaction can write."""
        with storage_errors():
            run = await self.connection.run(lambda connection: read_run(connection, run_id))
        return run if run and self.record and run.instance_id == self.record.id else None

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the locked instance that are not dead, by rising number: a page of those above `after`."""
        if self.record is None:
            return []
        instance_id = self.record.id
        with storage_errors():
            return await self.connection.run(
                lambda connection: read_messages(connection, instance_id, MESSAGES_OF_A_PAGE, after)
            )

    async def _write(self, change: Change) -> Existing | None:
        with storage_errors():
            return await self.connection.run(lambda connection: write_change(connection, change, self.now))
