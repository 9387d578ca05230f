"""One step inside a transaction: the locked record, a session for commands, and the pen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, AsyncSessionTransaction
from sqlalchemy.orm import Session

from detent.errors import InstanceNotFound, StepRolledBack
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, Removal
from detent.store.messages import InboxMessage
from detent.store.protocol import Existing
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import Run
from detent_pg.ending import TransactionEnded, errors_on
from detent_pg.faults import translated
from detent_pg.line import BorrowedLine
from detent_pg.pen import Pen
from detent_pg.savepoints import started
from detent_pg.statements.writing import Rows

T = TypeVar("T")


class Extent(Protocol):
    """A transaction or savepoint."""

    @property
    def is_active(self) -> bool: ...


class PgUnit:
    """One step inside a transaction; see `Unit`."""

    def __init__(
        self,
        pen: Pen,
        connection: AsyncConnection,
        line: BorrowedLine,
        session: AsyncSession | None,
        extent: Extent,
        after_commit: AfterCommit,
        now: datetime,
        *,
        lent: bool,
    ) -> None:
        self._pen = pen
        self._connection = connection
        self._line = line
        self._session = session
        self._extent = extent
        self._after_commit = after_commit
        self._lent = lent
        self._errors = errors_on(connection)
        self.now = now
        self.record: WorkflowInstance | None = None
        self.receipt: Receipt | None = None
        self.changes: list[Change] = []

    async def enter(
        self, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None, *, wait: bool
    ) -> None:
        """Lock the instance. A creation has nothing to lock, and asks only for a receipt when it is given a key."""
        if instance_id is None:
            self.now = now or self.now
            if key is not None:
                self.receipt = await self._pen.receipt(self._line, key, self.now)
            return
        seen = await self._pen.lock(self._line, instance_id, key, now, wait=wait, lent=self._lent)
        if seen is None:
            raise InstanceNotFound(instance_id)
        self.record, self.receipt, self.now = seen.record, seen.receipt, seen.now

    @property
    def connection(self) -> AsyncSession:
        """A session in the transaction of the step; its `connection()` is for statements of Core."""
        if self._session is None:
            self._session = session_on(self._connection)
        return self._session

    async def flush(self) -> None:
        """Send what the session holds back; nothing goes over the wire when it holds nothing."""
        self.check()
        if self._session is None:
            return
        unsent = self._session.sync_session
        if unsent.new or unsent.dirty or unsent.deleted:
            await unbroken(self._session.flush())

    async def close(self) -> None:
        """Close the session that was made for the step."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A savepoint of the session around one command."""
        record, written, told = self.record, len(self.changes), self._after_commit.mark()
        savepoint = self.connection.begin_nested()
        try:
            await unbroken(started(savepoint))
            yield
            await unbroken(savepoint.commit())
        except BaseException:
            await undo(savepoint)
            self.record = record
            del self.changes[written:]
            self._after_commit.forget_since(told)
            self.check()
            raise

    async def receipts_under(self, asked: Sequence[tuple[ReceiptKey, datetime | None]]) -> dict[ReceiptKey, Receipt]:
        """The unexpired receipts under these keys, each at its instant, as seen while holding the lock."""
        found = await unbroken(self._pen.recall_all(self._line, asked))
        return {existing.receipt.key: existing.receipt for existing in found if existing is not None}

    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the locked instance, held until the end of the step."""
        self.check()
        if self.record is None:
            return None
        return await unbroken(self._pen.lock_run(self._line, run_id, self.record.id))

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the locked instance that are not dead, by rising number: a page of those above `after`."""
        self.check()
        if self.record is None:
            return []
        return await unbroken(self._pen.messages(self._line, self.record.id, after))

    async def write(self, change: Change) -> Existing | None:
        """Write `change`; for an insert whose receipt's key is taken, what exists."""
        self.check()
        existing = await unbroken(self._update(change) if change.expected_version else self._insert(change))
        if existing is None:
            self.record = change.instance
            self.changes.append(change)
        return existing

    async def write_all(self, changes: Sequence[Change]) -> None:
        """Write updates of instances that are locked, in one statement; several of one instance as one."""
        if changes and await self._written(changes) != {change.instance.id for change in changes}:
            raise StepRolledBack("an instance was written while it was locked")
        self.changes += changes

    async def remove(self, removals: Sequence[Removal]) -> frozenset[UUID]:
        """Take instances out, for `Store.remove`."""
        return await unbroken(self._pen.archive.remove(self._line, removals, lent=self._lent))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the step is committed for good."""
        self._after_commit.add(callback)

    async def finish(self) -> None:
        """Make sure that the step can be committed, with all that commands left unsent.

        What stays in the session would be lost, since we commit its connection.
        """
        await self.flush()
        self.check()
        if errors_on(self._connection) != self._errors:
            # Somebody swallowed an error; only the database knows whether a savepoint took it back.
            with translated():
                await self._connection.execute(select(1))

    def check(self) -> None:
        """Raise `TransactionEnded` when a command ended what the step is in."""
        if not self._extent.is_active:
            raise TransactionEnded

    async def _insert(self, change: Change) -> Existing | None:
        if await self._pen.create(self._line, change, lent=self._lent):
            return None
        return await self._pen.existing(self._line, change)

    async def _update(self, change: Change) -> None:
        if not await self._written([change]):
            raise StepRolledBack(f"instance {change.instance.id} has no longer version {change.expected_version}")

    async def _written(self, changes: Sequence[Change]) -> set[UUID]:
        return await self._pen.write(self._line, changes, Rows.HELD, now=self.now)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` to its end; a cancellation is raised after it.

    A statement that is broken off costs its connection, and with it the transaction of whoever lent it.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


async def undo(extent: AsyncSessionTransaction | AsyncSession | AsyncConnection) -> None:
    """Roll back what can be rolled back; what cannot is gone with its connection."""
    with suppress(DBAPIError, OSError, InvalidRequestError):
        await unbroken(extent.rollback())


class _StepSession(Session):
    """A session for commands: the transaction it works in is not its own to end."""

    def commit(self) -> None:
        raise TransactionEnded

    def rollback(self) -> None:
        raise TransactionEnded


def session_on(connection: AsyncConnection) -> AsyncSession:
    """A session for commands in the transaction of `connection`."""
    session = AsyncSession(
        bind=connection,
        sync_session_class=_StepSession,
        expire_on_commit=False,
        join_transaction_mode="rollback_only",
    )
    # Begun already, so that a command cannot begin, and then commit, by itself; it sends nothing.
    session.sync_session.begin()
    return session
