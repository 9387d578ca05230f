"""Conditions of the smaller lists, by the names of their parameters: a statement has those that a query sets, and no other."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import ARRAY, Column, ColumnElement, Table, Text, any_, bindparam, literal_column

Condition: TypeAlias = Callable[[Table], ColumnElement[bool]]


def fulfilled(table: Table, conditions: Mapping[str, Condition], names: frozenset[str]) -> list[ColumnElement[bool]]:
    """Those of `conditions` that are asked for, in their order, so that the same query is the same text everywhere."""
    return [condition(table) for name, condition in conditions.items() if name in names]


def given(values: Mapping[str, object]) -> dict[str, object]:
    """The parameters that are set."""
    return {name: value for name, value in values.items() if value is not None}


def is_equal(column: str) -> Condition:
    """The column is the parameter `one_COLUMN`: in an update one that is called like a column would be written to it."""
    return lambda table: table.c[column] == bindparam(f"one_{column}", type_=_plain(table.c[column]))


def is_any(column: str, name: str) -> Condition:
    """The column is one of the values of a parameter."""
    return lambda table: table.c[column] == any_(bindparam(name, type_=ARRAY(_plain(table.c[column]))))


def is_set(column: str) -> Condition:
    """The column has a value."""
    return lambda table: table.c[column].is_not(None)


def is_unset(column: str) -> Condition:
    """The column has none."""
    return lambda table: table.c[column].is_(None)


def word(value: str) -> ColumnElement[str]:
    """One of our own words, spelled out: a parameter would prove nothing to the planner about a partial index."""
    return literal_column(f"'{value}'", Text)


def _plain(column: Column[Any]) -> Any:
    return Text() if isinstance(column.type, Text) else column.type
