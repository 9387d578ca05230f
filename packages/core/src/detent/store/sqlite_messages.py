"""Messages as rows of the SQLite tables, and back."""

import sqlite3
from datetime import datetime
from uuid import UUID

from pydantic_core import from_json

from detent.json_values import JsonValue
from detent.store.messages import Delivery, DeliveryStatus, InboxMessage
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


def from_message(message: InboxMessage) -> dict[str, JsonValue]:
    """The row of a message, without its number."""
    return {
        "id": str(message.id),
        "instance_id": str(message.instance_id),
        "tenant": message.tenant,
        "event": message.event,
        "payload": json_text(message.payload),
        "trigger_metadata": json_text(message.trigger_metadata),
        "key": message.key,
        "created_at": instant_text(message.created_at),
        "available_at": instant_text(message.available_at),
        "expires_at": maybe_instant_text(message.expires_at),
        "attempts": message.attempts,
        "seen_version": message.seen_version,
        "dead_at": maybe_instant_text(message.dead_at),
        "reason": message.reason,
        "trace": json_text(message.trace),
    }


def to_message(row: sqlite3.Row) -> InboxMessage:
    """The message of a row."""
    return InboxMessage(
        id=UUID(row["id"]),
        instance_id=UUID(row["instance_id"]),
        tenant=row["tenant"],
        event=row["event"],
        payload=from_json(row["payload"]),
        trigger_metadata=from_json(row["trigger_metadata"]),
        key=row["key"],
        created_at=datetime.fromisoformat(row["created_at"]),
        available_at=datetime.fromisoformat(row["available_at"]),
        expires_at=to_maybe_instant(row["expires_at"]),
        attempts=row["attempts"],
        seen_version=row["seen_version"],
        dead_at=to_maybe_instant(row["dead_at"]),
        reason=row["reason"],
        trace=from_json(row["trace"]),
        number=row["number"],
    )


def from_delivery(delivery: Delivery) -> dict[str, JsonValue]:
    """The row of a delivery, without its number."""
    return {
        "id": str(delivery.id),
        "message_id": str(delivery.message_id),
        "subscriber": delivery.subscriber,
        "instance_id": str(delivery.instance_id),
        "workflow": delivery.workflow,
        "tenant": delivery.tenant,
        "sequence": delivery.sequence,
        "topic": delivery.topic,
        "key": delivery.key,
        "payload": json_text(delivery.payload),
        "headers": json_text(delivery.headers),
        "created_at": instant_text(delivery.created_at),
        "available_at": instant_text(delivery.available_at),
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "lease_token": maybe_id_text(delivery.lease_token),
        "lease_until": maybe_instant_text(delivery.lease_until),
        "error": maybe_json_text(delivery.error),
        "finished_at": maybe_instant_text(delivery.finished_at),
        "trace": json_text(delivery.trace),
    }


def to_delivery(row: sqlite3.Row) -> Delivery:
    """The delivery of a row."""
    return Delivery(
        id=UUID(row["id"]),
        message_id=UUID(row["message_id"]),
        subscriber=row["subscriber"],
        instance_id=UUID(row["instance_id"]),
        workflow=row["workflow"],
        tenant=row["tenant"],
        sequence=row["sequence"],
        topic=row["topic"],
        key=row["key"],
        payload=from_json(row["payload"]),
        headers=from_json(row["headers"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        available_at=datetime.fromisoformat(row["available_at"]),
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        lease_token=to_maybe_id(row["lease_token"]),
        lease_until=to_maybe_instant(row["lease_until"]),
        error=to_maybe_json(row["error"]),
        finished_at=to_maybe_instant(row["finished_at"]),
        trace=from_json(row["trace"]),
        number=row["number"],
    )
