"""Between messages and their rows. The number of a new row is the table's to give."""

from detent.store.messages import Delivery, DeliveryStatus, InboxMessage
from detent_pg.rows import Row, decode, decode_optional, encode, encode_optional


def message_row(message: InboxMessage) -> Row:
    """The columns of an inbox message, without its number."""
    return {
        "id": message.id,
        "instance_id": message.instance_id,
        "tenant": message.tenant,
        "event": message.event,
        "payload": encode_optional(message.payload),
        "trigger_metadata": encode(message.trigger_metadata),
        "key": message.key,
        "created_at": message.created_at,
        "available_at": message.available_at,
        "expires_at": message.expires_at,
        "attempts": message.attempts,
        "seen_version": message.seen_version,
        "dead_at": message.dead_at,
        "reason": message.reason,
        "trace": encode(message.trace),
    }


def message_of(row: Row) -> InboxMessage:
    """The inbox message in a row."""
    return InboxMessage(
        id=row["id"],
        instance_id=row["instance_id"],
        tenant=row["tenant"],
        event=row["event"],
        payload=decode_optional(row["payload"]),
        trigger_metadata=decode(row["trigger_metadata"]),
        key=row["key"],
        created_at=row["created_at"],
        available_at=row["available_at"],
        expires_at=row["expires_at"],
        attempts=row["attempts"],
        seen_version=row["seen_version"],
        dead_at=row["dead_at"],
        reason=row["reason"],
        trace=decode(row["trace"]),
        number=row["number"],
    )


def delivery_row(delivery: Delivery) -> Row:
    """The columns of a delivery, without its number."""
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "subscriber": delivery.subscriber,
        "instance_id": delivery.instance_id,
        "workflow": delivery.workflow,
        "tenant": delivery.tenant,
        "sequence": delivery.sequence,
        "topic": delivery.topic,
        "key": delivery.key,
        "payload": encode_optional(delivery.payload),
        "headers": encode(delivery.headers),
        "created_at": delivery.created_at,
        "available_at": delivery.available_at,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "lease_token": delivery.lease_token,
        "lease_until": delivery.lease_until,
        "error": encode_optional(delivery.error),
        "finished_at": delivery.finished_at,
        "trace": encode(delivery.trace),
    }


def delivery_of(row: Row) -> Delivery:
    """The delivery in a row."""
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        subscriber=row["subscriber"],
        instance_id=row["instance_id"],
        workflow=row["workflow"],
        tenant=row["tenant"],
        sequence=row["sequence"],
        topic=row["topic"],
        key=row["key"],
        payload=decode_optional(row["payload"]),
        headers=decode(row["headers"]),
        created_at=row["created_at"],
        available_at=row["available_at"],
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        lease_token=row["lease_token"],
        lease_until=row["lease_until"],
        error=decode_optional(row["error"]),
        finished_at=row["finished_at"],
        trace=decode(row["trace"]),
        number=row["number"],
    )
