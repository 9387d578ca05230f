"""Writing: each statement takes arrays and writes one change or many, every part of a change or none of it."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    FromClause,
    Integer,
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

from detent_pg.schema import Tables
from detent_pg.statements.arrays import incoming, stored
from detent_pg.statements.effects import Kinds, beside
from detent_pg.statements.limits import are_set, lent_limits, limits

UPDATED = (
    "state",
    "status",
    "version",
    "definition_version",
    "context",
    "timers",
    "due_at",
    "entered_at",
    "updated_at",
    "finished_at",
    "parked_at",
    "run_id",
)
"""The columns of an instance that a step may change."""

_NONE: Kinds = frozenset()


@cache
def write(tables: Tables, *, limited: bool, kinds: Kinds = _NONE) -> Select[Any]:
    """Update each of `changed` that still has its `expected` version, and answer their ids.

    `entries`, `receipts` and effects of `kinds` are written for the instances that were updated. `limited` bounds the wait
    for a row that a transaction holds; where the row is locked already, nothing waits. An unexpired receipt in the way fails
    the statement, and so does a lease that is lost.
    """
    instances = tables.instances
    changed = incoming("changed", instances, ("id", *UPDATED), expected=Integer())
    statement = (
        update(instances)
        .where(instances.c.id == changed.c.id, instances.c.version == changed.c.expected)
        .values({name: stored(changed, instances.c[name]) for name in UPDATED})
        .returning(instances.c.id)
    )
    if limited:
        statement = statement.where(are_set(limits()))
    updated = statement.cte("updated")
    written = select(updated.c.id).add_cte(_entries(tables, updated), _receipts(tables, updated))
    return _with_effects(written, tables, updated, kinds)


@cache
def put(tables: Tables, *, limited: bool, kinds: Kinds = _NONE) -> Select[Any]:
    """Put `receipts` and effects of `kinds` of those of `changed` that still have their `expected` version; answer their ids.

    The rows are held rather than updated, and stay as they are; `limited` as in `write`.
    """
    instances = tables.instances
    changed = incoming("changed", instances, ("id",), expected=Integer())
    statement = (
        select(instances.c.id)
        .join_from(instances, changed, instances.c.id == changed.c.id)
        .where(instances.c.version == changed.c.expected)
        .with_for_update(of=instances, key_share=True)
    )
    if limited:
        statement = statement.where(are_set(limits()))
    held = statement.cte("held").prefix_with("MATERIALIZED")
    return _with_effects(select(held.c.id).add_cte(_receipts(tables, held)), tables, held, kinds)


@cache
def create(tables: Tables, *, lent: bool, kinds: Kinds = _NONE) -> Select[Any]:
    """Insert each of `created` whose keys are free or expired, and answer their ids; null where that is none, when `lent`.

    `asked` says how many receipts come with an instance. They are put first, and the instance follows only if it won
    all of them; a creation under way with the same key is waited for. A lent transaction gets its lock timeout back.
    """
    instances, receipts = tables.instances, tables.receipts
    columns = [column.name for column in instances.c]
    new = incoming("created", instances, columns, asked=Integer())
    bounds = lent_limits() if lent else limits()
    won = _put(tables, incoming("receipts", receipts, [column.name for column in receipts.c]), bounds)
    count = select(func.count()).select_from(won).where(won.c.instance_id == new.c.id).scalar_subquery()
    values = _bounded(select(*(stored(new, column) for column in instances.c)).where(new.c.asked == count), bounds)
    created = insert(instances).from_select(columns, values).returning(instances.c.id).cte("inserted")
    statement = select(created.c.id).add_cte(_entries(tables, created))
    statement = _with_effects(statement, tables, created, kinds)
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


def _with_effects(statement: Select[Any], tables: Tables, written: CTE, kinds: Kinds) -> Select[Any]:
    """The statement as it is for no `kinds`: steps without effects are the hot path."""
    if not kinds:
        return statement
    effects = beside(tables, written, kinds)
    statement = statement.add_cte(*effects.parts)
    return statement if effects.guard is None else statement.add_columns(effects.guard)


def _entries(tables: Tables, written: CTE) -> CTE:
    history = tables.history
    columns = [column.name for column in history.c]
    rows = incoming("entries", history, columns)
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


def _put(tables: Tables, rows: FromClause, bounds: CTE) -> CTE:
    """Receipts of creations: the keys that were free, or held by a receipt that had expired when the new one was made."""
    receipts = tables.receipts
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
