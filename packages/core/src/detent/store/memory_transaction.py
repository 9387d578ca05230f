"""One transaction of the memory store: what it wrote so far, the rows it holds, and who is told when it commits.

Writes go into rows of the transaction's own, which lie over the committed ones and are poured into them at the commit.
A savepoint is a copy of them. Everything from the last lock to the commit happens without giving up the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from detent.errors import InstanceBusy, StepRolledBack
from detent.json_values import JsonValue, json_value
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, Removal
from detent.store.copies import copy_archive_entry, copy_entry, copy_instance, copy_receipt, copy_value
from detent.store.local_unit import LocalUnit
from detent.store.protocol import Existing
from detent.store.records import ArchiveEntry, HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.row_locks import RowLocks


@dataclass(slots=True)
class Rows:
    """Rows by table: all that is committed, or what one transaction wrote so far."""

    instances: dict[UUID, WorkflowInstance] = field(default_factory=dict)
    history: dict[UUID, list[HistoryEntry]] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    archive: dict[UUID, ArchiveEntry] = field(default_factory=dict)
    removed: set[UUID] = field(default_factory=set)
    """Instances whose older rows go at the commit; an id may be used again, so newer ones may stand beside it."""
    values: dict[tuple[str, str], JsonValue] = field(default_factory=dict)
    """What commands put, by table and key."""

    def copy(self) -> "Rows":
        """The same rows in dicts and lists of their own; rows themselves are never edited."""
        history = {instance_id: list(entries) for instance_id, entries in self.history.items()}
        return Rows(
            dict(self.instances),
            history,
            dict(self.receipts),
            dict(self.archive),
            set(self.removed),
            dict(self.values),
        )

    def absorb(self, newer: "Rows") -> None:
        """Take over the rows of a transaction."""
        if newer.removed:
            self.forget(newer.removed)
        self.instances.update(newer.instances)
        for instance_id, entries in newer.history.items():
            self.history.setdefault(instance_id, []).extend(entries)
        self.receipts.update(newer.receipts)
        self.archive.update(newer.archive)
        self.values.update(newer.values)

    def forget(self, instance_ids: set[UUID]) -> None:
        """Drop the rows of these instances, except what is archived of them."""
        for instance_id in instance_ids:
            self.instances.pop(instance_id, None)
            self.history.pop(instance_id, None)
        self.receipts = {key: kept for key, kept in self.receipts.items() if kept.instance_id not in instance_ids}

    def prune_history(self, instance_id: UUID, before: datetime) -> int:
        """Drop entries from before an instant, up to the first one that is not, and never the last; answers how many."""
        entries = self.history.get(instance_id, [])
        kept = next((index for index, entry in enumerate(entries) if entry.created_at >= before), len(entries) - 1)
        dropped = max(0, kept)
        if dropped:
            self.history[instance_id] = entries[dropped:]
        return dropped

    def prune_receipts(self, now: datetime, limit: int) -> int:
        """Drop up to `limit` receipts that have expired at `now`; answers how many."""
        expired = [key for key, receipt in self.receipts.items() if receipt.expires_at <= now][:limit]
        for key in expired:
            del self.receipts[key]
        return len(expired)


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
        found = self._written.instances.get(instance_id)
        if found is None and instance_id not in self._written.removed:
            found = self._committed.instances.get(instance_id)
        return copy_instance(found) if found else None

    def instances(self) -> Iterable[WorkflowInstance]:
        """All records as this transaction sees them, in no order; the rows themselves."""
        written = self._written
        yield from written.instances.values()
        for instance_id, instance in self._committed.instances.items():
            if instance_id not in written.instances and instance_id not in written.removed:
                yield instance

    def history(self, instance_id: UUID) -> list[HistoryEntry]:
        """The entries as this transaction sees them, the oldest first; the rows themselves."""
        gone = instance_id in self._written.removed
        committed = [] if gone else self._committed.history.get(instance_id, [])
        return committed + self._written.history.get(instance_id, [])

    def receipt(self, key: ReceiptKey | None, now: datetime) -> Receipt | None:
        """The receipt under `key` that has not expired at `now`."""
        if key is None:
            return None
        found = self._written.receipts.get(key)
        if found is None:
            found = self._committed.receipts.get(key)
            if found and found.instance_id in self._written.removed:
                return None
        return copy_receipt(found) if found and found.expires_at > now else None

    def recall(self, key: ReceiptKey, now: datetime) -> Existing | None:
        """The receipt under `key` that has not expired at `now`, with its instance."""
        receipt = self.receipt(key, now)
        return Existing(receipt, self._instance_of(receipt)) if receipt else None

    def try_hold(self, row: Hashable) -> bool:
        """Hold `row` until the end, or until a savepoint around this is undone; `False` if another one has it."""
        self._expect_open()
        if row in self._held:
            return True
        if not self._locks.take(row):
            return False
        self._held.append(row)
        return True

    async def hold(self, row: Hashable, instance_id: UUID) -> None:
        """Hold `row` once it is free; raises `InstanceBusy` for `instance_id` when that takes too long."""
        # Who ended the transaction meanwhile would never let the row go.
        self._expect_open()
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
            taken = self.recall(effect.receipt.key, effect.receipt.created_at)
            if taken and change.expected_version == 0:
                return taken
            if taken:
                raise StepRolledBack(f"the idempotency key {effect.receipt.key.key!r} was answered meanwhile")
        self._fence(change)
        if change.entries:
            self._write_entries(change)
        for effect in change.effects:
            self._written.receipts[effect.receipt.key] = copy_receipt(effect.receipt)
        return None

    async def remove(self, removals: Sequence[Removal]) -> list[UUID]:
        """Take out the instances that have the expected version; answers which ones those were."""
        # Everybody holds rows in the order of ids, so that two who remove the same ones do not wait for each other.
        for instance_id in sorted({removal.entry.instance_id for removal in removals}):
            # Asked before waiting: an instance that another transaction is about to create is not there yet.
            if self.instance(instance_id):
                await self.hold(instance_id, instance_id)
        return [removal.entry.instance_id for removal in removals if self._remove(removal)]

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

    def _write_entries(self, change: Change) -> None:
        instance_id = change.instance.id
        self._written.instances[instance_id] = copy_instance(change.instance)
        self._written.history.setdefault(instance_id, []).extend(copy_entry(entry) for entry in change.entries)

    def _remove(self, removal: Removal) -> bool:
        instance_id = removal.entry.instance_id
        if self._version(instance_id) != removal.expected_version:
            return False
        self._written.forget({instance_id})
        self._written.removed.add(instance_id)
        self._written.archive[instance_id] = copy_archive_entry(removal.entry)
        return True

    def _version(self, instance_id: UUID) -> int | None:
        current = self.instance(instance_id)
        return current.version if current else None

    def _fence(self, change: Change) -> None:
        version = self._version(change.instance.id) or 0
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
