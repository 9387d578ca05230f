"""The records of a store as rows of the SQLite tables, and back."""

import sqlite3
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from pydantic_core import from_json

from detent.json_values import JsonValue
from detent.store.records import (
    ArchiveEntry,
    CommandRecord,
    ContextChange,
    DefinitionSnapshot,
    HistoryEntry,
    Outcome,
    ParentLink,
    Receipt,
    ReceiptKey,
    Status,
    Timer,
    WorkflowInstance,
)
from detent.store.sqlite_values import (
    instant_text,
    json_text,
    maybe_id_text,
    maybe_instant_text,
    maybe_json_text,
    to_maybe_id,
    to_maybe_instant,
    to_maybe_json,
)

INSTANCE_COLUMNS = """
    id, workflow, state, status, version, definition_version, context, metadata, timers, due_at, entered_at, created_at,
    updated_at, finished_at, parked_at, tenant, parent_id, parent_link, run_id
"""
"""The columns of an instance, in the order in which they are written and read. By their names it would take twice as long."""
ENTRY_COLUMNS = """
    instance_id, sequence, event, from_state, to_state, outcome, commands, reason, error, payload, trigger_metadata,
    transition_id, definition_version, created_at, changes
"""
"""The columns of a history entry, in the order in which they are written."""

Row: TypeAlias = tuple[str | int | None, ...]
"""What is bound to the columns of a table."""


def from_instance(instance: WorkflowInstance) -> Row:
    """The row of an instance, in the order of `INSTANCE_COLUMNS`."""
    return (
        str(instance.id),
        instance.workflow,
        instance.state,
        instance.status.value,
        instance.version,
        instance.definition_version,
        json_text(instance.context),
        json_text(instance.metadata),
        _timers_text(instance),
        maybe_instant_text(instance.due_at),
        instant_text(instance.entered_at),
        instant_text(instance.created_at),
        instant_text(instance.updated_at),
        maybe_instant_text(instance.finished_at),
        maybe_instant_text(instance.parked_at),
        instance.tenant,
        maybe_id_text(instance.parent_id),
        None if instance.parent_link is None else _from_link(instance.parent_link),
        maybe_id_text(instance.run_id),
    )


def from_step(instance: WorkflowInstance, expected_version: int) -> Row:
    """What a step may change of an instance: first what every step changes, then what few do, last id and version before."""
    return (
        instance.state,
        instance.version,
        json_text(instance.context),
        _timers_text(instance),
        instant_text(instance.entered_at),
        instant_text(instance.updated_at),
        instance.status.value,
        instance.definition_version,
        maybe_instant_text(instance.due_at),
        maybe_instant_text(instance.finished_at),
        maybe_instant_text(instance.parked_at),
        maybe_id_text(instance.run_id),
        str(instance.id),
        expected_version,
    )


def to_instance(row: sqlite3.Row) -> WorkflowInstance:
    """The instance of a row of `INSTANCE_COLUMNS`."""
    instance_id, workflow, state, status, version, definition_version, context, metadata, timers = row[:9]
    due_at, entered_at, created_at, updated_at, finished_at, parked_at, tenant, parent_id, parent_link, run_id = row[9:]
    return WorkflowInstance(
        id=UUID(instance_id),
        workflow=workflow,
        state=state,
        status=Status(status),
        version=version,
        definition_version=definition_version,
        context=from_json(context),
        metadata=from_json(metadata),
        timers=tuple(_to_timer(timer) for timer in from_json(timers)),
        due_at=to_maybe_instant(due_at),
        entered_at=datetime.fromisoformat(entered_at),
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        finished_at=to_maybe_instant(finished_at),
        parked_at=to_maybe_instant(parked_at),
        tenant=tenant,
        parent_id=to_maybe_id(parent_id),
        parent_link=None if parent_link is None else ParentLink(**from_json(parent_link)),
        run_id=to_maybe_id(run_id),
    )


def _timers_text(instance: WorkflowInstance) -> str:
    return json_text([_from_timer(timer) for timer in instance.timers])


def _from_link(link: ParentLink) -> str:
    return json_text({"event": link.event, "wait_for": link.wait_for, "group": link.group, "since": link.since})


def _from_timer(timer: Timer) -> dict[str, JsonValue]:
    return {
        "event": timer.event,
        "due": instant_text(timer.due),
        "attempts": timer.attempts,
        "parked": timer.parked,
        "reason": timer.reason,
        **({"interrupts": True} if timer.interrupts else {}),
    }


def _to_timer(fields: dict[str, JsonValue]) -> Timer:
    return Timer(**{**fields, "due": datetime.fromisoformat(fields["due"])})


def from_entry(entry: HistoryEntry) -> Row:
    """The row of a history entry, in the order of `ENTRY_COLUMNS`."""
    return (
        str(entry.instance_id),
        entry.sequence,
        entry.event,
        entry.from_state,
        entry.to_state,
        entry.outcome.value,
        json_text([_from_command(command) for command in entry.commands]),
        entry.reason,
        maybe_json_text(entry.error),
        json_text(entry.payload),
        json_text(entry.trigger_metadata),
        str(entry.transition_id),
        entry.definition_version,
        instant_text(entry.created_at),
        None if entry.changes is None else json_text([change.to_json() for change in entry.changes]),
    )


def to_entry(row: sqlite3.Row) -> HistoryEntry:
    """The history entry of a row."""
    return HistoryEntry(
        instance_id=UUID(row["instance_id"]),
        sequence=row["sequence"],
        event=row["event"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        outcome=Outcome(row["outcome"]),
        commands=tuple(CommandRecord(**fields) for fields in from_json(row["commands"])),
        reason=row["reason"],
        error=to_maybe_json(row["error"]),
        payload=from_json(row["payload"]),
        trigger_metadata=from_json(row["trigger_metadata"]),
        transition_id=UUID(row["transition_id"]),
        definition_version=row["definition_version"],
        created_at=datetime.fromisoformat(row["created_at"]),
        changes=_to_changes(row["changes"]),
    )


def _to_changes(text: str | None) -> tuple[ContextChange, ...] | None:
    return None if text is None else tuple(ContextChange(**fields) for fields in from_json(text))


def _from_command(command: CommandRecord) -> dict[str, JsonValue]:
    return {
        "name": command.name,
        "ok": command.ok,
        "code": command.code,
        "message": command.message,
        "data": command.data,
        "best_effort": command.best_effort,
        "compensates": command.compensates,
    }


def from_receipt(receipt: Receipt) -> dict[str, JsonValue]:
    """The row of a receipt."""
    return {
        "tenant": receipt.key.tenant,
        "scope": receipt.key.scope,
        "key": receipt.key.key,
        "instance_id": str(receipt.instance_id),
        "fingerprint": receipt.fingerprint,
        "answer": json_text(receipt.answer),
        "created_at": instant_text(receipt.created_at),
        "expires_at": instant_text(receipt.expires_at),
    }


def to_receipt(row: sqlite3.Row) -> Receipt:
    """The receipt of a row."""
    return Receipt(
        key=ReceiptKey(scope=row["scope"], key=row["key"], tenant=row["tenant"]),
        instance_id=UUID(row["instance_id"]),
        fingerprint=row["fingerprint"],
        answer=from_json(row["answer"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
    )


def from_snapshot(snapshot: DefinitionSnapshot) -> dict[str, JsonValue]:
    """The row of a definition snapshot."""
    return {
        "workflow": snapshot.workflow,
        "version": snapshot.version,
        "fingerprint": snapshot.fingerprint,
        "definition": json_text(snapshot.definition),
        "created_at": instant_text(snapshot.created_at),
    }


def to_snapshot(row: sqlite3.Row) -> DefinitionSnapshot:
    """The definition snapshot of a row."""
    return DefinitionSnapshot(
        workflow=row["workflow"],
        version=row["version"],
        fingerprint=row["fingerprint"],
        definition=from_json(row["definition"]),
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def from_archive_entry(entry: ArchiveEntry) -> dict[str, JsonValue]:
    """The row of an archive entry."""
    return {
        "instance_id": str(entry.instance_id),
        "workflow": entry.workflow,
        "definition_version": entry.definition_version,
        "tenant": entry.tenant,
        "state": entry.state,
        "status": entry.status.value,
        "created_at": instant_text(entry.created_at),
        "finished_at": maybe_instant_text(entry.finished_at),
        "removed_at": instant_text(entry.removed_at),
        "reason": entry.reason,
        "trigger_metadata": json_text(entry.trigger_metadata),
        "document": maybe_json_text(entry.document),
    }


def to_archive_entry(row: sqlite3.Row) -> ArchiveEntry:
    """The archive entry of a row."""
    return ArchiveEntry(
        instance_id=UUID(row["instance_id"]),
        workflow=row["workflow"],
        definition_version=row["definition_version"],
        tenant=row["tenant"],
        state=row["state"],
        status=Status(row["status"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        finished_at=to_maybe_instant(row["finished_at"]),
        removed_at=datetime.fromisoformat(row["removed_at"]),
        reason=row["reason"],
        trigger_metadata=from_json(row["trigger_metadata"]),
        document=to_maybe_json(row["document"]),
    )
