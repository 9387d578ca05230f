"""One step inside a transaction of the journal store, and how it writes a change."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import assert_never
from uuid import UUID

from detent.errors import StepRolledBack
from detent.store.change import (
    AddMessage,
    AddRun,
    Change,
    Effect,
    MoveRun,
    Publish,
    PutBack,
    PutReceipt,
    SaveStep,
    TakeMessage,
)
from detent.store.local_unit import LocalUnit
from detent.store.memory_run_steps import checkpointed, moved
from detent.store.messages import InboxMessage
from detent.store.protocol import MESSAGES_OF_A_PAGE, Existing
from detent.store.run_records import Run
from examples.own_store.transaction import JournalTransaction


class JournalUnit(LocalUnit[JournalTransaction]):
    """One step inside a transaction; see `Unit`."""

    async def lock_run(self, run_id: UUID) -> Run | None:
        """A run of the instance: who has the writer holds it already."""
        run = self.connection.rows.run(run_id)
        return run if run and self.record and run.instance_id == self.record.id else None

    async def messages(self, *, after: int = 0) -> Sequence[InboxMessage]:
        """The messages to the instance that are not dead: a page of those above `after`."""
        waiting = self.connection.rows.waiting(self.record.id, after) if self.record else ()
        return list(islice(waiting, MESSAGES_OF_A_PAGE))

    async def _write(self, change: Change) -> Existing | None:
        return await write(self.connection, change, self.now)


async def write(transaction: JournalTransaction, change: Change, now: datetime) -> Existing | None:
    """Write a change as of `now`; raises `StepRolledBack`, with nothing written, where it lost a race."""
    rows = transaction.rows
    for receipt in (effect.receipt for effect in change.effects_of(PutReceipt)):
        # The instant of the step is the new receipt's own: a creation carries no other.
        taken = rows.recall(receipt.key, receipt.created_at)
        if taken and change.expected_version == 0:
            return taken
        if taken:
            raise StepRolledBack(f"the idempotency key {receipt.key.key!r} was answered meanwhile")
    version = rows.version(change.instance.id)
    if version != change.expected_version:
        raise StepRolledBack(f"instance {change.instance.id} has version {version}, not {change.expected_version}")
    async with transaction.savepoint():
        transaction.put_step(change)
        for effect in change.effects:
            _write_effect(transaction, effect, now)
    return None


def _write_effect(transaction: JournalTransaction, effect: Effect, now: datetime) -> None:
    rows = transaction.rows
    match effect:
        case PutReceipt():
            pass  # It went with the step.
        case AddRun(run):
            if run.is_active and rows.has_active_run(run.instance_id):
                raise StepRolledBack(f"instance {run.instance_id} has a run that has not ended")
            transaction.put_run(run)
        case MoveRun(run_id, lease=lease):
            going_on = rows.run(run_id)
            if lease and not (going_on and going_on.held_under(lease.token, now)):
                raise StepRolledBack(f"the lease of run {run_id} is lost")
            if going_on and going_on.is_active:
                transaction.put_run(moved(going_on, effect))
        case SaveStep(checkpoint):
            held = rows.run(checkpoint.lease.run_id)
            if held is None or not held.takes(checkpoint, now):
                raise StepRolledBack(f"the lease of run {checkpoint.lease.run_id} is lost")
            transaction.put_run(checkpointed(held, checkpoint, now))
        case AddMessage(message):
            if message.instance_id in rows.instances:
                transaction.put_message(message)
        case TakeMessage(message_id):
            if message_id not in rows.messages:
                raise StepRolledBack(f"message {message_id} is gone")
            transaction.drop("messages", [message_id])
        case PutBack(message):
            if message.id in rows.messages:
                transaction.put_message(message)
        case Publish(delivery):
            transaction.put_delivery(delivery)
        case _:
            assert_never(effect)
