"""Takes out one instance because somebody says so."""

from dataclasses import dataclass
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFinished, InstanceNotFound
from detent.runtime.attempt import Attempt
from detent.runtime.execution import locked_record
from detent.runtime.lending import lent_step
from detent.runtime.parts import Parts
from detent.runtime.reentrancy import refuse_reentry
from detent.runtime.removal import removal_of
from detent.store.change import Removal
from detent.store.records import FINISHED, ArchiveEntry, WorkflowInstance

TRIES = 5
"""How often it is begun anew when the instance moves on meanwhile."""


@dataclass(frozen=True, slots=True)
class DeleteOrder:
    """Which instance shall go, for whom, and how."""

    attempt: Attempt
    force: bool
    """Whether it goes although it has not finished."""
    archive: bool
    """Whether it is kept as a document."""
    reason: str | None

    @property
    def instance_id(self) -> UUID:
        """Which one."""
        return self.attempt.instance_id


class Deletion:
    """Takes out what it is told to. One per runtime."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def delete(self, order: DeleteOrder) -> ArchiveEntry:
        """What is kept of the instance, in a transaction of its own or in the caller's."""
        refuse_reentry(self._parts, order.instance_id)
        connection = order.attempt.caller.connection
        if connection is not None:
            return await self._joined(order, connection)
        return await self._parts.unbroken(self._parts.repeated(lambda: self._own(order)))

    async def _own(self, order: DeleteOrder) -> ArchiveEntry:
        store = self._parts.store
        for _ in range(TRIES):
            record = _checked(order, await store.load(order.instance_id))
            removal = await removal_of(
                store,
                record,
                now=self._parts.present,
                reason=order.reason,
                trigger_metadata=order.attempt.trigger_metadata,
                archive=order.archive,
            )
            if await store.remove([removal]):
                self._parts.observers.report_removal(record, removal.entry)
                return removal.entry
        raise InstanceBusy(order.instance_id)

    async def _joined(self, order: DeleteOrder, connection: object) -> ArchiveEntry:
        store = self._parts.store
        with lent_step(self._parts):
            async with store.join(connection, order.instance_id, now=self._parts.now) as unit:
                record = _checked(order, locked_record(unit))
                removal = await removal_of(
                    store,
                    record,
                    now=unit.now,
                    reason=order.reason,
                    trigger_metadata=order.attempt.trigger_metadata,
                    archive=order.archive,
                    outside=connection,
                )
                await self._remove_locked(removal, connection)
                unit.after_commit(lambda: self._parts.observers.report_removal(record, removal.entry))
                return removal.entry

    async def _remove_locked(self, removal: Removal, connection: object) -> None:
        if not await self._parts.store.remove([removal], outside=connection):
            raise RuntimeError("the store did not remove an instance whose row the caller's transaction holds")


def _checked(order: DeleteOrder, record: WorkflowInstance | None) -> WorkflowInstance:
    """The record, when it may go. Raises what says that it may not."""
    if record is None:
        raise InstanceNotFound(order.instance_id)
    order.attempt.require_sight(record)
    order.attempt.require_version(record)
    if record.status not in FINISHED and not order.force:
        raise InstanceNotFinished(record.id, record.status.value)
    return record
