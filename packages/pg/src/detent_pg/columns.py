"""The kinds of columns that our tables are made of."""

from collections.abc import Iterable

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Identity, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB


def moment(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    """An instant."""
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def json(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    """JSON in which the order of keys means nothing."""
    return Column(name, JSONB(none_as_null=True), nullable=nullable, comment=comment)


def text(name: str, comment: str, *, nullable: bool = False) -> Column[str]:
    """Text of any length."""
    return Column(name, Text, nullable=nullable, comment=comment)


def exact(name: str, comment: str) -> Column[str]:
    """Text of a primary key that is compared byte by byte, whatever the database's collation finds equal."""
    return Column(name, Text(collation="C"), primary_key=True, comment=comment)


def number(comment: str) -> Column[int]:
    """The primary key of a table whose rows are numbered as they come."""
    return Column("number", BigInteger, Identity(), primary_key=True, comment=comment)


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """That a column holds one of a closed set of words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def owner(metadata: MetaData, prefix: str, comment: str, *, primary_key: bool = False) -> Column[object]:
    """The instance that a row belongs to, and goes with."""
    place = f"{metadata.schema}." if metadata.schema else ""
    target = ForeignKey(f"{place}{prefix}instances.id", ondelete="CASCADE")
    return Column("instance_id", Uuid, target, primary_key=primary_key, nullable=False, comment=comment)
