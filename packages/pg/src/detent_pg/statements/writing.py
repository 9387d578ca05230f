"""Writing: each statement takes arrays and writes one change or many, every part of a change or none of it."""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    Update,
    Uuid,
    any_,
    bindparam,
    case,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from detent.store.change import Publish, PutReceipt
from detent_pg.rows import UPDATED
from detent_pg.schema import Tables
from detent_pg.statements.arrays import incoming, stored
from detent_pg.statements.effects import Kinds, beside
from detent_pg.statements.limits import are_set, lent_limits, limits

_NONE: Kinds = frozenset()


class Rows(Enum):
    """Where the rows stand that a statement is about to write."""

    HELD = "held"
    """This transaction has locked them: nothing waits."""
    AWAITED = "awaited"
    """Others may hold them, which is waited for, so that the wait is bounded."""
    PASSED_OVER = "passed over"
    """Others may hold them, and keep them: those are left out, so that one slow step does not hold up all that is written with
    its row.
    """


@cache
def write(tables: Tables, rows: Rows, *, kinds: Kinds = _NONE, one: bool = False) -> Select[Any]:
    """Update each of `changed` that still has its `expected` version, and answer their ids.

    `entries` and effects of `kinds` are written for the instances that were updated. An unexpired receipt in the way fails the
    statement, and so does a lease that is lost. With `one` there is one row of `changed` and one of `entries`.
    """
    instances = tables.instances
    changed: FromClause = _changed(tables, UPDATED, one=one)
    if rows is Rows.PASSED_OVER:
        locked = _locked(tables, changed, changed.c, skip_locked=True)
        changed = locked.cte("free").prefix_with("MATERIALIZED")
    statement = update(instances).where(instances.c.id == changed.c.id, instances.c.version == changed.c.expected)
    if _waits(rows, kinds):
        statement = statement.where(are_set(limits()))
    values = {name: stored(changed, instances.c[name]) for name in UPDATED}
    updated = statement.values(values).returning(instances.c.id).cte("updated")
    return _with_effects(select(updated.c.id).add_cte(_entries(tables, updated, one=one)), tables, updated, kinds)


@cache
def put(tables: Tables, rows: Rows, *, kinds: Kinds = _NONE) -> Select[Any]:
    """Write effects of `kinds` of those of `changed` that still have their `expected` version; answer their ids.

    The rows of the instances are held rather than updated, and stay as they are.
    """
    statement = _locked(tables, _changed(tables, ()), [tables.instances.c.id], skip_locked=rows is Rows.PASSED_OVER)
    if _waits(rows, kinds):
        statement = statement.where(are_set(limits()))
    held = statement.cte("held").prefix_with("MATERIALIZED")
    return _with_effects(select(held.c.id), tables, held, kinds)


@cache
def create(tables: Tables, *, lent: bool, kinds: Kinds = _NONE, one: bool = False) -> Select[Any]:
    """Insert each of `created` whose keys are free or expired, and answer their ids; null where that is none, when `lent`.

    `asked` says how many receipts come with an instance. They are put first, and the instance follows only if it won
    all of them; a creation under way with the same key is waited for. A lent transaction gets its lock timeout back. `one` as
    in `write`.
    """
    instances = tables.instances
    columns = [column.name for column in instances.c]
    new = incoming("created", instances, columns, shares=True, one=one, asked=Integer())
    values = select(*(stored(new, column) for column in instances.c))
    bounds = lent_limits() if lent else limits()
    if PutReceipt in kinds:
        values = values.where(new.c.asked == _number_won(tables, new, bounds))
    created = insert(instances).from_select(columns, _bounded(values, bounds)).returning(instances.c.id).cte("inserted")
    statement = select(created.c.id).add_cte(_entries(tables, created, one=one))
    statement = _with_effects(statement, tables, created, kinds - {PutReceipt})
    if not lent:
        return statement
    # The row of `bounds` comes out in any case, and it comes last: nothing is left to wait for when the old value is put back.
    restored = func.set_config("lock_timeout", bounds.c.before, True)
    return statement.add_columns(restored).select_from(bounds.outerjoin(created, true()))


@cache
def disarm(tables: Tables) -> Update:
    """Take the deadline away from the instances `ids`."""
    instances = tables.instances
    return update(instances).where(instances.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))).values(due_at=null())


def _changed(tables: Tables, columns: Sequence[str], *, one: bool = False) -> FromClause:
    return incoming("changed", tables.instances, ("id", *columns), shares=True, one=one, expected=Integer())


def _locked(
    tables: Tables, changed: FromClause, columns: Iterable[ColumnElement[Any]], *, skip_locked: bool
) -> Select[Any]:
    """Lock the rows, in the order of their ids: statements that lock the same ones do not wait for each other in a circle."""
    instances = tables.instances
    return (
        select(*columns)
        .join_from(instances, changed, instances.c.id == changed.c.id)
        .where(instances.c.version == changed.c.expected)
        .order_by(instances.c.id)
        .with_for_update(of=instances, key_share=True, skip_locked=skip_locked)
    )


def _waits(rows: Rows, kinds: Kinds) -> bool:
    """Whether the statement may come to wait for a row. That of an effect may be anybody's, such as the receiver of a message."""
    return rows is Rows.AWAITED or (rows is Rows.PASSED_OVER and bool(kinds - {PutReceipt, Publish}))


def _with_effects(statement: Select[Any], tables: Tables, written: CTE, kinds: Kinds) -> Select[Any]:
    """The statement as it is for no `kinds`: steps without effects are the hot path."""
    if not kinds:
        return statement
    if PutReceipt in kinds:
        statement = statement.add_cte(_receipts(tables, written))
    effects = beside(tables, written, kinds)
    statement = statement.add_cte(*effects.parts)
    return statement if effects.guard is None else statement.add_columns(effects.guard)


def _entries(tables: Tables, written: CTE, *, one: bool) -> CTE:
    history = tables.history
    columns = [column.name for column in history.c]
    rows = incoming("entries", history, columns, shares=True, one=one)
    values = select(*(stored(rows, column) for column in history.c)).join_from(
        rows, written, written.c.id == rows.c.instance_id
    )
    return insert(history).from_select(columns, values).cte("appended")


def _receipts(tables: Tables, held: CTE) -> CTE:
    """Receipts of instances whose rows are held, by their update or for it.

    A step looks its key up before it writes, so that an unexpired one in the way means that somebody else wrote it
    meanwhile. PostgreSQL has no ON CONFLICT … FAIL; a null where none may be undoes the whole statement.
    """
    receipts = tables.receipts
    columns = [column.name for column in receipts.c]
    rows = incoming("receipts", receipts, columns)
    values = select(*(stored(rows, column) for column in receipts.c)).join_from(
        rows, held, held.c.id == rows.c.instance_id
    )
    statement = insert(receipts).from_select(columns, values)
    new = statement.excluded
    expired = receipts.c.expires_at <= new.created_at
    return statement.on_conflict_do_update(
        index_elements=["tenant", "scope", "key"],
        set_={
            "instance_id": case((expired, new.instance_id)),
            **{name: new[name] for name in ("fingerprint", "answer", "created_at", "expires_at")},
        },
    ).cte("put")


def _number_won(tables: Tables, new: FromClause, bounds: CTE) -> ScalarSelect[int]:
    """How many receipts of a creation found their key free."""
    won = _put(tables, bounds)
    return select(func.count()).select_from(won).where(won.c.instance_id == new.c.id).scalar_subquery()


def _put(tables: Tables, bounds: CTE) -> CTE:
    """Receipts of creations: the keys that were free, or held by a receipt that had expired when the new one was made."""
    receipts = tables.receipts
    rows = incoming("receipts", receipts, [column.name for column in receipts.c])
    values = _bounded(select(*(stored(rows, column) for column in receipts.c)), bounds)
    statement = insert(receipts).from_select([column.name for column in receipts.c], values)
    new = statement.excluded
    return (
        statement.on_conflict_do_update(
            index_elements=["tenant", "scope", "key"],
            set_={name: new[name] for name in ("instance_id", "fingerprint", "answer", "created_at", "expires_at")},
            where=receipts.c.expires_at <= new.created_at,
        )
        .returning(receipts.c.instance_id)
        .cte("won")
    )


def _bounded(values: Select[Any], bounds: CTE) -> Select[Any]:
    return values.where(are_set(bounds))
