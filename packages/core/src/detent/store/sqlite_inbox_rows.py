"""The statements of the inbox on SQLite. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.messages import InboxMessage, InboxQuery
from detent.store.sqlite_messages import from_message, to_message
from detent.store.sqlite_values import ids_of, instant_text, list_text, maybe_id_text

_ADD = """
INSERT INTO detent_inbox (
    id, instance_id, tenant, event, payload, trigger_metadata, key, created_at, available_at, expires_at, attempts,
    seen_version, dead_at, reason, trace
)
SELECT
    :id, :instance_id, :tenant, :event, :payload, :trigger_metadata, :key, :created_at, :available_at, :expires_at,
    :attempts, :seen_version, :dead_at, :reason, :trace
WHERE EXISTS (SELECT 1 FROM detent_instances WHERE id = :instance_id)
"""
_TAKE = "DELETE FROM detent_inbox WHERE id = ?"
_PUT_BACK = """
UPDATE detent_inbox SET
    attempts = :attempts, reason = :reason, available_at = :available_at, seen_version = :seen_version, dead_at = :dead_at
WHERE id = :id
"""
_OF_INSTANCE = """
SELECT * FROM detent_inbox WHERE instance_id = ? AND dead_at IS NULL AND number > ? ORDER BY number LIMIT ?
"""
_DUE = """
SELECT instance.id FROM detent_inbox AS message
JOIN detent_instances AS instance ON instance.id = message.instance_id
WHERE message.dead_at IS NULL AND message.available_at <= :now
    AND (message.expires_at <= :now OR instance.version > message.seen_version)
    AND instance.status <> 'paused' AND instance.run_id IS NULL
    AND (:workflows IS NULL OR instance.workflow IN (SELECT value FROM json_each(:workflows)))
    AND (:tenant IS NULL OR instance.tenant = :tenant)
GROUP BY instance.id
ORDER BY min(message.available_at), min(message.number)
LIMIT :limit
"""
_REVIVE = """
UPDATE detent_inbox SET dead_at = NULL, attempts = 0, seen_version = 0, available_at = :now
WHERE dead_at IS NOT NULL AND id IN (SELECT value FROM json_each(:ids))
RETURNING id
"""
_DISCARD = "DELETE FROM detent_inbox WHERE id IN (SELECT value FROM json_each(?)) RETURNING id"
_PRUNE = """
DELETE FROM detent_inbox
WHERE number IN (
    SELECT number FROM detent_inbox WHERE dead_at IS NOT NULL AND dead_at < ? ORDER BY dead_at LIMIT ?
)
"""
_CONDITIONS = {
    "instance_id": "instance_id = :instance_id",
    "events": "event IN (SELECT value FROM json_each(:events))",
    "dead": "dead_at IS NOT NULL",
    "not_dead": "dead_at IS NULL",
    "tenant": "tenant = :tenant",
    "ids": "id IN (SELECT value FROM json_each(:ids))",
    "after": "number > :after",
}
"""The conditions of a query by the names of the values that they need."""


def add_message(connection: sqlite3.Connection, message: InboxMessage) -> bool:
    """Keep a message to an instance that is there; says whether it is."""
    return connection.execute(_ADD, from_message(message)).rowcount == 1


def take_message(connection: sqlite3.Connection, message_id: UUID) -> bool:
    """Take a message out; says whether it was there."""
    return connection.execute(_TAKE, (str(message_id),)).rowcount == 1


def put_back(connection: sqlite3.Connection, message: InboxMessage) -> None:
    """Write what became of a message that was not taken."""
    connection.execute(_PUT_BACK, from_message(message))


def read_messages(connection: sqlite3.Connection, instance_id: UUID, limit: int, after: int) -> list[InboxMessage]:
    """Up to `limit` messages to an instance that are not dead, by rising number and above `after`."""
    return [to_message(row) for row in connection.execute(_OF_INSTANCE, (str(instance_id), after, limit))]


def read_instances_with_messages(
    connection: sqlite3.Connection,
    now: datetime,
    limit: int,
    workflows: Collection[str] | None,
    tenant: str | None,
) -> list[UUID]:
    """Up to `limit` instances with a message to judge at `now`, the longest waiting message first."""
    values = {"now": instant_text(now), "limit": limit, "workflows": list_text(workflows), "tenant": tenant}
    return ids_of(connection.execute(_DUE, values))


def find_messages(
    connection: sqlite3.Connection, query: InboxQuery, limit: int, after: int | None
) -> list[InboxMessage]:
    """Up to `limit` messages that `query` asks for, by rising number and above `after`."""
    values: dict[str, JsonValue] = {
        "instance_id": maybe_id_text(query.instance_id),
        "events": list_text(query.events),
        "dead": query.dead or None,
        "not_dead": True if query.dead is False else None,
        "tenant": query.tenant,
        "ids": list_text(query.ids),
        "after": after,
        "limit": limit,
    }
    conditions = [condition for name, condition in _CONDITIONS.items() if values[name] is not None]
    # Parts of the statement are fixed above; values are bound.
    statement = f"""
        SELECT * FROM detent_inbox
        WHERE {" AND ".join(["TRUE", *conditions])}
        ORDER BY number
        LIMIT :limit
    """  # noqa: S608
    return [to_message(row) for row in connection.execute(statement, values)]


def revive_messages(connection: sqlite3.Connection, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Let dead messages be tried again at once; answers which were dead."""
    return ids_of(connection.execute(_REVIVE, {"ids": list_text(ids), "now": instant_text(now)}))


def discard_messages(connection: sqlite3.Connection, ids: Sequence[UUID]) -> list[UUID]:
    """Take messages out; answers which were there."""
    return ids_of(connection.execute(_DISCARD, (list_text(ids),)))


def prune_messages(connection: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Take out up to `limit` messages that died before an instant; answers how many."""
    return connection.execute(_PRUNE, (instant_text(before), limit)).rowcount
