"""What a query asks for, decided record by record: how the memory store finds, sorts and counts."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from detent.store.query import GroupKey, InstanceQuery, Order, Position, Span, contains
from detent.store.records import WorkflowInstance

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
