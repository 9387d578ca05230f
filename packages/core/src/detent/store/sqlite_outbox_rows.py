"""The statements of the outbox on SQLite. All of it runs in the thread of a connection."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult, DeliveryStatus
from detent.store.sqlite_messages import from_delivery, to_delivery
from detent.store.sqlite_values import ids_of, instant_text, json_text, list_text, maybe_id_text, maybe_json_text

_ADD = """
INSERT INTO detent_outbox (
    id, message_id, subscriber, instance_id, workflow, tenant, sequence, topic, key, payload, headers, created_at,
    available_at, status, attempts, lease_token, lease_until, error, finished_at, trace
) VALUES (
    :id, :message_id, :subscriber, :instance_id, :workflow, :tenant, :sequence, :topic, :key, :payload, :headers,
    :created_at, :available_at, :status, :attempts, :lease_token, :lease_until, :error, :finished_at, :trace
)
"""
_CLAIMABLE = """
SELECT number FROM detent_outbox AS delivery
WHERE status = 'pending' AND available_at <= :now
    AND subscriber IN (SELECT value FROM json_each(:subscribers))
    AND (:tenant IS NULL OR tenant = :tenant)
    AND (lease_until IS NULL OR lease_until <= :now)
    AND NOT EXISTS (
        SELECT 1 FROM detent_outbox AS earlier
        WHERE earlier.status = 'pending' AND earlier.instance_id = delivery.instance_id
            AND earlier.subscriber = delivery.subscriber AND earlier.number < delivery.number
    )
ORDER BY number
LIMIT :limit
"""
_CLAIM = """
UPDATE detent_outbox SET attempts = attempts + 1, lease_token = :token, lease_until = :until
WHERE number = :number
RETURNING *
"""
# Whoever is first with a result under the last token given out is heard, be it late: what was delivered was delivered.
_SETTLE = """
UPDATE detent_outbox SET
    status = :status, lease_token = NULL, lease_until = NULL, error = coalesce(:error, error),
    available_at = coalesce(:available_at, available_at), finished_at = :finished_at
WHERE id = :id AND status = 'pending' AND lease_token = :token
"""
_REPLAY = """
UPDATE detent_outbox SET
    status = 'pending', attempts = 0, error = NULL, available_at = :now, finished_at = NULL, lease_token = NULL,
    lease_until = NULL
WHERE number IN (SELECT value FROM json_each(:numbers))
RETURNING id
"""
_PRUNE = """
DELETE FROM detent_outbox
WHERE number IN (
    SELECT number FROM detent_outbox WHERE status = 'delivered' AND finished_at < ? ORDER BY finished_at LIMIT ?
)
"""
_CONDITIONS = {
    "statuses": "status IN (SELECT value FROM json_each(:statuses))",
    "subscribers": "subscriber IN (SELECT value FROM json_each(:subscribers))",
    "topics": "topic IN (SELECT value FROM json_each(:topics))",
    "instance_id": "instance_id = :instance_id",
    "tenant": "tenant = :tenant",
    "ids": "id IN (SELECT value FROM json_each(:ids))",
    "after": "number > :after",
    "finished": "status IN ('delivered', 'dead')",
}
"""The conditions of a query by the names of the values that they need."""


def add_delivery(connection: sqlite3.Connection, delivery: Delivery) -> None:
    """Begin a delivery."""
    connection.execute(_ADD, from_delivery(delivery))


def may_claim_deliveries(
    connection: sqlite3.Connection, subscribers: Collection[str], tenant: str | None, now: datetime
) -> bool:
    """Whether there is a delivery to these subscribers whose turn it is."""
    return bool(_claimable(connection, subscribers, 1, tenant, now))


def claim_deliveries(
    connection: sqlite3.Connection,
    subscribers: Collection[str],
    lease: timedelta,
    limit: int,
    tenant: str | None,
    now: datetime,
) -> list[Delivery]:
    """Take up to `limit` deliveries to these subscribers whose turn it is, the lowest numbers first."""
    until = instant_text(now + lease)
    return [_claimed(connection, number, until) for number in _claimable(connection, subscribers, limit, tenant, now)]


def settle_deliveries(connection: sqlite3.Connection, results: Sequence[DeliveryResult], now: datetime) -> list[UUID]:
    """Note what came of deliveries; answers the ids of those still held under the token they name."""
    return [result.id for result in results if _settle(connection, result, now)]


def find_deliveries(
    connection: sqlite3.Connection, query: DeliveryQuery, limit: int, after: int | None
) -> list[Delivery]:
    """Up to `limit` deliveries that `query` asks for, by rising number and above `after`."""
    return [to_delivery(row) for row in _found(connection, query, limit, after=after)]


def replay_deliveries(connection: sqlite3.Connection, query: DeliveryQuery, limit: int, now: datetime) -> list[UUID]:
    """Make up to `limit` delivered or dead ones pending again, at once; answers which."""
    numbers = [row["number"] for row in _found(connection, query, limit, finished=True)]
    return ids_of(connection.execute(_REPLAY, {"numbers": json_text(numbers), "now": instant_text(now)}))


def prune_deliveries(connection: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Take out up to `limit` deliveries that were delivered before an instant; answers how many."""
    return connection.execute(_PRUNE, (instant_text(before), limit)).rowcount


def _claimable(
    connection: sqlite3.Connection, subscribers: Collection[str], limit: int, tenant: str | None, now: datetime
) -> list[int]:
    values = {"subscribers": list_text(subscribers), "limit": limit, "tenant": tenant, "now": instant_text(now)}
    return [row["number"] for row in connection.execute(_CLAIMABLE, values)]


def _claimed(connection: sqlite3.Connection, number: int, until: str) -> Delivery:
    [row] = connection.execute(_CLAIM, {"number": number, "token": str(new_id()), "until": until}).fetchall()
    return to_delivery(row)


def _settle(connection: sqlite3.Connection, result: DeliveryResult, now: datetime) -> bool:
    again = result.status is DeliveryStatus.PENDING
    values = {
        "id": str(result.id),
        "token": str(result.token),
        "status": result.status.value,
        "error": maybe_json_text(result.error),
        "available_at": instant_text(now + result.delay) if again else None,
        "finished_at": None if again else instant_text(now),
    }
    return connection.execute(_SETTLE, values).rowcount == 1


def _found(
    connection: sqlite3.Connection,
    query: DeliveryQuery,
    limit: int,
    *,
    after: int | None = None,
    finished: bool = False,
) -> list[sqlite3.Row]:
    values: dict[str, JsonValue] = {
        "statuses": list_text(query.statuses),
        "subscribers": list_text(query.subscribers),
        "topics": list_text(query.topics),
        "instance_id": maybe_id_text(query.instance_id),
        "tenant": query.tenant,
        "ids": list_text(query.ids),
        "after": after,
        "finished": finished or None,
        "limit": limit,
    }
    conditions = [condition for name, condition in _CONDITIONS.items() if values[name] is not None]
    # Parts of the statement are fixed above; values are bound.
    statement = f"""
        SELECT * FROM detent_outbox
        WHERE {" AND ".join(["TRUE", *conditions])}
        ORDER BY number
        LIMIT :limit
    """  # noqa: S608
    return connection.execute(statement, values).fetchall()
