"""What to look for: a query over instances as plain values, the same for every store."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Self, TypeAlias
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.store.records import Status

OrderKey: TypeAlias = Literal["id", "created_at", "updated_at", "entered_at", "due_at", "finished_at", "parked_at"]
"""What instances may be sorted by. Those without a due, finished or parked instant are not found under that order."""

GroupKey: TypeAlias = Literal["workflow", "definition_version", "state", "status", "tenant"]
"""What instances may be counted by."""


@dataclass(frozen=True, slots=True)
class Span:
    """An interval of time: at or after `since`, and before `until`; an open end where that is `None`."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class InstanceQuery:
    """Which instances: all conditions hold, and one that is `None` holds for every instance."""

    ids: tuple[UUID, ...] | None = None
    workflows: tuple[str, ...] | None = None
    """Any of these workflows; so for everything that is a tuple. An empty tuple finds nothing."""
    versions: tuple[str, ...] | None = None
    """Any of these definition versions."""
    states: tuple[str, ...] | None = None
    exclude_states: tuple[str, ...] = ()
    statuses: tuple[Status, ...] | None = None
    metadata: JsonObject = field(default_factory=dict)
    """What the labels must contain; see `contains`."""
    context: JsonObject = field(default_factory=dict)
    """What the context must contain; see `contains`."""
    created: Span | None = None
    updated: Span | None = None
    finished: Span | None = None
    """An instance that is not finished is in no span; so for `due`."""
    due: Span | None = None
    parked: bool | None = None
    """Whether one of its timers, or its run, is parked."""
    busy: bool | None = None
    """Whether a run is under way."""
    parent_id: UUID | None = None
    tenant: str | None = None

    def of_tenant(self, tenant: str | None) -> Self:
        """The same query among the instances of `tenant`; of every tenant for `None`."""
        return self if tenant is None else replace(self, tenant=tenant)


@dataclass(frozen=True, slots=True)
class Order:
    """How found instances are sorted; instants that are equal are sorted by id, in the same direction."""

    by: OrderKey = "created_at"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a sorted list: that of the instance with this id and this value under the order's key."""

    instance_id: UUID
    instant: datetime | None
    """`None` where the list is sorted by id."""


def contains(value: JsonValue, part: JsonValue) -> bool:
    """Whether `part` is contained in `value`, as PostgreSQL's `jsonb @> jsonb` says.

    An object contains another when it has all its keys and contains each one's value; a list, when each item is contained in
    one of its own; other values contain what is equal. Numbers are compared as numbers: `1` is `1.0`, and `true` is no number.
    """
    if isinstance(value, Mapping) and isinstance(part, Mapping):
        return all(key in value and contains(value[key], wanted) for key, wanted in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(contains(item, wanted) for item in value) for wanted in part)
    return isinstance(value, bool) == isinstance(part, bool) and value == part
