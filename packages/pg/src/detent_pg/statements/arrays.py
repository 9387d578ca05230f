"""Rows that come in as arrays, one array for each column, so that one statement serves one row and many.

JSON travels as text that we encode and decode ourselves: what JSON codec the engine has does not matter then.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, FromClause, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import TypeEngine


def incoming(
    name: str,
    table: FromClause,
    columns: Iterable[str],
    *,
    shares: bool = False,
    one: bool = False,
    **more: TypeEngine[Any],
) -> FromClause:
    """Rows called `name` with these columns of `table` and `more` that it does not have; see `arrays` for their values.

    Where the rows of a batch have much in common, with `shares`, a value that all of them have comes once: every element of an
    array costs something to send. With `one` a single row, whose values come as they are: taking arrays apart is a quarter of
    what writing one row costs.
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
    rows = listed.table_valued(*(column(name, kind) for name, kind in kinds.items())).render_derived(name=name)
    if not shares:
        return rows
    # The first column says how many rows there are.
    leading, *following = rows.c
    return select(leading, *(_or_shared(name, each) for each in following)).subquery(name)


def _or_shared(name: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(value, bindparam(_shared(name, value.key), type_=value.type)).label(value.key)


def _shared(name: str, column: str | None) -> str:
    return f"{name}_{column}_of_all"


def arrays(name: str, rows: Sequence[Mapping[str, object]], columns: Iterable[str]) -> dict[str, object]:
    """The parameters of `incoming(name, …)`."""
    return {f"{name}_{column}": [row[column] for row in rows] for column in columns}


def columns(
    name: str,
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    shares: bool = False,
    one: bool = False,
) -> dict[str, object]:
    """The same for rows that are tuples of values, in the order of `names`, the first of them never null; or for the one row."""
    if one:
        return {f"{name}_{column}": value for column, value in zip(names, rows[0], strict=True)}
    values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    parameters: dict[str, object] = {f"{name}_{names[0]}": values[0]}
    for each, found in zip(names[1:], values[1:], strict=True):
        # Shorter arrays are filled up with nulls.
        same = _is_same(found)
        parameters[f"{name}_{each}"] = () if same and (shares or found[0] is None) else found
        if shares:
            parameters[_shared(name, each)] = found[0] if same else None
    return parameters


def _is_same(values: tuple[object, ...]) -> bool:
    # The last is asked first: where values differ, it most often does too.
    return bool(values) and values[-1] == values[0] and values.count(values[0]) == len(values)


def stored(rows: FromClause, target: Column[Any]) -> ColumnElement[Any]:
    """The column of `rows` as the type of the column it goes to."""
    carried = rows.c[target.name]
    return cast(carried, target.type) if isinstance(target.type, JSON) else carried


def fetched(source: KeyedColumnElement[Any]) -> ColumnElement[Any]:
    """The column as we read it: JSON as text."""
    return cast(source, Text).label(source.key) if isinstance(source.type, JSON) else source


def _carrier(target: ColumnElement[Any]) -> TypeEngine[Any]:
    # Without the collation, which belongs to the column and not to the array.
    return Text() if isinstance(target.type, JSON | Text) else target.type
