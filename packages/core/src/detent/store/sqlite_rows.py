"""Every statement of the SQLite store, and the records as rows. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from pydantic_core import from_json, to_json

from detent.errors import StepRolledBack
from detent.json_values import JsonValue
from detent.store.change import Change
from detent.store.protocol import Existing
from detent.store.records import (
    CommandRecord,
    DefinitionSnapshot,
    HistoryEntry,
    Outcome,
    Receipt,
    ReceiptKey,
    Status,
    Timer,
    WorkflowInstance,
)

R = TypeVar("R")

_INSTANCE = "SELECT * FROM detent_instances WHERE id = ?"
_DUE = """
SELECT * FROM detent_instances
WHERE status = 'active' AND due_at IS NOT NULL AND due_at <= :now
    AND (:workflows IS NULL OR workflow IN (SELECT value FROM json_each(:workflows)))
ORDER BY due_at, id
LIMIT :limit
"""
_INSERT_INSTANCE = """
INSERT INTO detent_instances (
    id, workflow, state, status, version, definition_version, context, metadata, timers, due_at,
    entered_at, created_at, updated_at
) VALUES (
    :id, :workflow, :state, :status, :version, :definition_version, :context, :metadata, :timers, :due_at,
    :entered_at, :created_at, :updated_at
) ON CONFLICT (id) DO NOTHING
"""
_UPDATE_INSTANCE = """
UPDATE detent_instances SET
    workflow = :workflow, state = :state, status = :status, version = :version,
    definition_version = :definition_version, context = :context, metadata = :metadata, timers = :timers,
    due_at = :due_at, entered_at = :entered_at, created_at = :created_at, updated_at = :updated_at
WHERE id = :id AND version = :expected_version
"""
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
_PUT_RECEIPT = """
INSERT OR REPLACE INTO detent_receipts (
    tenant, scope, key, instance_id, fingerprint, answer, created_at, expires_at
) VALUES (
    :tenant, :scope, :key, :instance_id, :fingerprint, :answer, :created_at, :expires_at
)
"""
_DEFINITION = "SELECT * FROM detent_definitions WHERE workflow = ? AND version = ?"
_INSERT_DEFINITION = """
INSERT INTO detent_definitions (workflow, version, fingerprint, definition, created_at)
VALUES (:workflow, :version, :fingerprint, :definition, :created_at)
ON CONFLICT (workflow, version) DO NOTHING
"""


def read_instance(connection: sqlite3.Connection, instance_id: UUID) -> WorkflowInstance | None:
    """The record, as the connection sees it."""
    return _maybe(_to_instance, connection.execute(_INSTANCE, (str(instance_id),)))


def read_due(
    connection: sqlite3.Connection, now: datetime, limit: int, workflows: Collection[str] | None
) -> list[WorkflowInstance]:
    """Up to `limit` active records of `workflows` (`None`: of any) whose deadline has come at `now`, the earliest first."""
    names = None if workflows is None else _json(list(workflows))
    due = connection.execute(_DUE, {"now": _instant(now), "limit": limit, "workflows": names})
    return [_to_instance(row) for row in due]


def read_history(
    connection: sqlite3.Connection, instance_id: UUID, before: int | None, limit: int
) -> list[HistoryEntry]:
    """Up to `limit` entries below `before`, the newest first."""
    return [_to_entry(row) for row in connection.execute(_HISTORY, (str(instance_id), before, limit))]


def read_receipt(connection: sqlite3.Connection, key: ReceiptKey | None, now: datetime) -> Receipt | None:
    """The receipt under `key` that has not expired at `now`."""
    if key is None:
        return None
    return _maybe(_to_receipt, connection.execute(_RECEIPT, (key.tenant, key.scope, key.key, _instant(now))))


def read_definition(connection: sqlite3.Connection, workflow: str, version: str) -> DefinitionSnapshot | None:
    """The stored snapshot of one version."""
    return _maybe(_to_snapshot, connection.execute(_DEFINITION, (workflow, version)))


def write_change(connection: sqlite3.Connection, change: Change) -> Existing | None:
    """Write all of `change`, or nothing and raise `StepRolledBack`; for an insert whose key is taken, what exists."""
    connection.execute("SAVEPOINT detent_change")
    try:
        existing = _taken(connection, change)
        if existing is None:
            _write(connection, change)
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
    connection.executemany(_INSERT_DEFINITION, [_from_snapshot(snapshot) for snapshot in snapshots])
    keys = [(snapshot.workflow, snapshot.version) for snapshot in snapshots]
    return [_to_snapshot(connection.execute(_DEFINITION, key).fetchone()) for key in keys]


def _taken(connection: sqlite3.Connection, change: Change) -> Existing | None:
    for effect in change.effects:
        # The instant of the step is the new receipt's own: a creation carries no other.
        receipt = read_receipt(connection, effect.receipt.key, effect.receipt.created_at)
        if receipt is None:
            continue
        if change.expected_version:
            raise StepRolledBack(f"the idempotency key {receipt.key.key!r} was answered meanwhile")
        instance = _to_instance(connection.execute(_INSTANCE, (str(receipt.instance_id),)).fetchone())
        return Existing(receipt, instance)
    return None


def _write(connection: sqlite3.Connection, change: Change) -> None:
    row = _from_instance(change.instance)
    if change.expected_version:
        written = connection.execute(_UPDATE_INSTANCE, {**row, "expected_version": change.expected_version})
    else:
        written = connection.execute(_INSERT_INSTANCE, row)
    if written.rowcount != 1:
        raise StepRolledBack(f"instance {change.instance.id} does not have version {change.expected_version}")
    connection.executemany(_INSERT_ENTRY, [_from_entry(entry) for entry in change.entries])
    connection.executemany(_PUT_RECEIPT, [_from_receipt(effect.receipt) for effect in change.effects])


def _maybe(convert: Callable[[sqlite3.Row], R], cursor: sqlite3.Cursor) -> R | None:
    row = cursor.fetchone()
    return None if row is None else convert(row)


def _from_instance(instance: WorkflowInstance) -> dict[str, JsonValue]:
    return {
        "id": str(instance.id),
        "workflow": instance.workflow,
        "state": instance.state,
        "status": instance.status.value,
        "version": instance.version,
        "definition_version": instance.definition_version,
        "context": _json(instance.context),
        "metadata": _json(instance.metadata),
        "timers": _json([_from_timer(timer) for timer in instance.timers]),
        "due_at": None if instance.due_at is None else _instant(instance.due_at),
        "entered_at": _instant(instance.entered_at),
        "created_at": _instant(instance.created_at),
        "updated_at": _instant(instance.updated_at),
    }


def _to_instance(row: sqlite3.Row) -> WorkflowInstance:
    return WorkflowInstance(
        id=UUID(row["id"]),
        workflow=row["workflow"],
        state=row["state"],
        status=Status(row["status"]),
        version=row["version"],
        definition_version=row["definition_version"],
        context=from_json(row["context"]),
        metadata=from_json(row["metadata"]),
        timers=tuple(_to_timer(timer) for timer in from_json(row["timers"])),
        due_at=None if row["due_at"] is None else datetime.fromisoformat(row["due_at"]),
        entered_at=datetime.fromisoformat(row["entered_at"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def _from_timer(timer: Timer) -> dict[str, JsonValue]:
    return {
        "event": timer.event,
        "due": _instant(timer.due),
        "attempts": timer.attempts,
        "parked": timer.parked,
        "reason": timer.reason,
    }


def _to_timer(fields: dict[str, JsonValue]) -> Timer:
    return Timer(**{**fields, "due": datetime.fromisoformat(fields["due"])})


def _from_entry(entry: HistoryEntry) -> dict[str, JsonValue]:
    return {
        "instance_id": str(entry.instance_id),
        "sequence": entry.sequence,
        "event": entry.event,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "outcome": entry.outcome.value,
        "commands": _json([_from_command(command) for command in entry.commands]),
        "reason": entry.reason,
        "error": None if entry.error is None else _json(entry.error),
        "payload": _json(entry.payload),
        "trigger_metadata": _json(entry.trigger_metadata),
        "transition_id": str(entry.transition_id),
        "definition_version": entry.definition_version,
        "created_at": _instant(entry.created_at),
    }


def _to_entry(row: sqlite3.Row) -> HistoryEntry:
    return HistoryEntry(
        instance_id=UUID(row["instance_id"]),
        sequence=row["sequence"],
        event=row["event"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        outcome=Outcome(row["outcome"]),
        commands=tuple(CommandRecord(**fields) for fields in from_json(row["commands"])),
        reason=row["reason"],
        error=None if row["error"] is None else from_json(row["error"]),
        payload=from_json(row["payload"]),
        trigger_metadata=from_json(row["trigger_metadata"]),
        transition_id=UUID(row["transition_id"]),
        definition_version=row["definition_version"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def _from_command(command: CommandRecord) -> dict[str, JsonValue]:
    return {
        "name": command.name,
        "ok": command.ok,
        "code": command.code,
        "message": command.message,
        "data": command.data,
        "best_effort": command.best_effort,
    }


def _from_receipt(receipt: Receipt) -> dict[str, JsonValue]:
    return {
        "tenant": receipt.key.tenant,
        "scope": receipt.key.scope,
        "key": receipt.key.key,
        "instance_id": str(receipt.instance_id),
        "fingerprint": receipt.fingerprint,
        "answer": _json(receipt.answer),
        "created_at": _instant(receipt.created_at),
        "expires_at": _instant(receipt.expires_at),
    }


def _to_receipt(row: sqlite3.Row) -> Receipt:
    return Receipt(
        key=ReceiptKey(scope=row["scope"], key=row["key"], tenant=row["tenant"]),
        instance_id=UUID(row["instance_id"]),
        fingerprint=row["fingerprint"],
        answer=from_json(row["answer"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
    )


def _from_snapshot(snapshot: DefinitionSnapshot) -> dict[str, JsonValue]:
    return {
        "workflow": snapshot.workflow,
        "version": snapshot.version,
        "fingerprint": snapshot.fingerprint,
        "definition": _json(snapshot.definition),
        "created_at": _instant(snapshot.created_at),
    }


def _to_snapshot(row: sqlite3.Row) -> DefinitionSnapshot:
    return DefinitionSnapshot(
        workflow=row["workflow"],
        version=row["version"],
        fingerprint=row["fingerprint"],
        definition=from_json(row["definition"]),
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _json(value: JsonValue) -> str:
    return to_json(value).decode()
