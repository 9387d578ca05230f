"""A step of the memory store."""

from collections.abc import Sequence
from uuid import UUID

from detent.store.change import Change
from detent.store.copies import copy_message
from detent.store.local_unit import LocalUnit
from detent.store.memory_effects import run_row
from detent.store.memory_transaction import MemoryTransaction
from detent.store.messages import InboxMessage
from detent.store.protocol import MESSAGES_OF_A_PAGE, Existing
from detent.store.run_records import Run


class MemoryUnit(LocalUnit[MemoryTransaction]):
    """One step inside a memory transaction; see `Unit`."""

    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the locked instance, held until the end; raises `InstanceBusy` when that takes too long."""
        if self._own(run_id) is None or self.record is None:
            return None
        await self.connection.hold(run_row(run_id), self.record.id)
        # Asked again: the one who held it may have written it.
        return self._own(run_id)

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the locked instance that are not dead, by rising number: a page of those above `after`."""
        if self.record is None:
            return []
        instance_id = self.record.id
        waiting = [
            message
            for message in self.connection.rows.messages()
            if message.instance_id == instance_id and message.dead_at is None and message.number > after
        ]
        return [copy_message(message) for message in waiting[:MESSAGES_OF_A_PAGE]]

    async def _write(self, change: Change) -> Existing | None:
        await self.connection.hold_for(change)
        return self.connection.write(change, self.now)

    def _own(self, run_id: UUID) -> Run | None:
        run = self.connection.rows.run(run_id)
        return run if run and self.record and run.instance_id == self.record.id else None
