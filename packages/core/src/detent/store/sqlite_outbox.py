"""The part of the SQLite store that keeps deliveries of published messages."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult
from detent.store.sqlite_file import SqliteFile
from detent.store.sqlite_outbox_rows import (
    claim_deliveries,
    find_deliveries,
    may_claim_deliveries,
    prune_deliveries,
    replay_deliveries,
    settle_deliveries,
)


class SqliteOutbox:
    """An `OutboxStore` in a SQLite file. Writes raise `StoreUnavailable` when a long step keeps the writer, and a claim
    then takes nothing.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def claim(
        self,
        subscribers: Collection[str],
        *,
        lease: timedelta,
        limit: int,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[Delivery]:
        """Take up to `limit` deliveries to these subscribers whose turn it is, the lowest numbers first."""
        # Idle workers ask often: only what is there to take makes one of them wait for the writer.
        may_claim = partial(may_claim_deliveries, subscribers=subscribers, tenant=tenant, now=self._at(now))
        if not await self._file.read(may_claim):
            return []
        return await self._file.take(
            lambda connection: claim_deliveries(connection, subscribers, lease, limit, tenant, self._at(now))
        )

    async def settle(self, results: Sequence[DeliveryResult], *, now: datetime | None = None) -> Collection[UUID]:
        """Note what came of claimed deliveries; answers the ids of those still held under the token they name."""
        return await self._file.write(lambda connection: settle_deliveries(connection, results, self._at(now)))

    async def find(
        self, query: DeliveryQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[Delivery]:
        """Up to `limit` deliveries by rising number; with `after`, those above it."""
        return await self._file.read(lambda connection: find_deliveries(connection, query, limit, after), outside)

    async def replay(self, query: DeliveryQuery, *, limit: int, now: datetime | None = None) -> Collection[UUID]:
        """Make up to `limit` delivered or dead ones pending again, at once, attempts and errors forgotten; answers which."""
        return await self._file.write(lambda connection: replay_deliveries(connection, query, limit, self._at(now)))

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` deliveries that were delivered before an instant; answers how many. Dead ones stay."""
        return await self._file.write(lambda connection: prune_deliveries(connection, before, limit))

    def _at(self, now: datetime | None) -> datetime:
        # Asked inside a transaction, where the wait for the writer is over.
        return now or self._file.now()
