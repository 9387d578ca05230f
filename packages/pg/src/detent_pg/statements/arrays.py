"""Rows that come in as arrays, one array for each column, so that one statement serves one row and many.

JSON travels as text that we encode and decode ourselves: what JSON codec the engine has does not matter then.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, FromClause, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine


def incoming(
    name: str, table: Table, columns: Iterable[str], *, one: bool = False, **more: TypeEngine[Any]
) -> FromClause:
    """Rows called `name` with these columns of `table` and `more` that it does not have; see `arrays` for their values.

    With `one` a single row, whose values come as they are: taking arrays apart is a quarter of what writing one row costs.
    """
    kinds = {column: _carrier(table.c[column]) for column in columns} | more
    if one:
        return select(
            *(bindparam(f"{name}_{column}", type_=kind).label(column) for column, kind in kinds.items())
        ).subquery(name)
    first, *others = (bindparam(f"{name}_{column}", type_=ARRAY(kind)) for column, kind in kinds.items())
    # Behind a subquery the planner does not count the elements. So it expects the same of one row and of many, and keeps one
    # plan, where it would make a new one at every execution because a single row promises to be cheaper.
    listed = func.unnest(select(first).scalar_subquery(), *others)
    rows = listed.table_valued(*(column(name, kind) for name, kind in kinds.items()))
    return rows.render_derived(name=name)


def arrays(name: str, rows: Sequence[Mapping[str, object]], columns: Iterable[str]) -> dict[str, object]:
    """The parameters of `incoming(name, …)`."""
    return {f"{name}_{column}": [row[column] for row in rows] for column in columns}


def columns(
    name: str, names: Sequence[str], rows: Sequence[Sequence[object]], *, one: bool = False
) -> dict[str, object]:
    """The same for rows that are tuples of values, in the order of `names`, the first of them never null; or for the one row."""
    if one:
        return {f"{name}_{column}": value for column, value in zip(names, rows[0], strict=True)}
    values = zip(*rows, strict=True) if rows else repeat((), len(names))
    return {f"{name}_{column}": _array(given) for column, given in zip(names, values, strict=True)}


def _array(values: tuple[object, ...]) -> Sequence[object]:
    # Shorter arrays are filled up with nulls, and every element costs something to send.
    return () if values.count(None) == len(values) else values


def stored(rows: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """The column of `rows` as the type of the column it goes to."""
    carried = rows.c[target.name]
    return cast(carried, target.type) if isinstance(target.type, JSON) else carried


def fetched(source: KeyedColumnElement[Any]) -> ColumnElement[Any]:
    """The column as we read it: JSON as text."""
    return cast(source, Text).label(source.key) if isinstance(source.type, JSON) else source


def _carrier(target: Column[Any]) -> TypeEngine[Any]:
    # Without the collation, which belongs to the column and not to the array.
    return Text() if isinstance(target.type, JSON | Text) else target.type
