"""How runs are claimed on SQLite, and throttles kept. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from math import ceil

from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.run_records import AMONG, ClaimedRun, FetchStrategy, RunClaim, Throttle
from detent.store.sqlite_records import INSTANCE_COLUMNS, to_instance
from detent.store.sqlite_run_records import to_run
from detent.store.sqlite_values import instant_text, json_text, list_text

# The first condition is the one of the index; with it runs are gone through in the order in which the oldest come first.
_CLAIMABLE = """
SELECT id, priority FROM detent_runs AS run
WHERE status IN ('pending', 'running')
    AND (status = 'pending' AND available_at <= :now OR status = 'running' AND lease_until <= :now)
    AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
    AND queue NOT IN (SELECT value FROM json_each(:except_queues))
    AND (:workflows IS NULL OR workflow IN (SELECT value FROM json_each(:workflows)))
    AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
    AND (:instances IS NULL OR instance_id IN (SELECT value FROM json_each(:instances)))
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (workflow, definition_version) NOT IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:except_versions)
    )
    AND EXISTS (SELECT 1 FROM detent_instances WHERE id = run.instance_id AND status = 'active')
"""
_OLDEST = "ORDER BY priority DESC, available_at, id"
_IN_ORDER: Mapping[FetchStrategy, str] = {
    FetchStrategy.OLDEST: f"{_CLAIMABLE} {_OLDEST} LIMIT :limit",
    # Within one priority the index serves this order too, read from its end.
    FetchStrategy.NEWEST: (
        f"{_CLAIMABLE} AND priority = (SELECT priority FROM ({_CLAIMABLE} {_OLDEST} LIMIT 1)) "  # noqa: S608
        "ORDER BY available_at DESC, id DESC LIMIT :limit"
    ),
    FetchStrategy.RANDOM: (
        f"SELECT id FROM ({_CLAIMABLE} {_OLDEST} LIMIT max(:limit, :among)) ORDER BY priority DESC, random() LIMIT :limit"  # noqa: S608
    ),
}
"""Nothing but these texts is put together; what a claim asks for is bound."""
_CLAIM = """
UPDATE detent_runs SET
    status = 'running', attempts = attempts + 1, crashes = crashes + (status = 'running'), lease_token = :token,
    lease_until = :until, worker = :worker, updated_at = :now
WHERE id = :id
RETURNING *
"""
_INSTANCE = f"SELECT {INSTANCE_COLUMNS} FROM detent_instances WHERE id = ?"  # noqa: S608 (the columns are fixed)
_HELD = "SELECT count(*) FROM detent_runs WHERE status = 'running' AND lease_until > ? AND queue = ?"
_RESTED = "SELECT rested_at FROM detent_throttles WHERE queue = ?"
_REST = "INSERT OR REPLACE INTO detent_throttles (queue, rested_at) VALUES (?, ?)"


def may_claim(connection: sqlite3.Connection, claim: RunClaim, now: datetime) -> bool:
    """Whether there is a run that `claim` asks for, however much its throttle leaves."""
    if claim.throttle is not None:
        _throttled_queue(claim)
    return bool(_claimable(connection, claim, 1, now))


def claim_runs(connection: sqlite3.Connection, claim: RunClaim, now: datetime) -> list[ClaimedRun]:
    """Take up to `limit` runs that `claim` asks for, in its order."""
    if claim.throttle is None:
        return _take(connection, claim, claim.limit, now)
    queue = _throttled_queue(claim)
    rested_at = max(now, _rested_at(connection, queue) or now)
    claimed = _take(connection, claim, _room(connection, claim, queue, rested_at, now), now)
    if claimed and claim.throttle.rate:
        rested_at += len(claimed) * claim.throttle.per // claim.throttle.rate
        connection.execute(_REST, (queue, instant_text(rested_at)))
    return claimed


def _take(connection: sqlite3.Connection, claim: RunClaim, limit: int, now: datetime) -> list[ClaimedRun]:
    return [_claimed(connection, claim, run_id, now) for run_id in _claimable(connection, claim, limit, now)]


def _claimable(connection: sqlite3.Connection, claim: RunClaim, limit: int, now: datetime) -> list[str]:
    values: dict[str, JsonValue] = {
        "now": instant_text(now),
        "queues": list_text(claim.queues),
        "except_queues": list_text(claim.except_queues),
        "workflows": list_text(claim.workflows),
        "states": list_text(claim.states),
        "except_versions": json_text([list(version) for version in claim.except_versions]),
        "instances": list_text(claim.instances),
        "tenant": claim.tenant,
        "limit": limit,
        "among": AMONG,
    }
    return [row["id"] for row in connection.execute(_IN_ORDER[claim.strategy], values)]


def _claimed(connection: sqlite3.Connection, claim: RunClaim, run_id: str, now: datetime) -> ClaimedRun:
    values = {
        "id": run_id,
        "token": str(new_id()),
        "until": instant_text(now + claim.lease),
        "worker": claim.worker,
        "now": instant_text(now),
    }
    [row] = connection.execute(_CLAIM, values).fetchall()
    [instance] = connection.execute(_INSTANCE, (row["instance_id"],)).fetchall()
    return ClaimedRun(to_run(row), to_instance(instance))


def _throttled_queue(claim: RunClaim) -> str:
    if claim.queues is None or len(claim.queues) != 1:
        raise ValueError("a throttle is for the one queue that is claimed from")
    return claim.queues[0]


def _room(connection: sqlite3.Connection, claim: RunClaim, queue: str, rested_at: datetime, now: datetime) -> int:
    throttle = claim.throttle or Throttle()
    rooms = [claim.limit]
    if throttle.concurrency is not None:
        [held] = connection.execute(_HELD, (instant_text(now), queue)).fetchone()
        rooms.append(throttle.concurrency - held)
    if throttle.rate is not None:
        # Each one that was claimed has the queue rest for its part of the time; a part that has begun to pass still counts.
        taken = (rested_at - now) * throttle.rate / throttle.per
        rooms.append(throttle.rate - ceil(taken))
    # SQLite takes a limit below zero for none.
    return max(0, min(rooms))


def _rested_at(connection: sqlite3.Connection, queue: str) -> datetime | None:
    row = connection.execute(_RESTED, (queue,)).fetchone()
    return None if row is None else datetime.fromisoformat(row["rested_at"])
