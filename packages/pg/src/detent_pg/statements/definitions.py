"""Snapshots of definitions."""

from functools import cache
from typing import Any

from sqlalchemy import Insert, Select, Text, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming, stored


@cache
def save(tables: Tables) -> Insert:
    """Insert the versions that are not stored yet."""
    definitions = tables.definitions
    columns = [column.name for column in definitions.c]
    rows = incoming("new", definitions, columns)
    values = select(*(stored(rows, column) for column in definitions.c))
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
