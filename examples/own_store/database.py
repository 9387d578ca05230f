"""What the parts of the journal store share: the open ledger, whose turn it is to write, and how a transaction ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from detent.clock import SystemClock
from detent.errors import ConnectionNotSupported, StoreUnavailable
from detent.store.row_locks import RowLocks
from examples.own_store.ledger import Ledger
from examples.own_store.rows import Rows
from examples.own_store.transaction import JournalTransaction

_WRITER = "writer"


class PassedOver(Exception):
    """The writer did not come in time for a sweep or a claim, which then takes nothing."""


def busy() -> Exception:
    """What is raised when the writer does not come in time, unless a caller knows better."""
    return StoreUnavailable("another step holds the journal")


class JournalDatabase:
    """The ledger in the file at `path`. `lock_timeout` is how many seconds a transaction waits for the one before it."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self._path = path
        self._lock_timeout = lock_timeout
        self._clock = SystemClock()
        self._turns = RowLocks()
        self._opening = asyncio.Lock()
        self._opened = 0
        self._ledger: Ledger | None = None
        self._commits: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Read the journal, or start one."""
        async with self._opening:
            if self._ledger is None:
                try:
                    self._ledger = await asyncio.to_thread(Ledger, self._path)
                except (OSError, ValueError) as error:
                    raise StoreUnavailable(f"{self._path} cannot be opened: {error}") from error
            self._opened += 1

    async def close(self) -> None:
        """Wait for the step that is under way, and close the file."""
        async with self._opening:
            self._opened = max(0, self._opened - 1)
            if self._opened or self._ledger is None:
                return
            ledger, self._ledger = self._ledger, None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lock_timeout):
                    await self._turns.wait(_WRITER)
                self._turns.release(_WRITER)
            ledger.journal.close()

    def now(self) -> datetime:
        """The clock of this process."""
        return self._clock.now()

    def seen(self, outside: object | None = None) -> Rows:
        """What a read sees: everything that is committed, or what the transaction `outside` makes of it."""
        return self._running().committed if outside is None else self.own(outside).rows

    def own(self, outside: object) -> JournalTransaction:
        """`outside`, an open transaction of this store; raises `ConnectionNotSupported` for anything else."""
        ledger = self._running()
        if isinstance(outside, JournalTransaction) and outside.is_open and outside.belongs_to(ledger):
            return outside
        raise ConnectionNotSupported("JournalStore", outside, "an open transaction from this store's begin()")

    @asynccontextmanager
    async def begin(
        self, late: Callable[[], Exception] = busy, *, wait: bool = True
    ) -> AsyncIterator[JournalTransaction]:
        """A transaction that is committed when the block ends well, and rolled back otherwise.

        `late` makes what is raised when the writer does not come in time.
        """
        await self._take_turn(late, wait=wait)
        try:
            transaction = JournalTransaction(self._running())
        except StoreUnavailable:
            self._turns.release(_WRITER)
            raise
        async with self.lend(transaction):
            yield transaction

    @asynccontextmanager
    async def within(
        self, outside: object | None, late: Callable[[], Exception] = busy
    ) -> AsyncIterator[JournalTransaction]:
        """A transaction of its own, or a savepoint of `outside`."""
        if outside is None:
            async with self.begin(late) as transaction:
                yield transaction
        else:
            transaction = self.own(outside)
            async with transaction.savepoint():
                yield transaction

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit the transaction when the block ends well, roll it back otherwise."""
        transaction = self.own(outside)
        try:
            yield
        except BaseException:
            # A transaction that was lent may have ended before its block does.
            if transaction.is_open:
                transaction.rollback()
                self._turns.release(_WRITER)
            raise
        if transaction.is_open:
            await self._commit(transaction)

    async def _take_turn(self, late: Callable[[], Exception], *, wait: bool) -> None:
        if self._turns.take(_WRITER):
            return
        if not wait:
            raise late()
        try:
            async with asyncio.timeout(self._lock_timeout):
                await self._turns.wait(_WRITER)
        except TimeoutError:
            raise late() from None

    async def _commit(self, transaction: JournalTransaction) -> None:
        # A task of its own, held here: the end is reached and the writer is free, even if the caller is cancelled now.
        task = asyncio.create_task(self._committed(transaction))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        await asyncio.shield(task)

    async def _committed(self, transaction: JournalTransaction) -> None:
        try:
            await transaction.commit()
        finally:
            self._turns.release(_WRITER)
        transaction.report()

    def _running(self) -> Ledger:
        if self._ledger is None:
            raise StoreUnavailable("it is not open")
        return self._ledger
