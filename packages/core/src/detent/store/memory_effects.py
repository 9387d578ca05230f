"""How the memory store writes the effects of a change, one after the other."""

from collections.abc import Hashable
from dataclasses import replace
from datetime import datetime
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
from detent.store.memory_overlay import Overlay
from detent.store.memory_run_steps import checkpointed, moved
from detent.store.messages import Delivery, InboxMessage
from detent.store.run_records import Checkpoint, Run


def run_row(run_id: UUID) -> Hashable:
    """What is held by who holds a run."""
    return ("run", run_id)


def message_row(message_id: UUID) -> Hashable:
    """What is held by who holds a message."""
    return ("message", message_id)


def rows_of(change: Change) -> list[Hashable]:
    """What must be held, after the instance, before `change` is written: its keys, then its runs, then its messages."""
    # An update finds its receipt under the instance that it holds; only creations race for a key.
    keys = [effect.receipt.key for effect in change.effects_of(PutReceipt)] if change.expected_version == 0 else []
    moves = {effect.run_id for effect in change.effects_of(MoveRun)}
    runs = moves | {effect.checkpoint.lease.run_id for effect in change.effects_of(SaveStep)}
    messages = {effect.message_id for effect in change.effects_of(TakeMessage)}
    messages |= {effect.message.id for effect in change.effects_of(PutBack)}
    return [*keys, *map(run_row, sorted(runs)), *map(message_row, sorted(messages))]


def write_effect(rows: Overlay, effect: Effect, now: datetime) -> None:
    """Write one effect, as of `now`; raises `StepRolledBack` for one that must not be without what it was decided by."""
    match effect:
        case PutReceipt(receipt):
            rows.put_receipt(receipt)
        case AddRun(run):
            _add_run(rows, run)
        case MoveRun():
            _move_run(rows, effect, now)
        case SaveStep(checkpoint):
            _save_step(rows, checkpoint, now)
        case AddMessage(message):
            add_message(rows, message)
        case TakeMessage(message_id):
            _take_message(rows, message_id)
        case PutBack(message):
            _put_back(rows, message)
        case Publish(delivery):
            _publish(rows, delivery)
        case _:
            assert_never(effect)


def add_message(rows: Overlay, message: InboxMessage) -> bool:
    """Keep a message to an instance that is there, behind all that came before; says whether it is."""
    if rows.instance(message.instance_id) is None:
        return False
    rows.put_message(replace(message, number=rows.committed.next_number()))
    return True


def _add_run(rows: Overlay, run: Run) -> None:
    if run.is_active and any(other.instance_id == run.instance_id and other.is_active for other in rows.runs()):
        raise StepRolledBack(f"instance {run.instance_id} has a run that has not ended")
    rows.put_run(run)


def _move_run(rows: Overlay, move: MoveRun, now: datetime) -> None:
    run = rows.run(move.run_id)
    if move.lease is not None and (run is None or not run.held_under(move.lease.token, now)):
        raise StepRolledBack(f"the lease of run {move.run_id} is lost")
    if run is not None and run.is_active:
        rows.put_run(moved(run, move))


def _save_step(rows: Overlay, checkpoint: Checkpoint, now: datetime) -> None:
    lease = checkpoint.lease
    run = rows.run(lease.run_id)
    if run is None or not run.takes(checkpoint, now):
        raise StepRolledBack(f"the lease of run {lease.run_id} is lost")
    rows.put_run(checkpointed(run, checkpoint, now))


def _take_message(rows: Overlay, message_id: UUID) -> None:
    if rows.message(message_id) is None:
        raise StepRolledBack(f"message {message_id} is gone")
    rows.take_message(message_id)


def _put_back(rows: Overlay, message: InboxMessage) -> None:
    kept = rows.message(message.id)
    if kept is not None:
        rows.put_message(replace(message, number=kept.number))


def _publish(rows: Overlay, delivery: Delivery) -> None:
    rows.put_delivery(replace(delivery, number=rows.committed.next_number()))
