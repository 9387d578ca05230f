"""A store in one SQLite file: durable without a server.

One thread owns the connection that writes. A transaction holds it from BEGIN to COMMIT, so that writers of this process
queue for it, first come, first served, and those of other processes wait for `busy_timeout`; an open transaction blocks every
other writer of the file. Reads have a connection of their own and wait for nobody.

What is created and applied while the writer is taken goes into one transaction together, with one COMMIT: see `sqlite_batch`.

Decisions are made in the event loop, between two visits to the thread: guards are the application's code and may use what
belongs to the loop or to the caller's context. The transaction is open meanwhile, so that nobody comes between. Keep the file
on a local disk: WAL does not work across machines.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound, StoreError
from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.decided import decided
from detent.store.health import Health
from detent.store.protocol import A, Decide, Existing, Known
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    ReceiptKey,
    WorkflowInstance,
)
from detent.store.signals import LocalSignals
from detent.store.sqlite_archive import prune_history, prune_receipts, read_archived, remove_instances
from detent.store.sqlite_backlog import read_backlog
from detent.store.sqlite_batch import SqliteBatch
from detent.store.sqlite_calls import Application, Creation
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_file import PassedOver, SqliteFile, nothing, writer_is_held
from detent.store.sqlite_inbox import SqliteInbox
from detent.store.sqlite_outbox import SqliteOutbox
from detent.store.sqlite_query import count_instances, find_instances
from detent.store.sqlite_rows import (
    read_definition,
    read_definitions,
    read_due,
    read_existing,
    read_history,
    read_instance,
    read_receipt,
    write_change,
    write_definitions,
)
from detent.store.sqlite_runs import SqliteRuns
from detent.store.sqlite_schema import schema_version
from detent.store.sqlite_thread import Synchronous, storage_errors
from detent.store.sqlite_unit import SqliteUnit
from detent.store.sqlite_value_store import SqliteValueStore

_Seen: TypeAlias = tuple[WorkflowInstance | None, Receipt | None, datetime]
"""The record, the receipt and the instant that a step starts with."""


class SqliteStore:
    """A `Store` in the file at `path`; `":memory:"` takes a temporary file that goes with the last `close`.

    `synchronous="NORMAL"` commits several times faster and may lose the last commits in a power cut, not more.
    `busy_timeout` is how many seconds to wait for other processes, `lock_timeout` for other steps of this one.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
        lock_timeout: float = 3.0,
    ) -> None:
        self._path = str(path)
        self._file = SqliteFile(self._path, synchronous, busy_timeout, lock_timeout)
        self._batch = SqliteBatch(self._file, lock_timeout)
        self.runs = SqliteRuns(self._file)
        self.inbox = SqliteInbox(self._file)
        self.outbox = SqliteOutbox(self._file)
        self.values = SqliteValueStore(self._file)
        self.signals = LocalSignals()

    async def open(self) -> None:
        """Open the file, make or upgrade its tables. Raises `StoreUnavailable` or `StoreOutdated`."""
        await self._file.open()

    async def close(self) -> None:
        """Wait for the step that is under way, and close the file."""
        await self._file.close()

    def now(self) -> datetime:
        """The clock of this process, which is the one of the database."""
        return self._file.now()

    async def health(self) -> Health:
        """Whether the file can be read."""
        try:
            version = await self._file.read(schema_version)
        except StoreError as error:
            return Health(ok=False, detail=str(error))
        return Health(ok=True, detail=f"schema version {version} in {self._path}")

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance, or answer what its idempotency key was answered before; see `sqlite_batch`."""
        answer: Existing | None = await self._batch.commit(Creation(change, after_commit), change.instance.workflow)
        return answer

    async def apply(
        self,
        instance_id: UUID,
        decide: Decide[A],
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        workflow: str | None = None,
        known: Known | None = None,
        after_commit: Callable[[A], None] | None = None,
        outside: object | None = None,
    ) -> A:
        """Decide and write, together with others, so that nobody comes between; see `sqlite_batch`."""
        if outside is not None:
            async with self.join(outside, instance_id, key=key, now=now) as unit:
                return await decided(unit, instance_id, decide, after_commit)
        seen = known(instance_id) if known is not None else None
        call = Application(instance_id, decide, key, now, seen, after_commit)
        answer: A = await self._batch.commit(call, workflow)
        return answer

    @asynccontextmanager
    async def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AsyncIterator[SqliteUnit]:
        """Take the writer for one step. A creation that does not get it raises `StoreUnavailable`, having no id yet."""
        busy = writer_is_held if instance_id is None else partial(InstanceBusy, instance_id)
        look = self._look(instance_id, key, now)
        async with self._file.begun(busy, look, wait=wait) as (connection, seen):
            yield SqliteUnit(connection, *seen)

    @asynccontextmanager
    async def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AsyncIterator[SqliteUnit]:
        """The same inside a `SqliteConnection` that this store lent, in a savepoint of it."""
        connection = self._file.own(outside)
        async with connection.savepoint():
            with storage_errors():
                seen = await connection.run(self._look(instance_id, key, now))
            yield SqliteUnit(connection, *seen)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqliteConnection]:
        """A transaction for the application, to write with and to pass as `connection=`.

        Leaving it commits, unless an exception leaves it. Nobody else writes meanwhile: keep it short.
        """
        async with self._file.begun(writer_is_held, nothing) as (connection, _):
            yield connection

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        async with self._file.ending(self._file.own(outside)):
            yield

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, or the one that the transaction `outside` sees."""
        return await self._file.read(lambda connection: read_instance(connection, instance_id), outside)

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first."""
        return await self._file.read(lambda connection: read_history(connection, instance_id, before, limit), outside)

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        """The unexpired receipt under `key` with its instance as it is now."""
        instant = now or self.now()
        return await self._file.read(lambda connection: read_existing(connection, key, instant), outside)

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        """Up to `limit` instances that `query` asks for, in this order and behind `after`.

        What labels or context must contain is looked for row by row, among the rows that the other conditions leave.
        """
        return await self._file.read(lambda connection: find_instances(connection, query, order, limit, after), outside)

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        """How many instances `query` asks for, by the values under `group_by`."""
        return await self._file.read(lambda connection: count_instances(connection, query, group_by), outside)

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        """Take instances out; raises `InstanceBusy`, as of the first, when the writer does not come in time."""
        work = partial(remove_instances, removals=removals)
        if outside is None:
            busy = partial(InstanceBusy, removals[0].entry.instance_id) if removals else writer_is_held
            async with self._file.begun(busy, work) as (_, removed):
                return removed
        connection = self._file.own(outside)
        async with connection.savepoint():
            with storage_errors():
                return await connection.run(work)

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        """What is kept of an instance that was removed."""
        return await self._file.read(lambda connection: read_archived(connection, instance_id))

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        """Take out the entries of these instances from before an instant, except each one's last; answers how many."""
        async with self._file.begun(writer_is_held, lambda sqlite: prune_history(sqlite, instance_ids, before)) as (
            _,
            pruned,
        ):
            return pruned

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        """Take out up to `limit` receipts that have expired; answers how many."""
        instant = now or self.now()
        async with self._file.begun(writer_is_held, lambda sqlite: prune_receipts(sqlite, instant, limit)) as (
            _,
            pruned,
        ):
            return pruned

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Fire what is due in one transaction; nothing, when a long step keeps the writer."""
        instant = now or self.now()
        answers: list[tuple[UUID, A]] = []
        changes: list[Change] = []
        with suppress(PassedOver):
            claim = partial(read_due, now=instant, limit=limit, workflows=workflows, tenant=tenant)
            async with self._file.begun(PassedOver, claim) as (connection, due):
                for instance in due:
                    change, answer = decide(instance, None, instant)
                    answers.append((instance.id, answer))
                    changes += [change] if change is not None else []
                with storage_errors():
                    await connection.run(lambda sqlite: [write_change(sqlite, change, instant) for change in changes])
        return answers

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet; answers what is stored."""
        async with self._file.begun(writer_is_held, lambda sqlite: write_definitions(sqlite, snapshots)) as (_, stored):
            return stored

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot of one version."""
        return await self._file.read(lambda connection: read_definition(connection, workflow, version))

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """Every stored version of these workflows (of all for `None`), by name and in the order they were stored."""
        return await self._file.read(lambda connection: read_definitions(connection, workflows))

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        """What waits, counted."""
        instant = now or self.now()
        return await self._file.read(lambda connection: read_backlog(connection, tenant, instant))

    def _look(
        self, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None
    ) -> Callable[[sqlite3.Connection], _Seen]:
        def look(connection: sqlite3.Connection) -> _Seen:
            # The clock is read after the wait for the writer, and the receipt by that clock.
            instant = now or self.now()
            record = read_instance(connection, instance_id) if instance_id else None
            if instance_id and record is None:
                raise InstanceNotFound(instance_id)
            return record, read_receipt(connection, key, instant), instant

        return look
