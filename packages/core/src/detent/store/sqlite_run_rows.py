"""The statements of runs on SQLite, except those that claim. All of it runs in the thread of a connection.

What a worker writes names its lease, and changes a row only while that is the row's and has not ended.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pydantic_core import from_json

from detent.json_values import JsonObject, JsonValue
from detent.store.change import MoveRun
from detent.store.records import Status
from detent.store.run_records import ENDED_RUNS, Checkpoint, Lease, Release, Run, RunQuery, RunStatus
from detent.store.sqlite_run_records import from_run, to_run
from detent.store.sqlite_values import (
    instant_text,
    json_text,
    list_text,
    maybe,
    maybe_id_text,
    maybe_instant_text,
    maybe_json_text,
)

_RUN = "SELECT * FROM detent_runs WHERE id = ?"
_ADD = """
INSERT INTO detent_runs (
    id, instance_id, workflow, definition_version, tenant, event, state, target, payload, subject, trigger_metadata,
    by_timer, status, command, queue, priority, attempts, crashes, journal, kept, progress, available_at, lease_token,
    lease_until, worker, error, reason, trace, created_at, updated_at, finished_at
) VALUES (
    :id, :instance_id, :workflow, :definition_version, :tenant, :event, :state, :target, :payload, :subject, :trigger_metadata,
    :by_timer, :status, :command, :queue, :priority, :attempts, :crashes, :journal, :kept, :progress, :available_at,
    :lease_token, :lease_until, :worker, :error, :reason, :trace, :created_at, :updated_at, :finished_at
)
"""
_MOVE = """
UPDATE detent_runs SET
    status = :status, reason = :reason, error = coalesce(:error, error), lease_token = NULL, lease_until = NULL,
    attempts = iif(:pending, 0, attempts), crashes = iif(:pending, 0, crashes),
    available_at = iif(:pending, :at, available_at), finished_at = iif(:ended, :at, finished_at), updated_at = :at
WHERE id = :id AND status IN ('pending', 'running', 'parked')
    AND (:token IS NULL OR (status = 'running' AND lease_token = :token AND lease_until > :now))
"""
_HEARTBEAT = """
UPDATE detent_runs SET lease_until = :until, updated_at = :now
WHERE id = :id AND status = 'running' AND lease_token = :token AND lease_until > :now
"""
_CHECKPOINT = """
UPDATE detent_runs SET
    journal = json_insert(journal, '$[#]', json(:entry)), command = :command, queue = :queue, priority = :priority,
    crashes = 0, kept = '{}', progress = NULL, error = NULL, updated_at = :now,
    status = iif(:released, 'pending', status), attempts = iif(:released, 0, 1),
    available_at = iif(:released, :until, available_at), lease_token = iif(:released, NULL, lease_token),
    lease_until = iif(:released, NULL, :until)
WHERE id = :id AND status = 'running' AND lease_token = :token AND lease_until > :now
    AND json_array_length(journal) = :position
RETURNING (SELECT status FROM detent_instances WHERE id = instance_id)
"""
_STANDING = "SELECT status FROM detent_instances WHERE id = ?"
_KEPT = """
SELECT kept FROM detent_runs
WHERE id = :id AND status = 'running' AND lease_token = :token AND lease_until > :now
"""
_KEEP = """
UPDATE detent_runs SET kept = :kept, progress = coalesce(:progress, progress), lease_until = :until, updated_at = :now
WHERE id = :id
"""
_RELEASE = """
UPDATE detent_runs SET
    status = 'pending', lease_token = NULL, lease_until = NULL, attempts = max(0, attempts - :uncounted),
    error = coalesce(:error, error), available_at = :available_at, updated_at = :now
WHERE id = :id AND status = 'running' AND lease_token = :token AND lease_until > :now
"""
_PRUNE = """
DELETE FROM detent_runs
WHERE id IN (
    SELECT id FROM detent_runs
    WHERE finished_at IS NOT NULL AND finished_at < :before AND (:tenant IS NULL OR tenant = :tenant)
    ORDER BY finished_at
    LIMIT :limit
)
"""
_CONDITIONS = {
    "statuses": "status IN (SELECT value FROM json_each(:statuses))",
    "instance_id": "instance_id = :instance_id",
    "workflows": "workflow IN (SELECT value FROM json_each(:workflows))",
    "states": "state IN (SELECT value FROM json_each(:states))",
    "queues": "queue IN (SELECT value FROM json_each(:queues))",
    "tenant": "tenant = :tenant",
    "expired_before": "status = 'running' AND lease_until < :expired_before",
    "after": "id < :after",
}
"""The conditions of a query by the names of the values that they need."""


def read_run(connection: sqlite3.Connection, run_id: UUID) -> Run | None:
    """The run, as the connection sees it."""
    return maybe(to_run, connection.execute(_RUN, (str(run_id),)))


def find_runs(connection: sqlite3.Connection, query: RunQuery, limit: int, after: UUID | None) -> list[Run]:
    """Up to `limit` runs that `query` asks for, the highest id first and below `after`."""
    values: dict[str, str | int | None] = {
        "statuses": list_text(query.statuses),
        "instance_id": maybe_id_text(query.instance_id),
        "workflows": list_text(query.workflows),
        "states": list_text(query.states),
        "queues": list_text(query.queues),
        "tenant": query.tenant,
        "expired_before": maybe_instant_text(query.expired_before),
        "after": maybe_id_text(after),
        "limit": limit,
    }
    conditions = [condition for name, condition in _CONDITIONS.items() if values[name] is not None]
    # Parts of the statement are fixed above; values are bound.
    statement = f"""
        SELECT * FROM detent_runs
        WHERE {" AND ".join(["TRUE", *conditions])}
        ORDER BY id DESC
        LIMIT :limit
    """  # noqa: S608
    return [to_run(row) for row in connection.execute(statement, values)]


def add_run(connection: sqlite3.Connection, run: Run) -> None:
    """Begin a run."""
    connection.execute(_ADD, from_run(run))


def move_run(connection: sqlite3.Connection, move: MoveRun, now: datetime) -> bool:
    """Give a run that has not ended another status, and end its lease; whether there was one, held by the lease `move` names."""
    values = {
        "id": str(move.run_id),
        "status": move.status.value,
        "pending": move.status is RunStatus.PENDING,
        "ended": move.status in ENDED_RUNS,
        "at": instant_text(move.at),
        "reason": move.reason,
        "error": maybe_json_text(move.error),
        "token": None if move.lease is None else str(move.lease.token),
        "now": instant_text(now),
    }
    return connection.execute(_MOVE, values).rowcount == 1


def save_checkpoint(connection: sqlite3.Connection, checkpoint: Checkpoint, now: datetime) -> Status | None:
    """Append to the journal and go on to the next command; answers how the instance stands, `None` when the lease is lost."""
    released = checkpoint.release is not None
    values = {
        **_lease_values(checkpoint.lease, now),
        "entry": json_text(checkpoint.entry),
        "position": checkpoint.position,
        "command": checkpoint.command,
        "queue": checkpoint.queue,
        "priority": checkpoint.priority,
        "released": released,
        "until": instant_text(now + (checkpoint.extend if checkpoint.release is None else checkpoint.release)),
    }
    row = connection.execute(_CHECKPOINT, values).fetchone()
    return None if row is None else Status(row[0])


def standing_after(connection: sqlite3.Connection, checkpoint: Checkpoint) -> Status | None:
    """How the instance of a run stands that has taken this very checkpoint before; `None` when it has not."""
    run = read_run(connection, checkpoint.lease.run_id)
    if run is None or not run.has_taken(checkpoint):
        return None
    row = connection.execute(_STANDING, (str(run.instance_id),)).fetchone()
    return None if row is None else Status(row[0])


def extend_leases(
    connection: sqlite3.Connection, leases: Sequence[Lease], extend: timedelta, now: datetime
) -> list[UUID]:
    """Let these leases end at `extend` from `now`; answers whose are still held."""
    until = instant_text(now + extend)
    return [
        lease.run_id
        for lease in leases
        if connection.execute(_HEARTBEAT, {**_lease_values(lease, now), "until": until}).rowcount == 1
    ]


def keep_values(
    connection: sqlite3.Connection,
    lease: Lease,
    kept: JsonObject | None,
    progress: JsonObject | None,
    extend: timedelta,
    now: datetime,
) -> bool:
    """Put `kept` beside what was kept before, replace `progress` if given, extend the lease; whether it is still held."""
    held = _lease_values(lease, now)
    row = connection.execute(_KEPT, held).fetchone()
    if row is None:
        return False
    # Put together here: SQLite's json_patch also reaches into objects, and takes `null` for a deletion.
    values = {
        **held,
        "kept": json_text({**from_json(row["kept"]), **(kept or {})}),
        "progress": maybe_json_text(progress),
        "until": instant_text(now + extend),
    }
    connection.execute(_KEEP, values)
    return True


def release_runs(connection: sqlite3.Connection, releases: Sequence[Release], now: datetime) -> list[UUID]:
    """Make these runs pending again; answers which of them were still held."""
    return [release.lease.run_id for release in releases if _release(connection, release, now)]


def prune_runs(connection: sqlite3.Connection, before: datetime, limit: int, tenant: str | None) -> int:
    """Take out up to `limit` runs that ended before an instant; answers how many."""
    values = {"before": instant_text(before), "limit": limit, "tenant": tenant}
    return connection.execute(_PRUNE, values).rowcount


def _release(connection: sqlite3.Connection, release: Release, now: datetime) -> bool:
    values = {
        **_lease_values(release.lease, now),
        "uncounted": 1 if release.uncount else 0,
        "error": maybe_json_text(release.error),
        "available_at": instant_text(now + release.delay),
    }
    return connection.execute(_RELEASE, values).rowcount == 1


def _lease_values(lease: Lease, now: datetime) -> dict[str, JsonValue]:
    return {"id": str(lease.run_id), "token": str(lease.token), "now": instant_text(now)}
