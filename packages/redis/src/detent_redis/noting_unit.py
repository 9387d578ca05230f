"""A step that notes which records its commit makes untrue elsewhere."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from detent.store.change import Change
from detent.store.messages import InboxMessage
from detent.store.protocol import Existing, Unit
from detent.store.records import Receipt, WorkflowInstance
from detent.store.run_records import Run


class NotingUnit:
    """A `Unit` that asks another one for everything, and adds to `touched` the instances that it is told to write."""

    def __init__(self, unit: Unit, touched: list[UUID]) -> None:
        self._unit = unit
        self._touched = touched

    @property
    def record(self) -> WorkflowInstance | None:
        """The locked instance."""
        return self._unit.record

    @property
    def receipt(self) -> Receipt | None:
        """The unexpired receipt under the key that was asked for."""
        return self._unit.receipt

    @property
    def now(self) -> datetime:
        """The instant of this step."""
        return self._unit.now

    @property
    def connection(self) -> object:
        """What commands may use to write in the same transaction."""
        return self._unit.connection

    async def flush(self) -> None:
        await self._unit.flush()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self._unit.savepoint()

    async def lock_run(self, run_id: UUID) -> Run | None:
        return await self._unit.lock_run(run_id)

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        return await self._unit.messages(after=after)

    async def write(self, change: Change) -> Existing | None:
        """Write `change`, and note what it touches: noted in vain does no harm."""
        self._touched += touched_by_creation(change) if not change.expected_version else [change.instance.id]
        return await self._unit.write(change)

    def after_commit(self, callback: Callable[[], None]) -> None:
        self._unit.after_commit(callback)


def touched_by_creation(change: Change) -> list[UUID]:
    """Whose record is to be read anew after a creation: the parent's, of whom it is asked then whether it still goes on."""
    return [] if change.instance.parent_id is None else [change.instance.parent_id]
