"""Cursors: a place in a sorted list of instances, as an opaque text for the next page."""

import base64
import json
from datetime import datetime
from uuid import UUID

from detent.errors import InvalidValue
from detent.store.query import Order, Position
from detent.store.records import WorkflowInstance


def cursor_after(instance: WorkflowInstance, order: Order) -> str:
    """The cursor behind `instance` in a list sorted by `order`."""
    instant = None if order.by == "id" else getattr(instance, order.by).isoformat()
    place = [order.by, order.descending, str(instance.id), instant]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def position_of(cursor: str | None, order: Order) -> Position | None:
    """The place that `cursor` stands for. Raises `InvalidValue` when it is none, or one of another order."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        by, descending, instance_id, instant = json.loads(base64.urlsafe_b64decode(padded.encode()))
        place = Position(UUID(instance_id), None if by == "id" else _instant(instant))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidValue("cursor", "is none that an earlier page gave") from None
    if (by, descending) != (order.by, order.descending):
        raise InvalidValue("cursor", f"is one of a list sorted by {by!r}", hint="keep the order from page to page")
    return place


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant has a time zone")
    return instant
