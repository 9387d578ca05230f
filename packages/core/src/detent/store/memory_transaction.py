"""One transaction of the memory store: what it wrote so far, the rows it holds, and who is told when it commits.

Writes go into rows of the transaction's own, which lie over the committed ones and are poured into them at the commit.
A savepoint is a copy of them. Everything from the last lock to the commit happens without giving up the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from detent.errors import InstanceBusy, StepRolledBack
from detent.json_values import JsonValue, copy_value, json_value
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, PutReceipt, Removal
from detent.store.memory_effects import rows_of, write_effect
from detent.store.memory_overlay import Overlay
from detent.store.memory_rows import Rows
from detent.store.protocol import Existing
from detent.store.row_locks import RowLocks


class MemoryTransaction:
    """A transaction in memory: what a command of a `MemoryStore` writes with, and what `MemoryStore.begin()` lends.

    `put` and `get` keep JSON beside the instances: committed with the step, undone with it or with its savepoint, and
    invisible to others before. The rest serves the store.
    """

    def __init__(self, committed: Rows, locks: RowLocks, lock_timeout: float) -> None:
        self.rows = Overlay(committed)
        self._locks = locks
        self._lock_timeout = lock_timeout
        self._held: list[Hashable] = []
        self._after_commit = AfterCommit()
        self._open = True

    def put(self, table: str, key: str, value: JsonValue) -> None:
        """Keep `value` under `key`; of two transactions that write one key, the one that commits last wins."""
        self._expect_open()
        self.rows.put_value(table, key, json_value(value, f"{table}.{key}"))

    def get(self, table: str, key: str) -> JsonValue:
        """What is kept under `key`, as this transaction sees it; `None` when there is nothing."""
        self._expect_open()
        return copy_value(self.rows.value(table, key))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone by itself when its body raises: writes, locks and callbacks."""
        self._expect_open()
        written, held, callbacks = self.rows.mark(), len(self._held), self._after_commit.mark()
        try:
            yield
        except BaseException:
            self.rows.restore(written)
            self._after_commit.forget_since(callbacks)
            self._release_since(held)
            raise

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back yet."""
        return self._open

    def belongs_to(self, committed: Rows) -> bool:
        """Whether it would commit into these rows."""
        return self.rows.committed is committed

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
        """Hold the rows that `change` is decided by: its instance, and what its effects create once or take up."""
        instance_id = change.instance.id
        await self.hold(instance_id, instance_id)
        for row in rows_of(change):
            await self.hold(row, instance_id)

    def write(self, change: Change, now: datetime) -> Existing | None:
        """Write a change whose rows are held, as of `now`; raises `StepRolledBack`, with nothing written, where it lost
        a race.
        """
        self._expect_open()
        for receipt in (effect.receipt for effect in change.effects_of(PutReceipt)):
            # The instant of the step is the new receipt's own: a creation carries no other.
            taken = self.rows.recall(receipt.key, receipt.created_at)
            if taken and change.expected_version == 0:
                return taken
            if taken:
                raise StepRolledBack(f"the idempotency key {receipt.key.key!r} was answered meanwhile")
        self._fence(change)
        written = self.rows.mark() if change.effects else None
        if change.entries:
            self.rows.put_step(change)
        try:
            for effect in change.effects:
                write_effect(self.rows, effect, now)
        except StepRolledBack:
            if written is not None:
                self.rows.restore(written)
            raise
        return None

    async def remove(self, removals: Sequence[Removal]) -> list[UUID]:
        """Take out the instances that have the expected version; answers which ones those were."""
        # Everybody holds rows in the order of ids, so that two who remove the same ones do not wait for each other.
        for instance_id in sorted({removal.entry.instance_id for removal in removals}):
            # Asked before waiting: an instance that another transaction is about to create is not there yet.
            if self.rows.instance(instance_id):
                await self.hold(instance_id, instance_id)
        return [removal.entry.instance_id for removal in removals if self._remove(removal)]

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the commit, unless a savepoint around this moment is undone."""
        self._after_commit.add(callback)

    def commit(self) -> None:
        """Make everything visible at once, let go of all rows, and then call what waited for it."""
        self._expect_open()
        self.rows.commit()
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

    def _remove(self, removal: Removal) -> bool:
        if self._version(removal.entry.instance_id) != removal.expected_version:
            return False
        self.rows.remove(removal)
        return True

    def _version(self, instance_id: UUID) -> int | None:
        current = self.rows.instance(instance_id)
        return current.version if current else None

    def _fence(self, change: Change) -> None:
        version = self._version(change.instance.id) or 0
        if version != change.expected_version:
            raise StepRolledBack(f"instance {change.instance.id} has version {version}, not {change.expected_version}")

    def _expect_open(self) -> None:
        if not self._open:
            raise RuntimeError("this transaction has ended")
