"""Looking for instances.

The text of a statement depends on which conditions a query has and never on their values, so that connections prepare few of
them. What an index is partial to is said once more in words of the statement: a parameter proves nothing to the planner.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    all_,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB

from detent.store.query import GroupKey, InstanceQuery, Order, Position, Span
from detent_pg.rows import encode
from detent_pg.schema import LIVE, Tables
from detent_pg.statements.arrays import fetched

Condition: TypeAlias = Callable[[Table], ColumnElement[bool]]

_KEPT = 512
"""How many statements are kept; applications ask in a few dozen ways."""


def asked(query: InstanceQuery) -> dict[str, object]:
    """The parameters of `find` and `count` for `query`, under the names of its conditions."""
    values = {
        "ids": _listed(query.ids),
        **_one_or_many("workflow", query.workflows),
        **_one_or_many("definition_version", query.versions),
        "states": _listed(query.states),
        "exclude_states": list(query.exclude_states) or None,
        "statuses": None if query.statuses is None else [status.value for status in query.statuses],
        "live": True if query.statuses and set(query.statuses) <= set(LIVE) else None,
        "metadata": encode(query.metadata) if query.metadata else None,
        "context": encode(query.context) if query.context else None,
        **_bounds("created_at", query.created),
        **_bounds("updated_at", query.updated),
        **_bounds("finished_at", query.finished),
        **_bounds("due_at", query.due),
        "parked": query.parked or None,
        "not_parked": True if query.parked is False else None,
        "busy": query.busy or None,
        "not_busy": True if query.busy is False else None,
        "parent_id": query.parent_id,
        "tenant": query.tenant,
        "of_a_tenant": True if query.tenant else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def behind(position: Position | None) -> dict[str, object]:
    """The parameters of `find` for a page that is not the first."""
    return {} if position is None else {"after_id": position.instance_id, "after_instant": position.instant}


@lru_cache(_KEPT)
def find(tables: Tables, conditions: frozenset[str], order: Order, *, paged: bool) -> Select[Any]:
    """Up to `limit` instances that fulfil the `conditions`, sorted; when `paged`, those behind a place.

    JSON is turned into text only once the page is found, or it would be done for all that is sorted.
    """
    instances = tables.instances
    page = _fulfilling(select(*instances.c), instances, conditions)
    by = instances.c[order.by]
    if by.nullable:
        page = page.where(by.is_not(None))
    if paged:
        page = page.where(_is_behind(instances, order))
    found = _sorted(page, instances.c, order).limit(bindparam("limit", type_=Integer)).subquery("found")
    return _sorted(select(*(fetched(found.c[column.name]) for column in instances.c)), found.c, order)


@lru_cache(_KEPT)
def count(tables: Tables, conditions: frozenset[str], group_by: tuple[GroupKey, ...]) -> Select[Any]:
    """How many instances fulfil the `conditions`, in the last column, after the values under `group_by`."""
    instances = tables.instances
    groups = [instances.c[key] for key in group_by]
    return _fulfilling(select(*groups, func.count()), instances, conditions).group_by(*groups)


def _fulfilling(statement: Select[Any], instances: Table, conditions: frozenset[str]) -> Select[Any]:
    # In the order of the mapping, so that the same conditions are the same text in every process.
    wanted = [condition(instances) for name, condition in _CONDITIONS.items() if name in conditions]
    return statement.select_from(instances).where(*wanted)


def _sorted(statement: Select[Any], columns: Any, order: Order) -> Select[Any]:
    keys = [columns.id] if order.by == "id" else [columns[order.by], columns.id]
    return statement.order_by(*(key.desc() if order.descending else key for key in keys))


def _is_behind(instances: Table, order: Order) -> ColumnElement[bool]:
    here: ColumnElement[Any] = instances.c.id
    there: ColumnElement[Any] = bindparam("after_id", type_=Uuid)
    if order.by != "id":
        here = tuple_(instances.c[order.by], here)
        there = tuple_(bindparam("after_instant", type_=DateTime(timezone=True)), there)
    return here < there if order.descending else here > there


def _listed(values: tuple[object, ...] | None) -> list[object] | None:
    return None if values is None else list(values)


def _one_or_many(column: str, values: tuple[str, ...] | None) -> dict[str, object]:
    """A single value is a condition of its own: only with that can an index tell the order."""
    if values is None:
        return {}
    return {column: values[0]} if len(values) == 1 else {f"{column}s": list(values)}


def _bounds(column: str, span: Span | None) -> dict[str, object]:
    if span is None:
        return {}
    # One without ends still leaves out what has no such instant.
    is_set = True if column in _OPTIONAL else None
    return {f"{column}_since": span.since, f"{column}_until": span.until, f"{column}_set": is_set}


def _contains(column: str) -> Condition:
    return lambda row: row.c[column].contains(cast(bindparam(column, type_=Text), JSONB))


def _is(column: str) -> Condition:
    return lambda row: row.c[column] == bindparam(column, type_=_plain(row.c[column]))


def _is_any(column: str, name: str) -> Condition:
    return lambda row: row.c[column] == any_(_array(row.c[column], name))


def _is_none(column: str, name: str) -> Condition:
    return lambda row: row.c[column] != all_(_array(row.c[column], name))


def _since(column: str) -> Condition:
    return lambda row: row.c[column] >= bindparam(f"{column}_since", type_=_plain(row.c[column]))


def _until(column: str) -> Condition:
    return lambda row: row.c[column] < bindparam(f"{column}_until", type_=_plain(row.c[column]))


def _set(column: str) -> Condition:
    return lambda row: row.c[column].is_not(None)


def _array(column: Column[Any], name: str) -> BindParameter[Any]:
    return bindparam(name, type_=ARRAY(_plain(column)))


def _plain(column: Column[Any]) -> Any:
    return column.type


_OPTIONAL = ("finished_at", "due_at")
_SPANS = ("created_at", "updated_at", *_OPTIONAL)
_CONDITIONS: Mapping[str, Condition] = {
    "ids": _is_any("id", "ids"),
    "workflow": _is("workflow"),
    "workflows": _is_any("workflow", "workflows"),
    "definition_version": _is("definition_version"),
    "definition_versions": _is_any("definition_version", "definition_versions"),
    "states": _is_any("state", "states"),
    "exclude_states": _is_none("state", "exclude_states"),
    "statuses": _is_any("status", "statuses"),
    "live": lambda row: row.c.status.in_([literal_column(f"'{status}'") for status in LIVE]),
    "metadata": _contains("metadata"),
    "context": _contains("context"),
    **{f"{column}_since": _since(column) for column in _SPANS},
    **{f"{column}_until": _until(column) for column in _SPANS},
    **{f"{column}_set": _set(column) for column in _OPTIONAL},
    "parked": _set("parked_at"),
    "not_parked": lambda row: row.c.parked_at.is_(None),
    "busy": _set("run_id"),
    "not_busy": lambda row: row.c.run_id.is_(None),
    "parent_id": _is("parent_id"),
    "tenant": _is("tenant"),
    "of_a_tenant": lambda row: row.c.tenant != literal_column("''"),
}
"""What an instance must fulfil, by the names that `asked` gives the values."""
