"""Rows that come in as arrays, one array for each column, so that one statement serves one row and many.

JSON travels as text that we encode and decode ourselves: what JSON codec the engine has does not matter then.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, FromClause, Table, Text, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine


def incoming(name: str, table: Table, columns: Iterable[str], **more: TypeEngine[Any]) -> FromClause:
    """Rows called `name` with these columns of `table` and `more` that it does not have; see `arrays` for their values."""
    kinds = {column: _carrier(table.c[column]) for column in columns} | more
    binds = [bindparam(f"{name}_{column}", type_=ARRAY(kind)) for column, kind in kinds.items()]
    rows = func.unnest(*binds).table_valued(*(column(name, kind) for name, kind in kinds.items()))
    return rows.render_derived(name=name)


def arrays(name: str, rows: Sequence[Mapping[str, object]], columns: Iterable[str]) -> dict[str, object]:
    """The parameters of `incoming(name, …)`."""
    return {f"{name}_{column}": [row[column] for row in rows] for column in columns}


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
