"""Reading without a lock: a record with its receipt, a receipt, and history."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Label,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    select,
)

from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming

_KEY = ("tenant", "scope", "key")


@cache
def read(tables: Tables, *, keyed: bool) -> Select[Any]:
    """The committed instance `id` and the database's clock; when `keyed` also the unexpired receipt."""
    instances, receipts = tables.instances, tables.receipts
    statement = select(*map(fetched, instances.c), clock()).where(instances.c.id == bindparam("id", type_=Uuid))
    if not keyed:
        return statement
    return statement.add_columns(*receipt_columns(receipts)).outerjoin_from(instances, receipts, valid(receipts))


@cache
def read_many(tables: Tables) -> Select[Any]:
    """The committed instances `ids`, each with the database's clock."""
    instances = tables.instances
    # Uncounted as in `arrays.incoming`, for one plan; cast, or it would be compared with the rows of the subquery.
    wanted = cast(select(bindparam("ids", type_=ARRAY(Uuid))).scalar_subquery(), ARRAY(Uuid))
    return select(*map(fetched, instances.c), clock()).where(instances.c.id == any_(wanted))


@cache
def read_keyed(tables: Tables) -> Select[Any]:
    """For each of `asked`, by its `place`: the committed instance, the clock, and the receipt under its key that has not expired
    at its `now`; that of a null key, and of an instance that is not there, is none.
    """
    instances, receipts = tables.instances, tables.receipts
    asked = _asked(receipts, ("instance_id", *_KEY))
    return (
        select(asked.c.place, *map(fetched, instances.c), clock(), *receipt_columns(receipts))
        .join_from(asked, instances, instances.c.id == asked.c.instance_id)
        .outerjoin(receipts, _valid_of(receipts, asked))
    )


@cache
def receipt(tables: Tables) -> Select[Any]:
    """The unexpired receipt under a key."""
    return select(*receipt_columns(tables.receipts)).where(valid(tables.receipts))


@cache
def existing(tables: Tables) -> Select[Any]:
    """The unexpired receipt under a key together with the instance it names."""
    instances, receipts = tables.instances, tables.receipts
    return (
        select(*map(fetched, instances.c), *receipt_columns(receipts))
        .join_from(receipts, instances, instances.c.id == receipts.c.instance_id)
        .where(valid(receipts))
    )


@cache
def existing_many(tables: Tables) -> Select[Any]:
    """The same for each of `asked`, by its `place`, at its own `now`."""
    instances, receipts = tables.instances, tables.receipts
    asked = _asked(receipts, _KEY)
    return (
        select(asked.c.place, *map(fetched, instances.c), *receipt_columns(receipts))
        .join_from(asked, receipts, _valid_of(receipts, asked))
        .join(instances, instances.c.id == receipts.c.instance_id)
    )


@cache
def history(tables: Tables) -> Select[Any]:
    """Up to `limit` entries of an instance below `before`, the newest first."""
    entries = tables.history
    return (
        select(*map(fetched, entries.c))
        .where(
            entries.c.instance_id == bindparam("id", type_=Uuid),
            entries.c.sequence < bindparam("before", type_=Integer),
        )
        .order_by(entries.c.sequence.desc())
        .limit(bindparam("limit", type_=Integer))
    )


@cache
def applied(tables: Tables) -> Select[Any]:
    """Whether entry `sequence` of an instance was written by this transition."""
    entries = tables.history
    return select(
        exists().where(
            entries.c.instance_id == bindparam("id", type_=Uuid),
            entries.c.sequence == bindparam("sequence", type_=Integer),
            entries.c.transition_id == bindparam("transition_id", type_=Uuid),
        )
    )


def clock() -> Label[Any]:
    """The database's clock at this very moment; `now()` would be the start of the transaction."""
    return func.clock_timestamp(type_=DateTime(timezone=True)).label("clock")


def instant() -> ColumnElement[Any]:
    """The `now` that was given, else the database's clock; a scalar subquery, evaluated once, so that indexes serve."""
    given = bindparam("now", type_=DateTime(timezone=True))
    return select(func.coalesce(given, func.clock_timestamp(type_=DateTime(timezone=True)))).scalar_subquery()


def receipt_columns(receipts: Table) -> list[Label[Any]]:
    """The columns of a receipt, apart from the instance's by their names."""
    return [fetched(column).label(f"receipt_{column.name}") for column in receipts.c]


def valid(receipts: Table) -> ColumnElement[bool]:
    """The receipt under the key, unless it has expired."""
    return and_(
        receipts.c.tenant == bindparam("tenant", type_=Text),
        receipts.c.scope == bindparam("scope", type_=Text),
        receipts.c.key == bindparam("key", type_=Text),
        receipts.c.expires_at > instant(),
    )


def _asked(receipts: Table, named: Sequence[str]) -> FromClause:
    return incoming("asked", receipts, named, place=Integer(), now=DateTime(timezone=True))


def _valid_of(receipts: Table, asked: FromClause) -> ColumnElement[bool]:
    """`valid` for each of `asked`."""
    now = func.coalesce(asked.c.now, func.clock_timestamp(type_=DateTime(timezone=True)))
    return and_(*(receipts.c[name] == asked.c[name] for name in _KEY), receipts.c.expires_at > now)
