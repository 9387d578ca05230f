"""The part of the SQLite store that keeps runs."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.records import Status
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Release, Run, RunClaim, RunQuery
from detent.store.sqlite_claims import claim_runs, may_claim
from detent.store.sqlite_file import SqliteFile
from detent.store.sqlite_run_rows import (
    extend_leases,
    find_runs,
    keep_values,
    prune_runs,
    read_run,
    release_runs,
    save_checkpoint,
    standing_after,
)


class SqliteRuns:
    """A `RunStore` in a SQLite file. What a worker writes is one short transaction; it raises `StoreUnavailable` when a
    long step keeps the writer, and a claim then takes nothing.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def claim(self, claim: RunClaim, *, now: datetime | None = None) -> Sequence[ClaimedRun]:
        """Take up to `limit` runs whose turn it is."""
        # Idle workers ask often: only what is there to take makes one of them wait for the writer.
        if not await self._file.read(partial(may_claim, claim=claim, now=self._at(now))):
            return []
        return await self._file.take(lambda connection: claim_runs(connection, claim, self._at(now)))

    async def heartbeat(
        self, leases: Sequence[Lease], *, extend: timedelta, now: datetime | None = None
    ) -> Collection[UUID]:
        """Let these leases end only after `extend` from now; answers the ids of the runs that are still held."""
        return await self._file.write(lambda connection: extend_leases(connection, leases, extend, self._at(now)))

    async def checkpoint(self, checkpoint: Checkpoint, *, now: datetime | None = None) -> Status | None:
        """Append to the journal and go on to the next command; `None` when the lease is lost."""

        def save(connection: sqlite3.Connection) -> Status | None:
            return save_checkpoint(connection, checkpoint, self._at(now)) or standing_after(connection, checkpoint)

        return await self._file.write(save)

    async def keep(
        self,
        lease: Lease,
        *,
        kept: JsonObject | None = None,
        progress: JsonObject | None = None,
        extend: timedelta,
        now: datetime | None = None,
    ) -> bool:
        """Put `kept` beside what was kept before, replace `progress` if given, extend the lease; whether it is still held."""
        return await self._file.write(
            lambda connection: keep_values(connection, lease, kept, progress, extend, self._at(now))
        )

    async def release(self, releases: Sequence[Release], *, now: datetime | None = None) -> Collection[UUID]:
        """Make these runs pending again; answers the ids of those that were still held."""
        return await self._file.write(lambda connection: release_runs(connection, releases, self._at(now)))

    async def load(self, run_id: UUID, *, outside: object | None = None) -> Run | None:
        """The run as it is, without a lock."""
        return await self._file.read(lambda connection: read_run(connection, run_id), outside)

    async def find(
        self, query: RunQuery, *, limit: int, after: UUID | None = None, outside: object | None = None
    ) -> Sequence[Run]:
        """Up to `limit` runs, the newest (highest id) first; with `after`, those below that id."""
        return await self._file.read(lambda connection: find_runs(connection, query, limit, after), outside)

    async def prune(self, *, before: datetime, limit: int, tenant: str | None = None) -> int:
        """Take out up to `limit` runs that ended before an instant; answers how many."""
        return await self._file.write(lambda connection: prune_runs(connection, before, limit, tenant))

    def _at(self, now: datetime | None) -> datetime:
        # Asked inside a transaction, where the wait for the writer is over.
        return now or self._file.now()
