"""A step of a store that keeps its rows in this process: what the memory and the SQLite store's units share."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from detent.store.change import Change
from detent.store.copies import copy_instance
from detent.store.messages import InboxMessage
from detent.store.protocol import Existing
from detent.store.records import Receipt, WorkflowInstance
from detent.store.run_records import Run


class LocalTransaction(Protocol):
    """What a local unit needs of its transaction."""

    def savepoint(self) -> AbstractAsyncContextManager[object]: ...

    def after_commit(self, callback: Callable[[], None]) -> None: ...


TransactionType = TypeVar("TransactionType", bound=LocalTransaction)


class LocalUnit(ABC, Generic[TransactionType]):
    """One step inside a local transaction; see `Unit`."""

    def __init__(
        self,
        connection: TransactionType,
        record: WorkflowInstance | None,
        receipt: Receipt | None,
        now: datetime,
    ) -> None:
        self.connection = connection
        self.record = record
        self.receipt = receipt
        self.now = now

    async def flush(self) -> None:
        """Nothing is ever unsent."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A savepoint around one command: undone when its body raises, kept otherwise."""
        record = self.record
        try:
            async with self.connection.savepoint():
                yield
        except BaseException:
            self.record = record
            raise

    @abstractmethod
    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the locked instance, held until the end of the step; `None` when it has no such run."""

    @abstractmethod
    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the locked instance that are not dead, by rising number: a page of those above `after`."""

    async def write(self, change: Change) -> Existing | None:
        """Write `change`; for an insert whose receipt's key is taken, what exists."""
        existing = await self._write(change)
        if existing is None:
            self.record = copy_instance(change.instance)
        return existing

    @abstractmethod
    async def _write(self, change: Change) -> Existing | None: ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the step is committed for good."""
        self.connection.after_commit(callback)
