"""What the parts of the memory store share: the committed rows, who holds which, and transactions over both."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import datetime

from detent.clock import SystemClock
from detent.errors import ConnectionNotSupported
from detent.store.change import Change
from detent.store.memory_effects import rows_of
from detent.store.memory_overlay import Overlay
from detent.store.memory_rows import Rows
from detent.store.memory_transaction import MemoryTransaction
from detent.store.protocol import Existing
from detent.store.row_locks import RowLocks


class MemoryDatabase:
    """Rows and transactions. `lock_timeout` is how many seconds a transaction waits for a row."""

    def __init__(self, lock_timeout: float) -> None:
        self.committed = Rows()
        self._locks = RowLocks()
        self._lock_timeout = lock_timeout
        self._clock = SystemClock()

    def now(self) -> datetime:
        """The clock of this process."""
        return self._clock.now()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[MemoryTransaction]:
        """A transaction that is committed when the block ends well, and rolled back otherwise."""
        transaction = self._transaction()
        async with self.lend(transaction):
            yield transaction

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        transaction = self.own(outside)
        try:
            yield
        except BaseException:
            transaction.rollback()
            raise
        if transaction.is_open:
            transaction.commit()

    @asynccontextmanager
    async def within(self, outside: object | None) -> AsyncIterator[MemoryTransaction]:
        """A transaction of its own, or a savepoint of `outside`."""
        if outside is None:
            async with self.begin() as transaction:
                yield transaction
        else:
            transaction = self.own(outside)
            async with transaction.savepoint():
                yield transaction

    def view(self, outside: object | None) -> Overlay:
        """What a read sees: everything that is committed, or what the transaction `outside` makes of it."""
        return Overlay(self.committed) if outside is None else self.own(outside).rows

    def own(self, outside: object) -> MemoryTransaction:
        """`outside`, an open transaction of this store; raises `ConnectionNotSupported` for anything else."""
        if isinstance(outside, MemoryTransaction) and outside.is_open and outside.belongs_to(self.committed):
            return outside
        raise ConnectionNotSupported("MemoryStore", outside, "an open transaction from this store's begin()")

    def is_held(self, row: Hashable) -> bool:
        """Whether a transaction holds `row`."""
        return self._locks.held(row)

    def is_free_for(self, change: Change) -> bool:
        """Whether no transaction holds any of the rows that must be held for `change`."""
        if self._locks.held(change.instance.id):
            return False
        return not change.effects or not any(map(self._locks.held, rows_of(change)))

    def commit_at_once(self, change: Change, now: datetime) -> Existing | None:
        """Write a change whose rows are free, and commit it, without giving up the event loop: so that nobody needs to hold
        them. Answers and raises what `MemoryTransaction.write` does.
        """
        instance_id = change.instance.id
        current = self.committed.instances.get(instance_id)
        if not change.effects and change.entries and change.expected_version == (current.version if current else 0):
            # All that is to be seen at once are two rows of this instance: that needs no rows to be laid over others.
            self.committed.put_step(change)
            return None
        transaction = self._transaction()
        existing = transaction.write(change, now)
        transaction.commit()
        return existing

    def _transaction(self) -> MemoryTransaction:
        return MemoryTransaction(self.committed, self._locks, self._lock_timeout)
