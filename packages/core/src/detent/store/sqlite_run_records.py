"""Runs as rows of the SQLite tables, and back."""

import sqlite3
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json

from detent.json_values import JsonValue
from detent.store.run_records import Run, RunStatus
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


def from_run(run: Run) -> dict[str, JsonValue]:
    """The row of a run."""
    return {
        "id": str(run.id),
        "instance_id": str(run.instance_id),
        "workflow": run.workflow,
        "definition_version": run.definition_version,
        "tenant": run.tenant,
        "event": run.event,
        "state": run.state,
        "target": run.target,
        "payload": json_text(run.payload),
        "subject": json_text(run.subject),
        "trigger_metadata": json_text(run.trigger_metadata),
        "by_timer": run.by_timer,
        "status": run.status.value,
        "command": run.command,
        "queue": run.queue,
        "priority": run.priority,
        "attempts": run.attempts,
        "crashes": run.crashes,
        "journal": json_text(list(run.journal)),
        "kept": json_text(run.kept),
        "progress": maybe_json_text(run.progress),
        "available_at": instant_text(run.available_at),
        "lease_token": maybe_id_text(run.lease_token),
        "lease_until": maybe_instant_text(run.lease_until),
        "worker": run.worker,
        "error": maybe_json_text(run.error),
        "reason": run.reason,
        "trace": json_text(run.trace),
        "created_at": instant_text(run.created_at),
        "updated_at": instant_text(run.updated_at),
        "finished_at": maybe_instant_text(run.finished_at),
    }


def to_run(row: sqlite3.Row) -> Run:
    """The run of a row."""
    return Run(
        id=UUID(row["id"]),
        instance_id=UUID(row["instance_id"]),
        workflow=row["workflow"],
        definition_version=row["definition_version"],
        tenant=row["tenant"],
        event=row["event"],
        state=row["state"],
        target=row["target"],
        payload=from_json(row["payload"]),
        subject=from_json(row["subject"]),
        trigger_metadata=from_json(row["trigger_metadata"]),
        by_timer=bool(row["by_timer"]),
        status=RunStatus(row["status"]),
        command=row["command"],
        queue=row["queue"],
        priority=row["priority"],
        attempts=row["attempts"],
        crashes=row["crashes"],
        journal=tuple(from_json(row["journal"])),
        kept=from_json(row["kept"]),
        progress=to_maybe_json(row["progress"]),
        available_at=datetime.fromisoformat(row["available_at"]),
        lease_token=to_maybe_id(row["lease_token"]),
        lease_until=to_maybe_instant(row["lease_until"]),
        worker=row["worker"],
        error=to_maybe_json(row["error"]),
        reason=row["reason"],
        trace=from_json(row["trace"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        finished_at=to_maybe_instant(row["finished_at"]),
    )
