"""How the SQLite store writes the effects of a change, one after the other. All of it runs in the thread of a connection."""

import sqlite3
from datetime import datetime
from typing import assert_never

from detent.errors import StepRolledBack
from detent.store.change import (
    AddMessage,
    AddRun,
    Effect,
    MoveRun,
    Publish,
    PutBack,
    PutReceipt,
    SaveStep,
    TakeMessage,
)
from detent.store.sqlite_inbox_rows import add_message, put_back, take_message
from detent.store.sqlite_outbox_rows import add_delivery
from detent.store.sqlite_records import from_receipt
from detent.store.sqlite_run_rows import add_run, move_run, save_checkpoint

_PUT_RECEIPT = """
INSERT OR REPLACE INTO detent_receipts (
    tenant, scope, key, instance_id, fingerprint, answer, created_at, expires_at
) VALUES (
    :tenant, :scope, :key, :instance_id, :fingerprint, :answer, :created_at, :expires_at
)
"""


def write_effect(connection: sqlite3.Connection, effect: Effect, now: datetime) -> None:
    """Write one effect as of `now`; raises `StepRolledBack` for one that must not be without what it was decided by."""
    match effect:
        case PutReceipt(receipt):
            connection.execute(_PUT_RECEIPT, from_receipt(receipt))
        case AddRun(run):
            add_run(connection, run)
        case MoveRun():
            if not move_run(connection, effect, now) and effect.lease is not None:
                raise StepRolledBack(f"the lease of run {effect.run_id} is lost")
        case SaveStep(checkpoint):
            if save_checkpoint(connection, checkpoint, now) is None:
                raise StepRolledBack(f"the lease of run {checkpoint.lease.run_id} is lost")
        case AddMessage(message):
            add_message(connection, message)
        case TakeMessage(message_id):
            if not take_message(connection, message_id):
                raise StepRolledBack(f"message {message_id} is gone")
        case PutBack(message):
            put_back(connection, message)
        case Publish(delivery):
            add_delivery(connection, delivery)
        case _:
            assert_never(effect)
