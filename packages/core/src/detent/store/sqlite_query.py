"""Finding and counting on SQLite: a query as a statement that is put together from fixed parts, with every value bound."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TypeAlias, get_args

from pydantic_core import from_json

from detent.json_values import JsonObject
from detent.store.query import GroupKey, InstanceQuery, Order, OrderKey, Position, Span, contains
from detent.store.records import WorkflowInstance
from detent.store.sqlite_records import INSTANCE_COLUMNS, to_instance
from detent.store.sqlite_values import instant_text, json_text, list_text

_Values: TypeAlias = dict[str, str | int | None]
"""What is bound, by name."""

_CONDITIONS = {
    "ids": "id IN (SELECT value FROM json_each(:ids))",
    "workflows": "workflow IN (SELECT value FROM json_each(:workflows))",
    "versions": "definition_version IN (SELECT value FROM json_each(:versions))",
    "states": "state IN (SELECT value FROM json_each(:states))",
    "exclude_states": "state NOT IN (SELECT value FROM json_each(:exclude_states))",
    "statuses": "status IN (SELECT value FROM json_each(:statuses))",
    "created_since": "created_at >= :created_since",
    "created_until": "created_at < :created_until",
    "updated_since": "updated_at >= :updated_since",
    "updated_until": "updated_at < :updated_until",
    "finished": "finished_at IS NOT NULL",
    "finished_since": "finished_at >= :finished_since",
    "finished_until": "finished_at < :finished_until",
    "due": "due_at IS NOT NULL",
    "due_since": "due_at >= :due_since",
    "due_until": "due_at < :due_until",
    "parked": "parked_at IS NOT NULL",
    "not_parked": "parked_at IS NULL",
    "busy": "run_id IS NOT NULL",
    "not_busy": "run_id IS NULL",
    "parent_id": "parent_id = :parent_id",
    "tenant": "tenant = :tenant",
    # These go last: each row is asked in Python.
    "metadata": "detent_contains(metadata, :metadata)",
    "context": "detent_contains(context, :context)",
}
"""The conditions of a query by the names of the values that they need."""

# Columns come from here, so that nothing else can get into a statement.
_ORDER_COLUMNS: Mapping[OrderKey, str] = {key: key for key in get_args(OrderKey)}
_GROUP_COLUMNS: Mapping[GroupKey, str] = {key: key for key in get_args(GroupKey)}


def teach_containment(connection: sqlite3.Connection) -> None:
    """Let statements of this connection ask for what JSON contains."""
    connection.create_function("detent_contains", 2, _contains, deterministic=True)


def find_instances(
    connection: sqlite3.Connection, query: InstanceQuery, order: Order, limit: int, after: Position | None
) -> list[WorkflowInstance]:
    """Up to `limit` records that `query` asks for, in this order and behind `after`."""
    values = _values(query)
    column = _ORDER_COLUMNS[order.by]
    conditions = [f"{column} IS NOT NULL", *_conditions(values)]
    if after is not None:
        conditions.append(_behind(column, order))
        values["after_id"] = str(after.instance_id)
        values["after_instant"] = None if after.instant is None else instant_text(after.instant)
    direction = "DESC" if order.descending else "ASC"
    # Parts of the statement are fixed above; values are bound.
    statement = f"""
        SELECT {INSTANCE_COLUMNS} FROM detent_instances
        WHERE {" AND ".join(conditions)}
        ORDER BY {column} {direction}, id {direction}
        LIMIT :limit
    """  # noqa: S608
    return [to_instance(row) for row in connection.execute(statement, {**values, "limit": limit})]


def count_instances(
    connection: sqlite3.Connection, query: InstanceQuery, group_by: Sequence[GroupKey]
) -> dict[tuple[str, ...], int]:
    """How many records `query` asks for, by the values under `group_by`; without it, under the empty tuple."""
    values = _values(query)
    columns = [_GROUP_COLUMNS[key] for key in group_by]
    grouping = f"GROUP BY {', '.join(columns)}" if columns else ""
    # Parts of the statement are fixed above; values are bound.
    statement = f"""
        SELECT {", ".join([*columns, "count(*)"])} FROM detent_instances
        WHERE {" AND ".join(["TRUE", *_conditions(values)])}
        {grouping}
    """  # noqa: S608
    return {tuple(group): number for *group, number in connection.execute(statement, values)}


def _conditions(values: _Values) -> list[str]:
    return [condition for name, condition in _CONDITIONS.items() if name in values]


def _behind(column: str, order: Order) -> str:
    than = "<" if order.descending else ">"
    return f"id {than} :after_id" if order.by == "id" else f"({column}, id) {than} (:after_instant, :after_id)"


def _values(query: InstanceQuery) -> _Values:
    values: _Values = {
        "ids": list_text(query.ids),
        "workflows": list_text(query.workflows),
        "versions": list_text(query.versions),
        "states": list_text(query.states),
        "exclude_states": list_text(query.exclude_states or None),
        "statuses": list_text(query.statuses),
        **_span("created", query.created),
        **_span("updated", query.updated),
        **_span("finished", query.finished),
        **_span("due", query.due),
        "parked": query.parked or None,
        "not_parked": True if query.parked is False else None,
        "busy": query.busy or None,
        "not_busy": True if query.busy is False else None,
        "parent_id": None if query.parent_id is None else str(query.parent_id),
        "tenant": query.tenant,
        "metadata": _part(query.metadata),
        "context": _part(query.context),
    }
    return {name: value for name, value in values.items() if value is not None}


def _span(name: str, span: Span | None) -> _Values:
    if span is None:
        return {}
    return {
        name: True,
        f"{name}_since": None if span.since is None else instant_text(span.since),
        f"{name}_until": None if span.until is None else instant_text(span.until),
    }


def _part(part: JsonObject) -> str | None:
    return json_text(part) if part else None


def _contains(document: str, part: str) -> bool:
    return contains(from_json(document), from_json(part))
