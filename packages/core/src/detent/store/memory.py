"""A store in the memory of this process: gone with it, otherwise like the others.

It is atomic, isolated and fenced, and JSON is copied on its way in and out. Steps on one instance queue for its row,
first come, first served; steps on different instances do not wait for each other. It serves tests, demonstrations, and
as the model that the other stores are compared with.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from detent.clock import SystemClock
from detent.errors import ConnectionNotSupported, InstanceBusy, InstanceNotFound
from detent.store.change import Change
from detent.store.copies import copy_entry, copy_instance, copy_snapshot
from detent.store.health import Health
from detent.store.memory_transaction import MemoryTransaction, MemoryUnit, Rows
from detent.store.protocol import A, Decide, Existing
from detent.store.records import DefinitionSnapshot, HistoryEntry, ReceiptKey, Status, WorkflowInstance
from detent.store.row_locks import RowLocks


class MemoryStore:
    """A `Store` in memory. `lock_timeout` is how many seconds a step waits for a row before it is `InstanceBusy`."""

    def __init__(self, *, lock_timeout: float = 3.0) -> None:
        self._lock_timeout = lock_timeout
        self._committed = Rows()
        self._definitions: dict[tuple[str, str], DefinitionSnapshot] = {}
        self._locks = RowLocks()
        self._clock = SystemClock()

    async def open(self) -> None:
        """Nothing to do: what it holds lives as long as the object."""

    async def close(self) -> None:
        """Nothing to do: it may be opened again and holds what it held."""

    def now(self) -> datetime:
        """The clock of this process."""
        return self._clock.now()

    async def health(self) -> Health:
        """Always well."""
        return Health(ok=True, detail=f"{len(self._committed.instances)} instances in memory")

    async def create(self, change: Change) -> Existing | None:
        """Write a new instance, or answer what its idempotency key was answered before."""
        async with self.transaction(None) as unit:
            return await unit.write(change)

    async def apply(
        self, instance_id: UUID, decide: Decide[A], *, key: ReceiptKey | None = None, now: datetime | None = None
    ) -> A:
        """Decide and write while holding the row, so that nobody comes between and `decide` is called once."""
        async with self.transaction(instance_id, key=key, now=now) as unit:
            if unit.record is None:
                raise InstanceNotFound(instance_id)
            change, answer = decide(unit.record, unit.receipt, unit.now)
            if change is not None:
                await unit.write(change)
            return answer

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
        transaction = self._own(outside)
        async with transaction.savepoint():
            yield await self._unit(transaction, instance_id, key, now, wait=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction for the application, to write with and to pass as `connection=`.

        Leaving it commits, unless an exception leaves it.
        """
        transaction = MemoryTransaction(self._committed, self._locks, self._lock_timeout)
        async with self.lend(transaction):
            yield transaction

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        transaction = self._own(outside)
        try:
            yield
        except BaseException:
            transaction.rollback()
            raise
        if transaction.is_open:
            transaction.commit()

    async def load(self, instance_id: UUID, *, outside: object | None = None) -> WorkflowInstance | None:
        """The committed record, or the one that the transaction `outside` sees."""
        if outside is not None:
            return self._own(outside).instance(instance_id)
        found = self._committed.instances.get(instance_id)
        return copy_instance(found) if found else None

    async def history(
        self, instance_id: UUID, *, limit: int, before: int | None = None, outside: object | None = None
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` entries with a sequence below `before`, the newest first."""
        entries = self._committed.history.get(instance_id, [])
        if outside is not None:
            entries = self._own(outside).history(instance_id)
        # Sequences are dense and start at 1, so entry n is at index n - 1.
        end = len(entries) if before is None else max(0, min(before - 1, len(entries)))
        start = max(0, end - limit)
        return [copy_entry(entry) for entry in reversed(entries[start:end])]

    async def fire_due(
        self,
        decide: Decide[A],
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> Sequence[tuple[UUID, A]]:
        """Fire what is due and held by nobody, in one transaction that never gives up the event loop."""
        instant = now or self.now()
        answers: list[tuple[UUID, A]] = []
        async with self.begin() as transaction:
            for instance in self._due(instant, limit, workflows):
                change, answer = decide(instance, None, instant)
                if change is not None:
                    transaction.write(change)
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
        record = transaction.instance(instance_id) if instance_id else None
        # The clock is read after the wait for the row, and the receipt by that clock.
        instant = now or self.now()
        return MemoryUnit(transaction, record, transaction.receipt(key, instant), instant)

    async def _hold(self, transaction: MemoryTransaction, instance_id: UUID, *, wait: bool) -> None:
        # Asked before waiting: an instance that another transaction is about to create is not there yet.
        if transaction.instance(instance_id) is None:
            raise InstanceNotFound(instance_id)
        if wait:
            await transaction.hold(instance_id, instance_id)
        elif not transaction.try_hold(instance_id):
            raise InstanceBusy(instance_id)

    def _own(self, outside: object) -> MemoryTransaction:
        if isinstance(outside, MemoryTransaction) and outside.is_open and outside.belongs_to(self._committed):
            return outside
        raise ConnectionNotSupported("MemoryStore", outside, "an open transaction from this store's begin()")

    def _due(self, now: datetime, limit: int, workflows: Collection[str] | None) -> list[WorkflowInstance]:
        due = [
            (instance.due_at, instance.id)
            for instance in self._committed.instances.values()
            if instance.status is Status.ACTIVE
            and (workflows is None or instance.workflow in workflows)
            and instance.due_at is not None
            and instance.due_at <= now
            and not self._locks.held(instance.id)
        ]
        return [copy_instance(self._committed.instances[instance_id]) for _, instance_id in sorted(due)[:limit]]
