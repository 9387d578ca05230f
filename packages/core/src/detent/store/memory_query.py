"""What a query asks for, decided row by row: how a store that keeps its rows in memory finds, sorts and counts."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from detent.store.messages import Delivery, DeliveryQuery, InboxMessage, InboxQuery
from detent.store.query import GroupKey, InstanceQuery, Order, Position, Span, contains
from detent.store.records import Status, WorkflowInstance
from detent.store.run_records import Run, RunClaim, RunQuery, RunStatus

V = TypeVar("V")

_Place: TypeAlias = tuple[datetime, UUID] | tuple[UUID]
"""What a list is sorted by: the value under the order's key, if it is not the id, and then the id."""


def matches(instance: WorkflowInstance, query: InstanceQuery) -> bool:
    """Whether all conditions of `query` hold for `instance`."""
    return (
        _among(instance.id, query.ids)
        and _among(instance.workflow, query.workflows)
        and _among(instance.definition_version, query.versions)
        and _among(instance.state, query.states)
        and instance.state not in query.exclude_states
        and _among(instance.status, query.statuses)
        and _within(instance.created_at, query.created)
        and _within(instance.updated_at, query.updated)
        and _within(instance.finished_at, query.finished)
        and _within(instance.due_at, query.due)
        and query.parked in (None, instance.parked_at is not None)
        and query.busy in (None, instance.run_id is not None)
        and query.parent_id in (None, instance.parent_id)
        and query.tenant in (None, instance.tenant)
        and contains(instance.metadata, query.metadata)
        and contains(instance.context, query.context)
    )


def sorted_behind(
    instances: Iterable[WorkflowInstance], order: Order, after: Position | None
) -> list[WorkflowInstance]:
    """The instances in this order, without those that have no place in it and those that do not come behind `after`."""
    place = _placed_by(order)
    placed = [(found, instance) for instance in instances if (found := place(instance)) is not None]
    if after is not None:
        start: _Place = (after.instance_id,) if after.instant is None else (after.instant, after.instance_id)
        placed = [each for each in placed if (each[0] < start if order.descending else each[0] > start)]
    placed.sort(key=lambda each: each[0], reverse=order.descending)
    return [instance for _, instance in placed]


def counted(instances: Iterable[WorkflowInstance], group_by: Sequence[GroupKey]) -> Mapping[tuple[str, ...], int]:
    """How many instances there are by these values; without any, how many there are."""
    groups = Counter(tuple(str(getattr(instance, key)) for key in group_by) for instance in instances)
    return groups if group_by else {(): groups[()]}


def run_matches(run: Run, query: RunQuery) -> bool:
    """Whether all conditions of `query` hold for `run`."""
    return (
        _among(run.status, query.statuses)
        and query.instance_id in (None, run.instance_id)
        and _among(run.workflow, query.workflows)
        and _among(run.state, query.states)
        and _among(run.queue, query.queues)
        and query.tenant in (None, run.tenant)
        and (query.expired_before is None or _expired_before(run, query.expired_before))
    )


def run_is_wanted(run: Run, claim: RunClaim) -> bool:
    """Whether `claim` asks for runs like this one, whoever's turn it is."""
    return (
        _among(run.queue, claim.queues)
        and run.queue not in claim.except_queues
        and _among(run.workflow, claim.workflows)
        and _among(run.state, claim.states)
        and (run.workflow, run.definition_version) not in claim.except_versions
        and _among(run.instance_id, claim.instances)
        and claim.tenant in (None, run.tenant)
    )


def message_matches(message: InboxMessage, query: InboxQuery) -> bool:
    """Whether all conditions of `query` hold for `message`."""
    return (
        query.instance_id in (None, message.instance_id)
        and _among(message.event, query.events)
        and query.dead in (None, message.dead_at is not None)
        and query.tenant in (None, message.tenant)
        and _among(message.id, query.ids)
    )


def message_is_to_judge(message: InboxMessage, instance: WorkflowInstance, now: datetime) -> bool:
    """Whether it is to be found out at `now` if `instance`, as it is, takes `message`."""
    expired = message.expires_at is not None and message.expires_at <= now
    return (
        message.dead_at is None
        and message.available_at <= now
        and (expired or instance.version > message.seen_version)
        and instance.status is not Status.PAUSED
        and instance.run_id is None
    )


def delivery_matches(delivery: Delivery, query: DeliveryQuery) -> bool:
    """Whether all conditions of `query` hold for `delivery`."""
    return (
        _among(delivery.status, query.statuses)
        and _among(delivery.subscriber, query.subscribers)
        and _among(delivery.topic, query.topics)
        and query.instance_id in (None, delivery.instance_id)
        and query.tenant in (None, delivery.tenant)
        and _among(delivery.id, query.ids)
    )


def _expired_before(run: Run, instant: datetime) -> bool:
    return run.status is RunStatus.RUNNING and run.lease_until is not None and run.lease_until < instant


def _placed_by(order: Order) -> Callable[[WorkflowInstance], _Place | None]:
    def by_id(instance: WorkflowInstance) -> _Place:
        return (instance.id,)

    def by_instant(instance: WorkflowInstance) -> _Place | None:
        instant = getattr(instance, order.by)
        return None if instant is None else (instant, instance.id)

    return by_id if order.by == "id" else by_instant


def _among(value: V, wanted: Collection[V] | None) -> bool:
    return wanted is None or value in wanted


def _within(instant: datetime | None, span: Span | None) -> bool:
    if span is None:
        return True
    if instant is None:
        return False
    return (span.since is None or instant >= span.since) and (span.until is None or instant < span.until)
