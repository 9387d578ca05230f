"""The verbs that look for instances: by what they are, page by page, or only how many."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeAlias, TypedDict, Unpack, get_args
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonObject, json_object
from detent.problems import did_you_mean
from detent.runtime.arguments import check_instant, check_limit, id_of
from detent.runtime.cursor import cursor_after, position_of
from detent.runtime.verbs import Verbs
from detent.store.query import GroupKey, InstanceQuery, Order, OrderKey, Span
from detent.store.records import Status, WorkflowInstance

Names: TypeAlias = str | Iterable[str]
"""One name or several."""
Period: TypeAlias = Span | tuple[datetime | None, datetime | None]
"""At or after the first instant and before the second; `None` leaves an end open."""


class Where(TypedDict, total=False):
    """Which instances are meant; all conditions hold."""

    ids: Iterable[UUID | str | WorkflowInstance]
    workflow: Names
    version: Names
    """Of the definition."""
    states: Names
    exclude_states: Names
    status: Names
    """`active`, `paused`, `completed`, `failed`, `cancelled`."""
    metadata: JsonObject
    """What the labels contain: every key with its value, objects in objects, items in lists."""
    context: JsonObject
    """The same of the context. No index serves it by itself."""
    created: Period
    updated: Period
    finished: Period
    due: Period
    """When the next timeout fires."""
    parked: bool
    """Whether a timeout waits for an operator."""
    parent: UUID | str | WorkflowInstance
    tenant: str


@dataclass(frozen=True, slots=True)
class InstancePage:
    """Some of the instances that were found, in order."""

    instances: tuple[WorkflowInstance, ...]
    cursor: str | None
    """Where the next page begins; `None` when this is the last."""

    def __iter__(self) -> Iterator[WorkflowInstance]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)


class FindingVerbs(Verbs):
    """Find and count instances; what a caller that is bound to a tenant cannot see is not there."""

    async def find_instances(
        self,
        *,
        order: str = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
        connection: object | None = None,
        **where: Unpack[Where],
    ) -> InstancePage:
        """Up to `limit` (1 to 1000) instances, the newest first, and the `cursor` of the page after.

        `order` is `id`, `created_at`, `updated_at`, `entered_at`, `due_at`, `finished_at` or `parked_at`, with a `-` for the
        latest first; sorted by one of the last three, instances without such an instant are left out. See `Where` for the
        conditions. Raises `InvalidValue`.
        """
        query, sorting = self.query(**where), order_of(order)
        check_limit(limit)
        found = await self.running().parts.store.find(
            query,
            order=sorting,
            limit=limit + 1,
            after=position_of(cursor, sorting),
            outside=self._caller.saying(None, connection=connection).connection,
        )
        shown = tuple(found[:limit])
        return InstancePage(shown, cursor_after(shown[-1], sorting) if len(found) > limit else None)

    async def count_instances(
        self,
        *,
        group_by: GroupKey | Iterable[GroupKey] = (),
        connection: object | None = None,
        **where: Unpack[Where],
    ) -> Mapping[Any, int]:
        """How many instances there are, by `workflow`, `definition_version`, `state`, `status` or `tenant`.

        Grouped by one name the keys are texts, by several they are tuples of texts, and by none there is one key, `()`:
        `(await count_instances(workflow="order"))[()]`. Raises `InvalidValue`.
        """
        keys = (group_by,) if isinstance(group_by, str) else tuple(group_by)
        for key in keys:
            _check_one_of(key, get_args(GroupKey), "group_by")
        lent = self._caller.saying(None, connection=connection).connection
        counted = await self.running().parts.store.count(self.query(**where), group_by=keys, outside=lent)
        return {key[0]: count for key, count in counted.items()} if isinstance(group_by, str) else counted

    async def find_parked(self, *, limit: int = 50, cursor: str | None = None, **where: Unpack[Where]) -> InstancePage:
        """Instances with a timeout that waits for an operator, the longest waiting first; its `reason` says why."""
        parked = where.copy()
        parked["parked"] = True
        return await self.find_instances(order="parked_at", limit=limit, cursor=cursor, **parked)

    def query(self, **where: Unpack[Where]) -> InstanceQuery:
        """The conditions as one value, among what this caller may see. Raises `InvalidValue`."""
        for name in where:
            _check_one_of(name, Where.__annotations__, "condition")
        return query_of(where).of_tenant(self._tenant_meant(where.get("tenant")))

    def _tenant_meant(self, tenant: str | None) -> str | None:
        return self.tenant if tenant is None else self._caller.bound_to(tenant).tenant


def query_of(where: Where) -> InstanceQuery:
    """The conditions as a store takes them. Raises `InvalidValue`."""
    ids, parent = where.get("ids"), where.get("parent")
    return InstanceQuery(
        ids=None if ids is None else tuple(id_of(one, "ids") for one in ids),
        workflows=names_of(where.get("workflow"), "workflow"),
        versions=names_of(where.get("version"), "version"),
        states=names_of(where.get("states"), "states"),
        exclude_states=names_of(where.get("exclude_states"), "exclude_states") or (),
        statuses=_statuses(where.get("status")),
        metadata=json_object(where.get("metadata"), "metadata"),
        context=json_object(where.get("context"), "context"),
        created=_span(where.get("created"), "created"),
        updated=_span(where.get("updated"), "updated"),
        finished=_span(where.get("finished"), "finished"),
        due=_span(where.get("due"), "due"),
        parked=where.get("parked"),
        parent_id=None if parent is None else id_of(parent, "parent"),
    )


def order_of(text: str) -> Order:
    """The order that `text` names. Raises `InvalidValue`."""
    if not isinstance(text, str):
        raise InvalidValue("order", "must be a text such as -created_at")
    key: Any = text.removeprefix("-")
    _check_one_of(key, get_args(OrderKey), "order")
    return Order(key, descending=text.startswith("-"))


def names_of(given: object, path: str) -> tuple[str, ...] | None:
    """The names that are meant: one, several, or `None` for any. Raises `InvalidValue`."""
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(name, str) and "\0" not in name for name in names):
        raise InvalidValue(path, "must be a text or a list of texts")
    return names


def _statuses(given: Names | None) -> tuple[Status, ...] | None:
    names = names_of(given, "status")
    for name in names or ():
        _check_one_of(name, [status.value for status in Status], "status")
    return None if names is None else tuple(Status(name) for name in names)


def _span(given: object, path: str) -> Span | None:
    if given is None:
        return None
    ends = (given.since, given.until) if isinstance(given, Span) else given
    if not isinstance(ends, tuple | list) or len(ends) != len(fields(Span)):
        raise InvalidValue(path, "must be a pair of instants, of which one may be None")
    return Span(check_instant(ends[0], path), check_instant(ends[1], path))


def _check_one_of(name: object, known: Iterable[str], path: str) -> None:
    listed = list(known)
    if name not in listed:
        raise InvalidValue(path, f"is {name!r}, which is none of those there are", hint=did_you_mean(str(name), listed))
