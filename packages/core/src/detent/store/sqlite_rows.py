"""The statements of steps, timers and definitions on SQLite. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from detent.errors import StepRolledBack
from detent.store.change import Change, PutReceipt
from detent.store.protocol import Existing
from detent.store.records import DefinitionSnapshot, HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.sqlite_effects import write_effect
from detent.store.sqlite_records import (
    ENTRY_COLUMNS,
    INSTANCE_COLUMNS,
    from_entry,
    from_instance,
    from_snapshot,
    from_step,
    to_entry,
    to_instance,
    to_receipt,
    to_snapshot,
)
from detent.store.sqlite_values import instant_text, list_text, maybe

# Parts of these statements are fixed; values are bound.
_INSTANCE = f"SELECT {INSTANCE_COLUMNS} FROM detent_instances WHERE id = ?"  # noqa: S608
_DUE = f"""
SELECT {INSTANCE_COLUMNS} FROM detent_instances
WHERE status = 'active' AND due_at IS NOT NULL AND due_at <= :now
    AND (:workflows IS NULL OR workflow IN (SELECT value FROM json_each(:workflows)))
    AND (:tenant IS NULL OR tenant = :tenant)
ORDER BY due_at, id
LIMIT :limit
"""  # noqa: S608
_INSERT_INSTANCE = f"""
INSERT INTO detent_instances ({INSTANCE_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608
# A column that is set costs a visit to each of its indexes, whether it has another value or not. So what most steps leave
# as it is, is a condition first; the other statement takes the same values. Columns that are in neither never change.
_MOVE_INSTANCE = """
UPDATE detent_instances SET
    state = ?, version = ?, context = ?, timers = ?, entered_at = ?, updated_at = ?
WHERE status = ? AND definition_version = ? AND due_at IS ? AND finished_at IS ? AND parked_at IS ? AND run_id IS ?
    AND id = ? AND version = ?
"""
_UPDATE_INSTANCE = """
UPDATE detent_instances SET
    state = ?, version = ?, context = ?, timers = ?, entered_at = ?, updated_at = ?,
    status = ?, definition_version = ?, due_at = ?, finished_at = ?, parked_at = ?, run_id = ?
WHERE id = ? AND version = ?
"""
_AT_VERSION = "SELECT 1 FROM detent_instances WHERE id = ? AND version = ?"
_HISTORY = """
SELECT * FROM detent_history
WHERE instance_id = ? AND sequence < coalesce(?, 9223372036854775807)
ORDER BY sequence DESC
LIMIT ?
"""
_INSERT_ENTRY = f"""
INSERT INTO detent_history ({ENTRY_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608
_RECEIPT = "SELECT * FROM detent_receipts WHERE tenant = ? AND scope = ? AND key = ? AND expires_at > ?"
_DEFINITION = "SELECT * FROM detent_definitions WHERE workflow = ? AND version = ?"
# Rows are numbered as they come, and none ever goes.
_DEFINITIONS = """
SELECT * FROM detent_definitions
WHERE workflow IN (SELECT value FROM json_each(?))
ORDER BY workflow, rowid
"""
_ALL_DEFINITIONS = "SELECT * FROM detent_definitions ORDER BY workflow, rowid"
_INSERT_DEFINITION = """
INSERT INTO detent_definitions (workflow, version, fingerprint, definition, created_at)
VALUES (:workflow, :version, :fingerprint, :definition, :created_at)
ON CONFLICT (workflow, version) DO NOTHING
"""


def read_instance(connection: sqlite3.Connection, instance_id: UUID) -> WorkflowInstance | None:
    """The record, as the connection sees it."""
    return maybe(to_instance, connection.execute(_INSTANCE, (str(instance_id),)))


def has_version(connection: sqlite3.Connection, instance_id: UUID, version: int) -> bool:
    """Whether the instance is there and at this version."""
    return connection.execute(_AT_VERSION, (str(instance_id), version)).fetchone() is not None


def read_due(
    connection: sqlite3.Connection,
    now: datetime,
    limit: int,
    workflows: Collection[str] | None,
    tenant: str | None,
) -> list[WorkflowInstance]:
    """Up to `limit` active records whose deadline has come at `now`, the earliest first; of any workflow or tenant for `None`."""
    values = {"now": instant_text(now), "limit": limit, "workflows": list_text(workflows), "tenant": tenant}
    return [to_instance(row) for row in connection.execute(_DUE, values)]


def read_history(
    connection: sqlite3.Connection, instance_id: UUID, before: int | None, limit: int
) -> list[HistoryEntry]:
    """Up to `limit` entries below `before`, the newest first."""
    return [to_entry(row) for row in connection.execute(_HISTORY, (str(instance_id), before, limit))]


def read_receipt(connection: sqlite3.Connection, key: ReceiptKey | None, now: datetime) -> Receipt | None:
    """The receipt under `key` that has not expired at `now`."""
    if key is None:
        return None
    return maybe(to_receipt, connection.execute(_RECEIPT, (key.tenant, key.scope, key.key, instant_text(now))))


def read_existing(connection: sqlite3.Connection, key: ReceiptKey, now: datetime) -> Existing | None:
    """The receipt under `key` that has not expired at `now`, with its instance."""
    receipt = read_receipt(connection, key, now)
    # A reader outside a transaction sees each statement's own moment: both may have been removed in between.
    instance = read_instance(connection, receipt.instance_id) if receipt else None
    return Existing(receipt, instance) if receipt and instance else None


def read_definition(connection: sqlite3.Connection, workflow: str, version: str) -> DefinitionSnapshot | None:
    """The stored snapshot of one version."""
    return maybe(to_snapshot, connection.execute(_DEFINITION, (workflow, version)))


def read_definitions(connection: sqlite3.Connection, workflows: Collection[str] | None) -> list[DefinitionSnapshot]:
    """Every stored version of these workflows (of all for `None`), by name and in the order they were stored."""
    named = list_text(workflows)
    # Of one statement for both SQLite would read the whole table for one name.
    found = connection.execute(_ALL_DEFINITIONS) if named is None else connection.execute(_DEFINITIONS, (named,))
    return [to_snapshot(row) for row in found]


def write_change(connection: sqlite3.Connection, change: Change, now: datetime) -> Existing | None:
    """Write all of `change` as of `now`, or nothing and raise `StepRolledBack`; for an insert whose key is taken, what exists."""
    connection.execute("SAVEPOINT detent_change")
    try:
        existing = _taken(connection, change)
        if existing is None:
            _write(connection, change, now)
    except BaseException:
        # A full disk ends the whole transaction by itself, savepoints included.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO detent_change")
            connection.execute("RELEASE detent_change")
        raise
    connection.execute("RELEASE detent_change")
    return existing


def write_definitions(
    connection: sqlite3.Connection, snapshots: Sequence[DefinitionSnapshot]
) -> list[DefinitionSnapshot]:
    """Store what is not stored yet; answers what is stored."""
    connection.executemany(_INSERT_DEFINITION, [from_snapshot(snapshot) for snapshot in snapshots])
    keys = [(snapshot.workflow, snapshot.version) for snapshot in snapshots]
    return [to_snapshot(connection.execute(_DEFINITION, key).fetchone()) for key in keys]


def _taken(connection: sqlite3.Connection, change: Change) -> Existing | None:
    for effect in change.effects_of(PutReceipt):
        # The instant of the step is the new receipt's own: a creation carries no other.
        existing = read_existing(connection, effect.receipt.key, effect.receipt.created_at)
        if existing is None:
            continue
        if change.expected_version:
            raise StepRolledBack(f"the idempotency key {existing.receipt.key.key!r} was answered meanwhile")
        return existing
    return None


def _write(connection: sqlite3.Connection, change: Change, now: datetime) -> None:
    if not _write_instance(connection, change):
        raise StepRolledBack(f"instance {change.instance.id} does not have version {change.expected_version}")
    connection.executemany(_INSERT_ENTRY, [from_entry(entry) for entry in change.entries])
    for effect in change.effects:
        write_effect(connection, effect, now)


def _write_instance(connection: sqlite3.Connection, change: Change) -> bool:
    if not change.entries:
        return has_version(connection, change.instance.id, change.expected_version)
    if not change.expected_version:
        return connection.execute(_INSERT_INSTANCE, from_instance(change.instance)).rowcount == 1
    row = from_step(change.instance, change.expected_version)
    return any(connection.execute(statement, row).rowcount == 1 for statement in (_MOVE_INSTANCE, _UPDATE_INSTANCE))
