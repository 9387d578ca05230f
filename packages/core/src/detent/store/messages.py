"""Messages: events sent to an instance and not yet applied (inbox), and news of transitions not yet delivered (outbox)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from detent.json_values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """An event that was sent to an instance: kept until it can be taken, and applied once."""

    id: UUID
    instance_id: UUID
    tenant: str
    event: str
    """Names that start with `$` are Detent's own."""
    payload: JsonValue
    trigger_metadata: JsonObject
    key: str | None
    """The idempotency key under which the event is taken."""
    created_at: datetime
    available_at: datetime
    """Before this instant it is not tried."""
    expires_at: datetime | None = None
    """From this instant on it is not taken any more."""
    attempts: int = 0
    """How often it was refused or failed."""
    seen_version: int = 0
    """The version of the instance at which its state did not declare the event: it is not tried again before the next one."""
    dead_at: datetime | None = None
    """Since when it waits for an operator: it can never be taken, or its attempts are used up."""
    reason: str | None = None
    """Why it was not taken so far."""
    trace: JsonObject = field(default_factory=dict)
    """The trace context of whoever sent it (W3C headers)."""
    number: int = 0
    """Its place in the order of arrival; given by the store."""


@dataclass(frozen=True, slots=True)
class InboxQuery:
    """Which messages: all conditions hold, and one that is `None` holds for every message."""

    instance_id: UUID | None = None
    events: tuple[str, ...] | None = None
    dead: bool | None = None
    tenant: str | None = None
    ids: tuple[UUID, ...] | None = None


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    """It was not made yet, or failed and is tried again."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Its attempts are used up: it waits for an operator, and what follows it does not wait for it any more."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one subscriber, written in the commit that it tells of."""

    id: UUID
    """The same on every attempt; a receiver can know by it what it has seen."""
    message_id: UUID
    """The same for every subscriber of one message."""
    subscriber: str
    instance_id: UUID
    workflow: str
    tenant: str
    sequence: int
    """The history entry it was published with."""
    topic: str
    key: str | None
    payload: JsonValue
    headers: JsonObject
    created_at: datetime
    available_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    """How many were started; counted when they start."""
    lease_token: UUID | None = None
    lease_until: datetime | None = None
    error: JsonObject | None = None
    """`code` and `message` of the last attempt that failed."""
    finished_at: datetime | None = None
    """When it was delivered or given up."""
    trace: JsonObject = field(default_factory=dict)
    """The trace context of the transition (W3C headers)."""
    number: int = 0
    """Its place in the order of writing, which for one instance is the order of its commits; given by the store."""


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries: all conditions hold, and one that is `None` holds for every delivery."""

    statuses: tuple[DeliveryStatus, ...] | None = None
    subscribers: tuple[str, ...] | None = None
    topics: tuple[str, ...] | None = None
    instance_id: UUID | None = None
    tenant: str | None = None
    ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What came of a claimed delivery."""

    id: UUID
    token: UUID
    """The lease under which it was tried; a result under an older one is refused."""
    status: DeliveryStatus
    delay: timedelta = timedelta(0)
    """For `PENDING`: after what time it is tried again."""
    error: JsonObject | None = None
