"""The part of the SQLite store that keeps events which were sent and not yet applied."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.store.messages import InboxMessage, InboxQuery
from detent.store.sqlite_file import SqliteFile
from detent.store.sqlite_inbox_rows import (
    add_message,
    discard_messages,
    find_messages,
    prune_messages,
    read_instances_with_messages,
    revive_messages,
)
from detent.store.sqlite_thread import storage_errors


class SqliteInbox:
    """An `InboxStore` in a SQLite file. Writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message; raises `InstanceNotFound`. Like every write it waits for the writer, whatever that is busy with."""
        work = partial(_put, message=message)
        if outside is None:
            await self._file.write(work)
            return
        with storage_errors():
            await self._file.own(outside).run(work)

    async def due(
        self,
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[UUID]:
        """Up to `limit` instances with a message to judge, each once, the longest waiting message first."""
        instant = now or self._file.now()
        return await self._file.read(
            lambda connection: read_instances_with_messages(connection, instant, limit, workflows, tenant)
        )

    async def find(
        self, query: InboxQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[InboxMessage]:
        """Up to `limit` messages by rising number; with `after`, those above it."""
        return await self._file.read(lambda connection: find_messages(connection, query, limit, after), outside)

    async def revive(self, ids: Sequence[UUID], *, now: datetime | None = None) -> Collection[UUID]:
        """Let dead messages be tried again at once, their attempts forgotten; answers which were dead."""
        instant = now or self._file.now()
        return await self._file.write(lambda connection: revive_messages(connection, ids, instant))

    async def discard(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Take messages out; answers which were there."""
        return await self._file.write(lambda connection: discard_messages(connection, ids))

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` messages that died before an instant; answers how many."""
        return await self._file.write(lambda connection: prune_messages(connection, before, limit))


def _put(connection: sqlite3.Connection, message: InboxMessage) -> None:
    if not add_message(connection, message):
        raise InstanceNotFound(message.instance_id)
