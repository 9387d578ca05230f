"""Taking out: instances, of which an archive entry is kept, and what has grown old of history and receipts."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    DateTime,
    Integer,
    Select,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from detent_pg.schema import Tables
from detent_pg.statements.arrays import fetched, incoming, stored
from detent_pg.statements.limits import are_set, lent_limits, limits
from detent_pg.statements.reading import instant


@cache
def remove(tables: Tables, *, lent: bool) -> Select[Any]:
    """Delete each instance of `removed` that still has its `expected` version, and answer their ids; null where that is
    none, when `lent`.

    History goes with them, and by their foreign keys receipts, runs, messages and values; their archive entries come. A lent
    transaction gets its lock timeout back.
    """
    instances, archive = tables.instances, tables.archive
    rows = incoming("removed", archive, [column.name for column in archive.c], expected=Integer())
    bounds = lent_limits() if lent else limits()
    gone = (
        delete(instances)
        .where(instances.c.id == rows.c.instance_id, instances.c.version == rows.c.expected, are_set(bounds))
        .returning(*(stored(rows, column).label(column.name) for column in archive.c))
        .cte("gone")
    )
    statement = select(gone.c.instance_id).add_cte(_kept(tables, gone), _forgotten(tables, gone))
    if not lent:
        return statement
    # As in `writing.create`: it comes last, and whether or not anything is gone.
    restored = func.set_config("lock_timeout", bounds.c.before, True)
    return statement.add_columns(restored).select_from(bounds.outerjoin(gone, true()))


@cache
def load(tables: Tables) -> Select[Any]:
    """The archive entries of `ids`."""
    archive = tables.archive
    return select(*map(fetched, archive.c)).where(archive.c.instance_id == any_(_ids()))


@cache
def prune_history(tables: Tables) -> Select[Any]:
    """Delete the entries of `ids` up to the first one that is not older than `before`, never the last one; how many.

    Clocks may go back: an older entry behind a younger one stays, or there would be a gap.
    """
    instances, entries = tables.instances, tables.history
    younger = entries.alias("younger")
    first_kept = (
        select(func.min(younger.c.sequence))
        .where(
            younger.c.instance_id == instances.c.id,
            younger.c.created_at >= bindparam("before", type_=DateTime(timezone=True)),
        )
        .scalar_subquery()
    )
    bounds = (
        select(instances.c.id, func.coalesce(first_kept, instances.c.version).label("first"))
        .where(instances.c.id == any_(_ids()), are_set(limits()))
        .cte("kept_from")
        .prefix_with("MATERIALIZED")
    )
    gone = (
        delete(entries)
        .where(entries.c.instance_id == bounds.c.id, entries.c.sequence < bounds.c.first)
        .returning(entries.c.sequence)
        .cte("gone")
    )
    return select(func.count()).select_from(gone)


@cache
def prune_receipts(tables: Tables) -> Select[Any]:
    """Delete up to `limit` receipts that have expired, those first that did so first; how many.

    What a creation replaces at this moment is passed over.
    """
    receipts = tables.receipts
    key = ("tenant", "scope", "key")
    expired = (
        select(*(receipts.c[name] for name in key))
        .where(receipts.c.expires_at <= instant())
        .order_by(receipts.c.expires_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("expired")
        .prefix_with("MATERIALIZED")
    )
    gone = (
        delete(receipts)
        .where(*(receipts.c[name] == expired.c[name] for name in key))
        .returning(receipts.c.instance_id)
        .cte("gone")
    )
    return select(func.count()).select_from(gone)


def _kept(tables: Tables, gone: CTE) -> CTE:
    """The archive entries of what is gone. An instance that was put back by hand may be removed again."""
    columns = [column.name for column in tables.archive.c]
    statement = insert(tables.archive).from_select(columns, select(*gone.c))
    newer = {name: statement.excluded[name] for name in columns if name != "instance_id"}
    return statement.on_conflict_do_update(index_elements=["instance_id"], set_=newer).cte("kept")


def _forgotten(tables: Tables, gone: CTE) -> CTE:
    """The history of what is gone. Whoever added to it since this statement began has raised the version."""
    entries = tables.history
    return (
        delete(entries)
        .where(entries.c.instance_id == gone.c.instance_id)
        .returning(entries.c.sequence)
        .cte("forgotten")
    )


def _ids() -> Any:
    return bindparam("ids", type_=ARRAY(Uuid))
