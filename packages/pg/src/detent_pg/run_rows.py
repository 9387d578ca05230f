"""Between runs and their rows."""

from detent.store.run_records import Run, RunStatus
from detent_pg.rows import Row, decode, decode_optional, encode, encode_optional


def run_row(run: Run) -> Row:
    """The columns of a run."""
    return {
        "id": run.id,
        "instance_id": run.instance_id,
        "workflow": run.workflow,
        "definition_version": run.definition_version,
        "tenant": run.tenant,
        "event": run.event,
        "state": run.state,
        "target": run.target,
        "payload": encode_optional(run.payload),
        "subject": encode_optional(run.subject),
        "trigger_metadata": encode(run.trigger_metadata),
        "by_timer": run.by_timer,
        "status": run.status.value,
        "command": run.command,
        "queue": run.queue,
        "priority": run.priority,
        "attempts": run.attempts,
        "crashes": run.crashes,
        "journal": encode(list(run.journal)),
        "kept": encode(run.kept),
        "progress": encode_optional(run.progress),
        "available_at": run.available_at,
        "lease_token": run.lease_token,
        "lease_until": run.lease_until,
        "worker": run.worker,
        "error": encode_optional(run.error),
        "reason": run.reason,
        "trace": encode(run.trace),
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "finished_at": run.finished_at,
    }


def run_of(row: Row, prefix: str = "") -> Run:
    """The run in a row, whose columns may be set apart by a prefix."""
    return Run(
        id=row[f"{prefix}id"],
        instance_id=row[f"{prefix}instance_id"],
        workflow=row[f"{prefix}workflow"],
        definition_version=row[f"{prefix}definition_version"],
        tenant=row[f"{prefix}tenant"],
        event=row[f"{prefix}event"],
        state=row[f"{prefix}state"],
        target=row[f"{prefix}target"],
        payload=decode_optional(row[f"{prefix}payload"]),
        subject=decode_optional(row[f"{prefix}subject"]),
        trigger_metadata=decode(row[f"{prefix}trigger_metadata"]),
        by_timer=row[f"{prefix}by_timer"],
        status=RunStatus(row[f"{prefix}status"]),
        command=row[f"{prefix}command"],
        queue=row[f"{prefix}queue"],
        priority=row[f"{prefix}priority"],
        attempts=row[f"{prefix}attempts"],
        crashes=row[f"{prefix}crashes"],
        journal=tuple(decode(row[f"{prefix}journal"])),
        kept=decode(row[f"{prefix}kept"]),
        progress=decode_optional(row[f"{prefix}progress"]),
        available_at=row[f"{prefix}available_at"],
        lease_token=row[f"{prefix}lease_token"],
        lease_until=row[f"{prefix}lease_until"],
        worker=row[f"{prefix}worker"],
        error=decode_optional(row[f"{prefix}error"]),
        reason=row[f"{prefix}reason"],
        trace=decode(row[f"{prefix}trace"]),
        created_at=row[f"{prefix}created_at"],
        updated_at=row[f"{prefix}updated_at"],
        finished_at=row[f"{prefix}finished_at"],
    )
