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
    from_entry,
    from_instance,
    from_snapshot,
    to_entry,
    to_instance,
    to_receipt,
    to_snapshot,
)
from detent.store.sqlite_values import instant_text, json_text, list_text, maybe

_INSTANCE = "SELECT * FROM detent_instances WHERE id = ?"
_DUE = """
SELECT * FROM detent_instances
WHERE status = 'active' AND due_at IS NOT NULL AND due_at <= :now
    AND (:workflows IS NULL OR workflow IN (SELECT value FROM json_each(:workflows)))
    AND (:tenant IS NULL OR tenant = :tenant)
ORDER BY due_at, id
LIMIT :limit
"""
_INSERT_INSTANCE = """
INSERT INTO detent_instances (
    id, workflow, state, status, version, definition_version, context, metadata, timers, due_at,
    entered_at, created_at, updated_at, finished_at, parked_at, tenant, parent_id, parent_link,
    run_id
) VALUES (
    :id, :workflow, :state, :status, :version, :definition_version, :context, :metadata, :timers, :due_at,
    :entered_at, :created_at, :updated_at, :finished_at, :parked_at, :tenant, :parent_id,
    :parent_link, :run_id
) ON CONFLICT (id) DO NOTHING
"""
_UPDATE_INSTANCE = """
UPDATE detent_instances SET
    workflow = :workflow, state = :state, status = :status, version = :version,
    definition_version = :definition_version, context = :context, metadata = :metadata, timers = :timers,
    due_at = :due_at, entered_at = :entered_at, created_at = :created_at, updated_at = :updated_at,
    finished_at = :finished_at, parked_at = :parked_at, tenant = :tenant, parent_id = :parent_id,
    parent_link = :parent_link, run_id = :run_id
WHERE id = :id AND version = :expected_version
"""
_AT_VERSION = "SELECT 1 FROM detent_instances WHERE id = ? AND version = ?"
_HISTORY = """
SELECT * FROM detent_history
WHERE instance_id = ? AND sequence < coalesce(?, 9223372036854775807)
ORDER BY sequence DESC
LIMIT ?
"""
_INSERT_ENTRY = """
INSERT INTO detent_history (
    instance_id, sequence, event, from_state, to_state, outcome, commands, reason, error, payload,
    trigger_metadata, transition_id, definition_version, created_at
) VALUES (
    :instance_id, :sequence, :event, :from_state, :to_state, :outcome, :commands, :reason, :error, :payload,
    :trigger_metadata, :transition_id, :definition_version, :created_at
)
"""
_RECEIPT = "SELECT * FROM detent_receipts WHERE tenant = ? AND scope = ? AND key = ? AND expires_at > ?"
_DEFINITION = "SELECT * FROM detent_definitions WHERE workflow = ? AND version = ?"
# Rows are numbered as they come, and none ever goes.
_DEFINITIONS = """
SELECT * FROM detent_definitions
WHERE workflow IN (SELECT value FROM json_each(?))
ORDER BY workflow, rowid
"""
_INSERT_DEFINITION = """
INSERT INTO detent_definitions (workflow, version, fingerprint, definition, created_at)
VALUES (:workflow, :version, :fingerprint, :definition, :created_at)
ON CONFLICT (workflow, version) DO NOTHING
"""


def read_instance(connection: sqlite3.Connection, instance_id: UUID) -> WorkflowInstance | None:
    """The record, as the connection sees it."""
    return maybe(to_instance, connection.execute(_INSTANCE, (str(instance_id),)))


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


def read_definitions(connection: sqlite3.Connection, workflows: Collection[str]) -> list[DefinitionSnapshot]:
    """Every stored version of these workflows, by name and in the order they were stored."""
    return [to_snapshot(row) for row in connection.execute(_DEFINITIONS, (json_text(list(workflows)),))]


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
        at_version = connection.execute(_AT_VERSION, (str(change.instance.id), change.expected_version))
        return at_version.fetchone() is not None
    row = from_instance(change.instance)
    if change.expected_version:
        written = connection.execute(_UPDATE_INSTANCE, {**row, "expected_version": change.expected_version})
    else:
        written = connection.execute(_INSERT_INSTANCE, row)
    return written.rowcount == 1
