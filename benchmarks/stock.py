"""Many instances at once: one is made by the runtime, and SQL copies its rows under ids made in Python."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, FromClause, Insert, Table, Uuid, func, insert, literal, select, text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.workflows import CONTEXT, on_postgres, pg_store
from detent import WorkflowInstance, WorkflowRuntime
from detent.ids import new_id
from detent_pg import PgStore, metadata_for

BIG = 1_000_000
"""How many instances the big database has."""
ENTRIES = 5
"""How many history entries each of them has."""

_AT_ONCE = 20_000


async def lamps(runtime: WorkflowRuntime, count: int, *, entries: int = 1) -> list[UUID]:
    """The ids of `count` new lamps, each with so many history entries."""
    model = await runtime.create_instance("lamp", context=dict(CONTEXT))
    if entries > 1:
        model = (await runtime.trigger_event(model.id, "press")).instance
    return await copies(pg_store(runtime), model, count, entries=entries)


async def copies(
    store: PgStore, model: WorkflowInstance, count: int, *, entries: int = 1, changed: Mapping[str, Any] | None = None
) -> list[UUID]:
    """The ids of `count` copies of an instance, in one transaction, with the columns `changed` in all of them.

    The model has one history entry, or two where copies have more: the second is then repeated.
    """
    ids = [new_id() for _ in range(count)]
    async with store.engine.begin() as connection:
        # The rows refer to one another as they should: a trigger for each of millions would only ask that again.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for begun in range(0, count, _AT_ONCE):
            some = ids[begun : begun + _AT_ONCE]
            await _copy(connection, store, model.id, some, entries, changed or {})
        for name in ("instances", "history"):
            await connection.execute(text(f"ANALYZE {store.names.quoted(name)}"))
    return ids


async def _copy(
    connection: AsyncConnection,
    store: PgStore,
    model: UUID,
    ids: Sequence[UUID],
    entries: int,
    changed: Mapping[str, Any],
) -> None:
    tables = metadata_for(prefix=store.names.prefix).tables
    instances, history = tables[f"{store.names.prefix}instances"], tables[f"{store.names.prefix}history"]
    unnested = func.unnest(literal(list(ids), ARRAY(Uuid)))
    made = unnested.table_valued(Column("id", Uuid), with_ordinality="place").render_derived()
    later = instances.c.created_at + made.c.place * literal(timedelta(milliseconds=1))
    own = {"id": made.c.id, "version": literal(entries), "created_at": later}
    given = {name: literal(value, instances.c[name].type) for name, value in changed.items()}
    await connection.execute(_copied(instances, own | given, made.join(instances, instances.c.id == model)))
    numbers = func.generate_series(1, entries).table_valued("number").render_derived()
    own = {"instance_id": made.c.id, "sequence": numbers.c.number}
    of_model = (history.c.instance_id == model) & (history.c.sequence == func.least(numbers.c.number, 2))
    await connection.execute(_copied(history, own, made.join(numbers, true()).join(history, of_model)))


def _copied(table: Table, own: Mapping[str, Any], source: FromClause) -> Insert:
    """Insert what is selected of the same table, with some columns of their own."""
    names = [column.name for column in table.columns]
    chosen = select(*(own.get(name, table.c[name]) for name in names)).select_from(source)
    return insert(table).from_select(names, chosen)


async def fill(url: str) -> None:
    """Make the big database: `BIG` instances with `ENTRIES` history entries each. Takes minutes."""
    async with on_postgres(url, command_timeout=900) as runtime:
        await lamps(runtime, BIG, entries=ENTRIES)
        alone = pg_store(runtime).engine.execution_options(isolation_level="AUTOCOMMIT")
        async with alone.connect() as connection:
            await connection.execute(text("VACUUM ANALYZE"))
            await connection.execute(text("CHECKPOINT"))


async def some_of(runtime: WorkflowRuntime, count: int) -> list[UUID]:
    """The ids of `count` instances that are there, drawn at random."""
    table = metadata_for(prefix=pg_store(runtime).names.prefix).tables["detent_instances"]
    async with pg_store(runtime).engine.connect() as connection:
        found = await connection.scalars(select(table.c.id).order_by(func.random()).limit(count))
        return list(found)
