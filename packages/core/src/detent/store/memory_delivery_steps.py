"""What each write makes of a delivery, decided delivery by delivery: whose turn it is, and how it is claimed and settled."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from detent.store.messages import Delivery, DeliveryResult, DeliveryStatus


def foremost(deliveries: Iterable[Delivery], subscribers: Collection[str]) -> Iterator[Delivery]:
    """The first pending one of each instance to each of these subscribers; `deliveries` come by rising number."""
    seen: set[tuple[UUID, str]] = set()
    for delivery in deliveries:
        pair = (delivery.instance_id, delivery.subscriber)
        if delivery.status is DeliveryStatus.PENDING and delivery.subscriber in subscribers and pair not in seen:
            seen.add(pair)
            yield delivery


def may_be_tried(delivery: Delivery, now: datetime) -> bool:
    """Whether the instant of a pending delivery has come, and nobody holds it."""
    return delivery.available_at <= now and (delivery.lease_until is None or delivery.lease_until <= now)


def claimed(delivery: Delivery, token: UUID, until: datetime) -> Delivery:
    """The delivery under a new lease, one attempt more."""
    return replace(delivery, attempts=delivery.attempts + 1, lease_token=token, lease_until=until)


def is_held_under(delivery: Delivery, token: UUID) -> bool:
    """Whether nobody has claimed or settled it since it was claimed under `token`."""
    return delivery.status is DeliveryStatus.PENDING and delivery.lease_token == token


def settled(delivery: Delivery, result: DeliveryResult, now: datetime) -> Delivery:
    """The delivery after an attempt, held by nobody."""
    again = result.status is DeliveryStatus.PENDING
    return replace(
        delivery,
        status=result.status,
        lease_token=None,
        lease_until=None,
        available_at=now + result.delay if again else delivery.available_at,
        finished_at=None if again else now,
        error=delivery.error if result.error is None else result.error,
    )


def pending_again(delivery: Delivery, now: datetime) -> Delivery:
    """The delivery as if it had not been tried yet."""
    return replace(
        delivery,
        status=DeliveryStatus.PENDING,
        attempts=0,
        error=None,
        available_at=now,
        lease_token=None,
        lease_until=None,
        finished_at=None,
    )
