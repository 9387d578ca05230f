"""One transaction of the memory store: what it wrote so far, the rows it holds, and who is told when it commits.

Writes go into rows of the transaction's own, which lie over the committed ones and are poured into them at the commit.
A savepoint is a copy of them. Everything from the last lock to the commit happens without giving up the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from detent.errors import InstanceBusy, StepRolledBack
from detent.json_values import JsonValue, json_value
from detent.store.after_commit import AfterCommit
from detent.store.change import Change
from detent.store.copies import copy_entry, copy_instance, copy_receipt, copy_value
from detent.store.local_unit import LocalUnit
from detent.store.protocol import Existing
from detent.store.records import HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.row_locks import RowLocks


@dataclass(slots=True)
class Rows:
    """Rows by table: all that is committed, or what one transaction wrote so far."""

    instances: dict[UUID, WorkflowInstance] = field(default_factory=dict)
    history: dict[UUID, list[HistoryEntry]] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    values: dict[tuple[str, str], JsonValue] = field(default_factory=dict)
    """What commands put, by table and key."""

    def copy(self) -> "Rows":
        """The same rows in dicts and lists of their own; rows themselves are never edited."""
        history = {instance_id: list(entries) for instance_id, entries in self.history.items()}
        return Rows(dict(self.instances), history, dict(self.receipts), dict(self.values))

    def absorb(self, newer: "Rows") -> None:
        """Take over the rows of a transaction."""
        self.instances.update(newer.instances)
        for instance_id, entries in newer.history.items():
            self.history.setdefault(instance_id, []).extend(entries)
        self.receipts.update(newer.receipts)
        self.values.update(newer.values)


class MemoryTransaction:
    """A transaction in memory: what a command of a `MemoryStore` writes with, and what `MemoryStore.begin()` lends.

    `put` and `get` keep JSON beside the instances: committed with the step, undone with it or with its savepoint, and
    invisible to others before. The rest serves the store.
    """

    def __init__(self, committed: Rows, locks: RowLocks, lock_timeout: float) -> None:
        self._committed = committed
        self._locks = locks
        self._lock_timeout = lock_timeout
        self._written = Rows()
        self._held: list[Hashable] = []
        self._after_commit = AfterCommit()
        self._open = True

    def put(self, table: str, key: str, value: JsonValue) -> None:
        """Keep `value` under `key`; of two transactions that write one key, the one that commits last wins."""
        self._expect_open()
        self._written.values[table, key] = json_value(value, f"{table}.{key}")

    def get(self, table: str, key: str) -> JsonValue:
        """What is kept under `key`, as this transaction sees it; `None` when there is nothing."""
        self._expect_open()
        if (table, key) in self._written.values:
            return copy_value(self._written.values[table, key])
        return copy_value(self._committed.values.get((table, key)))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself when its body raises: writes, locks and callbacks."""
        self._expect_open()
        written, held, mark = self._written.copy(), len(self._held), self._after_commit.mark()
        try:
            yield
        except BaseException:
            self._written = written
            self._after_commit.forget_since(mark)
            self._release_since(held)
            raise

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back yet."""
        return self._open

    def belongs_to(self, committed: Rows) -> bool:
        """Whether it would commit into these rows."""
        return self._committed is committed

    def instance(self, instance_id: UUID) -> WorkflowInstance | None:
        """The record as this transaction sees it."""
        found = self._written.instances.get(instance_id) or self._committed.instances.get(instance_id)
        return copy_instance(found) if found else None

    def history(self, instance_id: UUID) -> list[HistoryEntry]:
        """The entries as this transaction sees them, the oldest first; the rows themselves."""
        return self._committed.history.get(instance_id, []) + self._written.history.get(instance_id, [])

    def receipt(self, key: ReceiptKey | None, now: datetime) -> Receipt | None:
        """The receipt under `key` that has not expired at `now`."""
        if key is None:
            return None
        found = self._written.receipts.get(key) or self._committed.receipts.get(key)
        return copy_receipt(found) if found and found.expires_at > now else None

    def try_hold(self, row: Hashable) -> bool:
        """Hold `row` until the end, or until a savepoint around this is undone; `False` if another one has it."""
        if row in self._held:
            return True
        if not self._locks.take(row):
            return False
        self._held.append(row)
        return True

    async def hold(self, row: Hashable, instance_id: UUID) -> None:
        """Hold `row` once it is free; raises `InstanceBusy` for `instance_id` when that takes too long."""
        if row in self._held:
            return
        try:
            async with asyncio.timeout(self._lock_timeout):
                await self._locks.wait(row)
        except TimeoutError:
            raise InstanceBusy(instance_id) from None
        self._held.append(row)

    async def hold_for(self, change: Change) -> None:
        """Hold the rows that `change` is decided by: its instance, and for an insert the keys of its receipts."""
        instance_id = change.instance.id
        await self.hold(instance_id, instance_id)
        if change.expected_version == 0:
            for effect in change.effects:
                await self.hold(effect.receipt.key, instance_id)

    def write(self, change: Change) -> Existing | None:
        """Write a change whose rows are held; raises `StepRolledBack`, with nothing written, where it lost a race."""
        self._expect_open()
        for effect in change.effects:
            # The instant of the step is the new receipt's own: a creation carries no other.
            taken = self.receipt(effect.receipt.key, effect.receipt.created_at)
            if taken and change.expected_version == 0:
                return Existing(taken, self._instance_of(taken))
            if taken:
                raise StepRolledBack(f"the idempotency key {effect.receipt.key.key!r} was answered meanwhile")
        self._fence(change)
        self._written.instances[change.instance.id] = copy_instance(change.instance)
        self._written.history.setdefault(change.instance.id, []).extend(copy_entry(entry) for entry in change.entries)
        for effect in change.effects:
            self._written.receipts[effect.receipt.key] = copy_receipt(effect.receipt)
        return None

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the commit, unless a savepoint around this moment is undone."""
        self._after_commit.add(callback)

    def commit(self) -> None:
        """Make everything visible at once, let go of all rows, and then call what waited for it."""
        self._expect_open()
        self._committed.absorb(self._written)
        self._end()
        self._after_commit.run()

    def rollback(self) -> None:
        """Forget everything."""
        if self._open:
            self._end()

    def _end(self) -> None:
        self._open = False
        self._release_since(0)

    def _release_since(self, count: int) -> None:
        for row in self._held[count:]:
            self._locks.release(row)
        del self._held[count:]

    def _fence(self, change: Change) -> None:
        current = self.instance(change.instance.id)
        version = current.version if current else 0
        if version != change.expected_version:
            raise StepRolledBack(f"instance {change.instance.id} has version {version}, not {change.expected_version}")

    def _instance_of(self, receipt: Receipt) -> WorkflowInstance:
        instance = self.instance(receipt.instance_id)
        if instance is None:
            raise LookupError(f"receipt {receipt.key} names an instance that does not exist")
        return instance

    def _expect_open(self) -> None:
        if not self._open:
            raise RuntimeError("this transaction has ended")


class MemoryUnit(LocalUnit[MemoryTransaction]):
    """One step inside a memory transaction; see `Unit`."""

    async def _write(self, change: Change) -> Existing | None:
        await self.connection.hold_for(change)
        return self.connection.write(change)
