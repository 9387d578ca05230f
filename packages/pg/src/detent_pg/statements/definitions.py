"""Snapshots of definitions."""

from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Insert, Select, Text, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming, stored


@cache
def save(tables: Tables) -> Insert:
    """Insert the versions that are not stored yet, at their `place` behind those of the workflow that are."""
    definitions = tables.definitions
    columns = [column.name for column in definitions.c]
    rows = incoming("new", definitions, columns)
    before = definitions.alias("before")
    last = select(func.coalesce(func.max(before.c.place), 0)).where(before.c.workflow == rows.c.workflow)
    places = {"place": last.scalar_subquery() + rows.c.place}
    values = select(*(places.get(column.name, stored(rows, column)) for column in definitions.c))
    return insert(definitions).from_select(columns, values).on_conflict_do_nothing()


@cache
def load(tables: Tables) -> Select[Any]:
    """The stored snapshot of one version."""
    definitions = tables.definitions
    return select(*map(fetched, definitions.c)).where(
        definitions.c.workflow == bindparam("workflow", type_=Text),
        definitions.c.version == bindparam("version", type_=Text),
    )


@cache
def load_all(tables: Tables) -> Select[Any]:
    """The stored snapshots of the `wanted` versions."""
    definitions = tables.definitions
    wanted = incoming("wanted", definitions, ("workflow", "version"))
    return select(*map(fetched, definitions.c)).join_from(
        definitions,
        wanted,
        (definitions.c.workflow == wanted.c.workflow) & (definitions.c.version == wanted.c.version),
    )


@cache
def load_of(tables: Tables) -> Select[Any]:
    """All stored snapshots of `workflows`, of all where that is null, by name and in the order they were stored."""
    definitions, workflows = tables.definitions, bindparam("workflows", type_=ARRAY(Text))
    return (
        select(*map(fetched, definitions.c))
        .where(or_(workflows.is_(None), definitions.c.workflow == any_(workflows)))
        # Names as every store sorts them, whatever the database's collation.
        .order_by(definitions.c.workflow.collate("C"), definitions.c.place, definitions.c.created_at)
    )
