"""A store in the memory of this process: gone with it, otherwise like the others.

It is atomic, isolated and fenced, and JSON is copied on its way in and out. Steps on one instance queue for its row,
first come, first served; steps on different instances do not wait for each other. It serves tests, demonstrations, and
as the model that the other stores are compared with.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound
from detent.store.after_commit import AfterCommit
from detent.store.backlog import Backlog
from detent.store.change import Change, Removal
from detent.store.copies import copy_archive_entry, copy_entry, copy_instance, copy_snapshot
from detent.store.decided import decided
from detent.store.health import Health
from detent.store.memory_backlog import backlog_of
from detent.store.memory_database import MemoryDatabase
from detent.store.memory_inbox import MemoryInbox
from detent.store.memory_outbox import MemoryOutbox
from detent.store.memory_query import counted, matches, sorted_behind
from detent.store.memory_runs import MemoryRuns
from detent.store.memory_transaction import MemoryTransaction
from detent.store.memory_unit import MemoryUnit
from detent.store.memory_values import MemoryValues
from detent.store.protocol import A, Decide, Existing, Known
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    ReceiptKey,
    Status,
    WorkflowInstance,
)
from detent.store.signals import LocalSignals

_STEPS_AT_ONCE = 100
"""How many steps may be taken in a row before others get their turn."""


class MemoryStore:
    """A `Store` in memory. `lock_timeout` is how many seconds a step waits for a row before it is `InstanceBusy`."""

    def __init__(self, *, lock_timeout: float = 3.0) -> None:
        self._database = MemoryDatabase(lock_timeout)
        self._definitions: dict[tuple[str, str], DefinitionSnapshot] = {}
        self._runs = MemoryRuns(self._database)
        self._inbox = MemoryInbox(self._database)
        self._outbox = MemoryOutbox(self._database)
        self._values = MemoryValues(self._database)
        self._signals = LocalSignals()
        self._steps = 0

    @property
    def runs(self) -> MemoryRuns:
        """Durable transitions in progress."""
        return self._runs

    @property
    def inbox(self) -> MemoryInbox:
        """Events that were sent and not yet applied."""
        return self._inbox

    @property
    def outbox(self) -> MemoryOutbox:
        """Messages on their way to subscribers."""
        return self._outbox

    @property
    def values(self) -> MemoryValues:
        """What is kept beside instances."""
        return self._values

    @property
    def signals(self) -> LocalSignals:
        """Words within this process."""
        return self._signals

    async def open(self) -> None:
        """Nothing to do: what it holds lives as long as the object."""

    async def close(self) -> None:
        """Nothing to do: it may be opened again and holds what it held."""

    def now(self) -> datetime:
        """The clock of this process."""
        return self._database.now()

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True, detail=f"{len(self._database.committed.instances)} instances in memory")

    async def create(self, change: Change, *, after_commit: Callable[[], None] | None = None) -> Existing | None:
        """Write a new instance, or answer what its idempotency key was answered before."""
        if self._is_turn_of_others():
            await asyncio.sleep(0)
        if self._database.is_free_for(change):
            existing = self._database.commit_at_once(change, self.now())
            if after_commit is not None and existing is None:
                self._tell(after_commit)
            return existing
        async with self.transaction(None) as unit:
            existing = await unit.write(change)
            if after_commit is not None and existing is None:
                unit.after_commit(after_commit)
            return existing

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
        """Decide and write while nobody else can: at once where the rows are free, otherwise while holding them."""
        if outside is not None:
            async with self.join(outside, instance_id, key=key, now=now) as unit:
                return await decided(unit, instance_id, decide, after_commit)
        if self._is_turn_of_others():
            await asyncio.sleep(0)
        if not self._database.is_held(instance_id):
            instant = now or self.now()
            change, answer = self._decided(instance_id, decide, key, instant)
            if change is None:
                return answer
            if self._database.is_free_for(change):
                self._database.commit_at_once(change, instant)
                if after_commit is not None:
                    self._tell(partial(after_commit, answer))
                return answer
        async with self.transaction(instance_id, key=key, now=now) as unit:
            return await decided(unit, instance_id, decide, after_commit)

    @asynccontextmanager
    async def transaction(
        self,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
        wait: bool = True,
    ) -> AsyncIterator[MemoryUnit]:
        """Lock an instance for one step, or open a step that creates one."""
        async with self.begin() as transaction:
            yield await self._unit(transaction, instance_id, key, now, wait=wait)

    @asynccontextmanager
    async def join(
        self,
        outside: object,
        instance_id: UUID | None,
        *,
        key: ReceiptKey | None = None,
        now: datetime | None = None,
    ) -> AsyncIterator[MemoryUnit]:
        """The same inside a `MemoryTransaction` of this store, in a savepoint of it."""
        transaction = self._database.own(outside)
        async with transaction.savepoint():
            yield await self._unit(transaction, instance_id, key, now, wait=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction for the application, to write with and to pass as `connection=`.

        Leaving it commits, unless an exception leaves it.
        """
        async with self._database.begin() as transaction:
            yield transaction

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        async with self._database.lend(outside):
            yield

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, or the one that the transaction `outside` sees."""
        return self._database.view(outside).instance(instance_id)

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first."""
        entries = self._database.view(outside).history(instance_id)
        # Sequences are dense, and start higher where old ones were taken out.
        first = entries[0].sequence if entries else 1
        end = len(entries) if before is None else max(0, min(before - first, len(entries)))
        start = max(0, end - limit)
        return [copy_entry(entry) for entry in reversed(entries[start:end])]

    async def recall(
        self, key: ReceiptKey, *, now: datetime | None = None, outside: object | None = None
    ) -> Existing | None:
        """The unexpired receipt under `key` with its instance as it is now."""
        return self._database.view(outside).recall(key, now or self.now())

    async def find(
        self,
        query: InstanceQuery,
        *,
        order: Order,
        limit: int,
        after: Position | None = None,
        outside: object | None = None,
    ) -> Sequence[WorkflowInstance]:
        """Up to `limit` instances that `query` asks for, found by looking at every one."""
        asked = [instance for instance in self._database.view(outside).instances() if matches(instance, query)]
        return [copy_instance(instance) for instance in sorted_behind(asked, order, after)[:limit]]

    async def count(
        self, query: InstanceQuery, *, group_by: Sequence[GroupKey] = (), outside: object | None = None
    ) -> Mapping[tuple[str, ...], int]:
        """How many instances `query` asks for, by the values under `group_by`."""
        asked = (instance for instance in self._database.view(outside).instances() if matches(instance, query))
        return counted(asked, group_by)

    async def remove(self, removals: Sequence[Removal], *, outside: object | None = None) -> Collection[UUID]:
        """Take instances out, each while holding its row; raises `InstanceBusy` when a step holds one for too long."""
        async with self._database.within(outside) as transaction:
            return await transaction.remove(removals)

    async def load_archived(self, instance_id: UUID) -> ArchiveEntry | None:
        """What is kept of an instance that was removed."""
        found = self._database.committed.archive.get(instance_id)
        return copy_archive_entry(found) if found else None

    async def prune_history(self, instance_ids: Sequence[UUID], *, before: datetime) -> int:
        """Take out old history entries; a step under way only adds entries behind them."""
        return sum(self._database.committed.prune_history(instance_id, before) for instance_id in instance_ids)

    async def prune_receipts(self, *, limit: int, now: datetime | None = None) -> int:
        """Take out up to `limit` receipts that have expired; answers how many."""
        return self._database.committed.prune_receipts(now or self.now(), limit)

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Fire what is due and held by nobody, in one transaction."""
        instant = now or self.now()
        answers: list[tuple[UUID, A]] = []
        async with self.begin() as transaction:
            for instance in self._due(transaction, instant, limit, workflows, tenant):
                change, answer = decide(instance, None, instant)
                if change is not None:
                    await transaction.hold_for(change)
                    transaction.write(change, instant)
                answers.append((instance.id, answer))
        return answers

    async def save_definitions(self, snapshots: Sequence[DefinitionSnapshot]) -> Sequence[DefinitionSnapshot]:
        """Store the versions that are not stored yet; answers what is stored."""
        for snapshot in snapshots:
            self._definitions.setdefault((snapshot.workflow, snapshot.version), copy_snapshot(snapshot))
        return [copy_snapshot(self._definitions[snapshot.workflow, snapshot.version]) for snapshot in snapshots]

    async def load_definition(self, workflow: str, version: str) -> DefinitionSnapshot | None:
        """The stored snapshot of one version."""
        found = self._definitions.get((workflow, version))
        return copy_snapshot(found) if found else None

    async def list_definitions(self, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """Every stored version of these workflows (of all for `None`), by name and in the order they were stored."""
        stored = self._definitions.values()
        listed = [snapshot for snapshot in stored if workflows is None or snapshot.workflow in workflows]
        return [copy_snapshot(snapshot) for snapshot in sorted(listed, key=lambda snapshot: snapshot.workflow)]

    async def backlog(self, *, tenant: str | None = None, now: datetime | None = None) -> Backlog:
        """What waits, counted by looking at every row."""
        return backlog_of(self._database.committed, tenant, now or self.now())

    def _is_turn_of_others(self) -> bool:
        """Whether the event loop is to go round: whoever takes step after step, and waits for no row, would never let it."""
        self._steps = (self._steps + 1) % _STEPS_AT_ONCE
        return self._steps == 0

    def _decided(
        self, instance_id: UUID, decide: Decide[A], key: ReceiptKey | None, now: datetime
    ) -> tuple[Change | None, A]:
        record = self._database.committed.instances.get(instance_id)
        if record is None:
            raise InstanceNotFound(instance_id)
        receipt = None if key is None else self._database.view(None).receipt(key, now)
        return decide(copy_instance(record), receipt, now)

    def _tell(self, callback: Callable[[], None]) -> None:
        told = AfterCommit()
        told.add(callback)
        told.run()

    async def _unit(
        self,
        transaction: MemoryTransaction,
        instance_id: UUID | None,
        key: ReceiptKey | None,
        now: datetime | None,
        *,
        wait: bool,
    ) -> MemoryUnit:
        if instance_id is not None:
            await self._hold(transaction, instance_id, wait=wait)
        record = transaction.rows.instance(instance_id) if instance_id else None
        # The clock is read after the wait for the row, and the receipt by that clock.
        instant = now or self.now()
        return MemoryUnit(transaction, record, transaction.rows.receipt(key, instant), instant)

    async def _hold(self, transaction: MemoryTransaction, instance_id: UUID, *, wait: bool) -> None:
        # Asked before waiting: an instance that another transaction is about to create is not there yet.
        if transaction.rows.instance(instance_id) is None:
            raise InstanceNotFound(instance_id)
        if wait:
            await transaction.hold(instance_id, instance_id)
        elif not transaction.try_hold(instance_id):
            raise InstanceBusy(instance_id)
        # And after: the one who held the row may have removed it.
        if transaction.rows.instance(instance_id) is None:
            raise InstanceNotFound(instance_id)

    def _due(
        self,
        transaction: MemoryTransaction,
        now: datetime,
        limit: int,
        workflows: Collection[str] | None,
        tenant: str | None,
    ) -> list[WorkflowInstance]:
        """Up to `limit` instances that are due, the earliest first, held from now on."""
        due = sorted(
            (instance.due_at, instance.id)
            for instance in transaction.rows.instances()
            if instance.status is Status.ACTIVE
            and (workflows is None or instance.workflow in workflows)
            and tenant in (None, instance.tenant)
            and instance.due_at is not None
            and instance.due_at <= now
        )
        free = (instance_id for _, instance_id in due if transaction.try_hold(instance_id))
        claimed = (transaction.rows.instance(instance_id) for instance_id in islice(free, limit))
        return [instance for instance in claimed if instance is not None]
