"""The schema: what the migrations make is what the metadata says, under any name."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from click.testing import CliRunner
from sqlalchemy import URL, text

from detent.errors import InvalidValue, StoreError, StoreOutdated
from detent.store.query import InstanceQuery, Order
from detent.store.records import ContextChange
from detent.testing.store_contract.samples import advance, created, loaded, removal, step
from detent_pg import PgStore, make_engine, metadata_for, migrate, schema_sql, schema_version
from detent_pg.cli import db
from detent_pg.engine import Connections
from detent_pg.names import Names
from tests.postgres import Postgres, administer

ALL = list(range(1, schema_version + 1))

CATALOG = {
    "columns": """
        SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               l.collname,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE n.nspname = :schema AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY 1, 2""",
    "constraints": """
        SELECT c.relname, k.conname, pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema AND k.contype <> 'n' ORDER BY 1, 2""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema ORDER BY 1, 2",
    "tables": """
        SELECT c.relname, c.reloptions, obj_description(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema AND c.relkind = 'r' ORDER BY 1""",
}


@pytest.fixture
async def empty(postgres_server: Postgres) -> AsyncIterator[URL]:
    """The URL of an empty database."""
    name = f"detent_{uuid4().hex}"
    await administer(postgres_server, f'CREATE DATABASE "{name}"')
    yield postgres_server.database(name)
    await administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def catalog(store: PgStore, schema: str) -> dict[str, Sequence[Any]]:
    async with store.engine.connect() as connection:
        return {
            kind: [tuple(row) for row in await connection.execute(text(query), {"schema": schema})]
            for kind, query in CATALOG.items()
        }


@pytest.mark.parametrize(("prefix", "schema"), [("detent_", None), ("wf_", "side"), ("", "order")])
async def test_the_migrations_make_what_the_metadata_says(empty: URL, prefix: str, schema: str | None) -> None:
    migrated = PgStore.from_url(empty, prefix=prefix, schema=schema)
    assert await migrated.upgrade() == list(range(1, schema_version + 1))
    by_migrations = await catalog(migrated, schema or "public")
    assert [row[0] for row in by_migrations["tables"]] == sorted(
        f"{prefix}{name}"
        for name in (
            *("archive", "definitions", "history", "inbox", "instances", "outbox", "receipts", "runs"),
            *("schema_version", "throttles", "values"),
        )
    )

    assert await migrate.downgrade(Connections(migrated.engine), migrated.names, to=0)
    assert (await catalog(migrated, schema or "public"))["tables"] == []
    async with migrated.engine.begin() as connection:
        await connection.run_sync(metadata_for(prefix=prefix, schema=schema).create_all)

    assert await catalog(migrated, schema or "public") == by_migrations
    await migrated.open()
    await migrated.close()


async def test_upgrading_again_does_nothing(empty: URL) -> None:
    store = PgStore.from_url(empty)

    assert [await store.upgrade(), await store.upgrade()] == [ALL, []]
    await store.close()


async def test_processes_that_start_together_take_turns(empty: URL) -> None:
    stores = [PgStore.from_url(empty) for _ in range(4)]

    applied = await asyncio.gather(*(store.upgrade() for store in stores))

    # Each step is taken by one of them, whichever comes first.
    assert sorted(number for numbers in applied for number in numbers) == ALL
    for store in stores:
        await store.close()


async def test_two_prefixes_that_start_together_in_a_new_schema_take_turns(empty: URL) -> None:
    stores = [PgStore.from_url(empty, prefix=prefix, schema="fresh") for prefix in ("a_", "b_", "c_", "d_")]

    applied = await asyncio.gather(*(store.upgrade() for store in stores))

    assert [list(numbers) for numbers in applied] == [ALL] * 4
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    ("prefix", "schema", "command"),
    [
        ("detent_", None, "detent db upgrade"),
        ("wf_", "side", "detent db upgrade --schema side --prefix wf_"),
        ("", "side", "detent db upgrade --schema side --prefix ''"),
    ],
)
async def test_a_missing_schema_is_named_with_the_command_that_makes_it(
    empty: URL, prefix: str, schema: str | None, command: str
) -> None:
    store = PgStore.from_url(empty, prefix=prefix, schema=schema)

    with pytest.raises(StoreOutdated) as raised:
        await store.open()
    health = await store.health()

    assert raised.value.hint == f"run `{command}`"
    assert command in str(health.detail)
    await store.close()


async def test_an_open_that_fails_leaves_no_connection_of_an_engine_of_ours(empty: URL) -> None:
    owner, guest = PgStore.from_url(empty), PgStore(make_engine(empty))
    for store in (owner, guest):
        with pytest.raises(StoreOutdated):
            await store.open()

    assert owner.pool_stats().idle == 0
    assert guest.pool_stats().idle == 1
    await guest.engine.dispose()


async def test_a_step_that_fails_leaves_nothing(empty: URL) -> None:
    store = PgStore.from_url(empty)
    async with store.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE detent_receipts (mine text)"))

    with pytest.raises(StoreError, match='relation "detent_receipts" already exists'):
        await store.upgrade()

    assert [row[0] for row in (await catalog(store, "public"))["tables"]] == ["detent_receipts"]
    await store.close()


async def test_opening_asks_for_the_schema_this_code_needs(empty: URL) -> None:
    store = PgStore.from_url(empty)
    with pytest.raises(StoreOutdated) as missing:
        await store.open()
    await store.upgrade()
    async with store.engine.begin() as connection:
        await connection.execute(text("INSERT INTO detent_schema_version (version) VALUES (999)"))
    with pytest.raises(StoreOutdated) as ahead:
        await store.open()
    with pytest.raises(StoreOutdated):
        await store.upgrade()
    health = await store.health()

    assert (missing.value.found, ahead.value.found) == (0, 999)
    assert not health.ok
    assert health.schema_version == 999
    await store.close()


async def test_two_sets_of_tables_share_a_database(empty: URL) -> None:
    stores = [PgStore.from_url(empty), PgStore.from_url(empty, prefix="other_")]
    for store in stores:
        await store.upgrade()
        await store.open()

    record = await created(stores[0])

    assert await stores[0].apply(record.id, advance) == 2
    assert await stores[1].load(record.id) is None
    for store in stores:
        await store.close()


@pytest.mark.parametrize("name", ["Detent_", 'x"; DROP TABLE y; --', "ä", "1st", "x" * 64, "a.b"])
def test_only_plain_names_are_taken(name: str) -> None:
    with pytest.raises(InvalidValue):
        Names(prefix=name)
    with pytest.raises(InvalidValue):
        Names(schema=name)


async def test_the_printed_sql_is_the_whole_schema(empty: URL) -> None:
    plain = await asyncpg.connect(empty.render_as_string(hide_password=False))
    await plain.execute(schema_sql(schema="printed"))
    store = PgStore.from_url(empty, schema="printed")
    await store.open()
    await store.close()

    await plain.execute(schema_sql(schema="printed", down=True))

    assert await plain.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'printed'") == 0
    await plain.close()


def test_every_step_has_a_way_back_and_the_last_is_what_the_code_needs() -> None:
    steps = migrate.migrations()

    assert [step.number for step in steps] == list(range(1, schema_version + 1))
    assert all(step.down.strip() for step in steps)


OLD = {
    "instances": """
        INSERT INTO detent_instances VALUES
            ('00000000-0000-7000-8000-000000000001', 'order', '1', 'new', 'active', 3, '{"a": 1}', '{"b": 2}',
             '[{"event": "expire", "due": "2030-01-01T00:00:00+00:00", "attempts": 0, "parked": false, "reason": null}]',
             '2030-01-01', '2029-01-01', '2029-01-02', '2029-01-03'),
            ('00000000-0000-7000-8000-000000000002', 'order', '1', 'stuck', 'active', 2, '{}', '{}',
             '[{"event": "a", "due": "2030-01-01T00:00:00+00:00", "attempts": 0, "parked": false, "reason": null},
               {"event": "b", "due": "2030-01-01T00:00:00+00:00", "attempts": 9, "parked": true, "reason": "no"}]',
             NULL, '2029-01-01', '2029-01-02', '2029-01-04'),
            ('00000000-0000-7000-8000-000000000003', 'order', '1', 'done', 'completed', 2, '{}', '{}', '[]',
             NULL, '2029-01-01', '2029-01-02', '2029-01-05'),
            ('00000000-0000-7000-8000-000000000004', 'order', '1', 'done', 'failed', 2, '{}', '{}', '[]',
             NULL, '2029-01-01', '2029-01-02', '2029-01-06'),
            ('00000000-0000-7000-8000-000000000005', 'order', '1', 'done', 'cancelled', 2, '{}', '{}', '[]',
             NULL, '2029-01-01', '2029-01-02', '2029-01-07'),
            ('00000000-0000-7000-8000-000000000006', 'order', '1', 'new', 'paused', 1, '{}', '{}', '[]',
             NULL, '2029-01-01', '2029-01-02', '2029-01-08')""",
    "history": """
        INSERT INTO detent_history
        SELECT id, 1, '$created', NULL, state, 'success', '[]', NULL, NULL, NULL, '{}', id, '1', created_at
        FROM detent_instances""",
    "receipts": """
        INSERT INTO detent_receipts
        SELECT '', 'workflow:order', id::text, id, NULL, '{}', created_at, '2039-01-01' FROM detent_instances""",
    "definitions": """
        INSERT INTO detent_definitions VALUES
            ('order', '9', 'f', '{"b": 1, "a": 2}', '2029-01-01'), ('order', '10', 'f', '{}', '2029-01-02'),
            ('order', '1', 'f', '{}', '2029-01-03'), ('claim', '2', 'f', '{}', '2029-01-02')""",
}
"""Rows as version 1 of the schema has them, by table."""


async def stepped(store: PgStore, number: int) -> None:
    """Apply one step of the migrations."""
    [migration] = [migration for migration in migrate.migrations() if migration.number == number]
    await ran(store, migration.up_sql(store.names))


async def ran(store: PgStore, *scripts: str) -> None:
    plain = await asyncpg.connect(store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    for script in ("SET timezone = 'UTC'", *scripts):
        await plain.execute(script)
    await plain.close()


async def contents(store: PgStore) -> dict[str, Sequence[Any]]:
    async with store.engine.connect() as connection:
        return {
            name: [tuple(row) for row in await connection.execute(text(f"SELECT * FROM detent_{name} ORDER BY 1, 2"))]
            for name in OLD
        }


async def test_what_version_1_stored_is_whole_in_the_newest_and_the_other_way_round(empty: URL) -> None:
    store = PgStore.from_url(empty)
    await stepped(store, 1)
    await ran(store, *OLD.values())
    before, old_schema = await contents(store), await catalog(store, "public")

    assert await store.upgrade() == ALL[1:]
    found = {
        record.id.int & 0xFF: (record.finished_at, record.parked_at)
        for record in await store.find(InstanceQuery(tenant=""), order=Order("id"), limit=10)
    }
    versions = [snapshot.version for snapshot in await store.list_definitions(["order", "claim"])]
    assert await migrate.downgrade(Connections(store.engine), store.names, to=1) == ALL[:0:-1]

    day = {number: datetime(2029, 1, 2 + number, tzinfo=UTC) for number in range(1, 7)}
    assert found == {
        1: (None, None),
        2: (None, day[2]),
        3: (day[3], None),
        4: (day[4], None),
        5: (day[5], None),
        6: (None, None),
    }
    assert versions == ["2", "9", "10", "1"]
    assert await contents(store) == before
    assert without_numbers(await catalog(store, "public")) == without_numbers(old_schema)
    assert await store.upgrade() == ALL[1:]
    await store.close()


async def test_what_version_2_stored_is_whole_in_the_newest_and_the_other_way_round(empty: URL) -> None:
    store = PgStore.from_url(empty)
    await stepped(store, 1)
    await ran(store, *OLD.values())
    await stepped(store, 2)
    before, old_schema = await contents(store), await catalog(store, "public")

    assert await store.upgrade() == ALL[2:]
    records = await store.find(InstanceQuery(busy=False), order=Order("id"), limit=10)
    assert [(record.run_id, record.parent_link) for record in records] == [(None, None)] * 6
    assert await store.find(InstanceQuery(busy=True), order=Order(), limit=10) == []
    [first, *_] = records
    assert await store.apply(first.id, lambda record, *_: (None, record)) == first
    assert await store.remove([removal(await loaded(store, first.id))]) == {first.id}
    await ran(store, "DELETE FROM detent_archive")
    assert await migrate.downgrade(Connections(store.engine), store.names, to=2) == ALL[:1:-1]

    gone = {name: [row for row in rows if first.id not in row] for name, rows in before.items()}
    assert await contents(store) == gone
    assert without_numbers(await catalog(store, "public")) == without_numbers(old_schema)
    await store.close()


async def test_what_version_4_stored_is_whole_in_the_newest_and_the_other_way_round(empty: URL) -> None:
    store = PgStore.from_url(empty)
    for number in range(1, 5):
        await stepped(store, number)
    columns = "id, workflow, definition_version, state, status, version, context, metadata, timers, due_at, entered_at"
    places = f"detent_instances ({columns}, created_at, updated_at)"
    await ran(store, OLD["instances"].replace("detent_instances", places), OLD["history"], OLD["receipts"])
    before, old_schema = await contents(store), await catalog(store, "public")
    with pytest.raises(StoreOutdated):
        await store.open()

    assert await store.upgrade() == ALL[4:]
    [first, second, *_] = await store.find(InstanceQuery(), order=Order("id"), limit=10)
    for record in (first, second):
        await store.values.put(record.id, "a", {"large": True})
    assert await store.remove([removal(first)]) == {first.id}
    assert await store.values.load(second.id, ["a"]) == {"a": {"large": True}}
    assert await store.values.sizes(first.id) == {}
    await ran(store, "DELETE FROM detent_archive")
    assert await migrate.downgrade(Connections(store.engine), store.names, to=4) == ALL[:3:-1]

    assert await contents(store) == {
        name: [row for row in rows if first.id not in row] for name, rows in before.items()
    }
    assert await catalog(store, "public") == old_schema
    await store.close()


async def test_what_version_5_stored_is_whole_in_the_newest_and_the_other_way_round(empty: URL) -> None:
    store = PgStore.from_url(empty)
    for number in range(1, 6):
        await stepped(store, number)
    columns = "id, workflow, definition_version, state, status, version, context, metadata, timers, due_at, entered_at"
    places = f"detent_instances ({columns}, created_at, updated_at)"
    await ran(store, OLD["instances"].replace("detent_instances", places), OLD["history"], OLD["receipts"])
    before, old_schema = await contents(store), await catalog(store, "public")

    assert await store.upgrade() == [6]
    [first, *_] = await store.find(InstanceQuery(), order=Order("id"), limit=10)
    [old] = await store.history(first.id, limit=10)
    assert (old.event, old.changes) == ("$created", None)
    changes = (ContextChange("add", "/a", value=1),)
    recorded = step(first)
    entry = replace(recorded.entries[0], changes=changes)
    await store.apply(first.id, lambda *_: (replace(recorded, entries=(entry,)), None))
    [newest] = await store.history(first.id, limit=1)
    assert newest.changes == changes
    await ran(store, f"DELETE FROM detent_history WHERE sequence = {newest.sequence}")
    assert await migrate.downgrade(Connections(store.engine), store.names, to=5) == [6]

    assert (await contents(store))["history"] == before["history"]
    assert await catalog(store, "public") == old_schema
    await store.close()


async def test_a_process_of_version_1_goes_on_creating_in_the_newest(empty: URL) -> None:
    store = PgStore.from_url(empty)
    await store.upgrade()
    columns = """id, workflow, definition_version, state, status, version, context, metadata, timers, due_at,
        entered_at, created_at, updated_at"""
    old = OLD["instances"].replace("detent_instances", f"detent_instances ({columns})")

    await ran(store, old, OLD["history"], OLD["receipts"])

    assert len(await store.find(InstanceQuery(tenant=""), order=Order(), limit=10)) == 6
    await store.close()


def without_numbers(found: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The catalog but for the numbers of columns, which a column that went leaves behind."""
    return found | {"columns": sorted(repr((row[0], *row[2:])) for row in found["columns"])}


class TestCommands:
    """`detent db …`; each runs an event loop of its own."""

    async def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, db, arguments, env=environment)
        return result.exit_code, result.output

    async def test_upgrade_then_status(self, empty: URL) -> None:
        url = empty.render_as_string(hide_password=False)

        assert await self.run("status", "--url", url, "--json") == (
            1,
            '{"version": 0, "needed": 6, "pending": ["0001_instances", "0002_finding_and_archive", "0003_durable", '
            '"0004_history_by_itself", "0005_values", "0006_context_changes"]}\n',
        )
        assert await self.run("upgrade", "--url", url) == (0, "applied 1, 2, 3, 4, 5, 6; the schema has version 6\n")
        assert await self.run("upgrade", DETENT_DATABASE_URL=url) == (0, "nothing to do; the schema has version 6\n")
        assert await self.run("status", DETENT_DATABASE_URL=url) == (0, "the schema has version 6; this code needs 6\n")

    async def test_upgrade_takes_a_database_of_version_5_the_one_step_further(self, empty: URL) -> None:
        url, store = empty.render_as_string(hide_password=False), PgStore.from_url(empty)
        for number in range(1, 6):
            await stepped(store, number)
        await store.close()

        assert await self.run("upgrade", "--url", url) == (0, "applied 6; the schema has version 6\n")

    async def test_sql_needs_no_database(self) -> None:
        code, up = await self.run("sql", "--schema", "side", "--prefix", "")
        assert code == 0
        assert 'CREATE TABLE "side"."instances"' in up
        assert "DROP TABLE" not in up

        _, down = await self.run("sql", "--down")
        assert 'DROP TABLE "detent_instances"' in down

        _, both = await self.run("sql", "--format", "dbmate")
        assert both.index("-- migrate:up") < both.index("CREATE TABLE") < both.index("-- migrate:down")
        assert both.index("-- migrate:down") < both.index("DROP TABLE")

    @pytest.mark.parametrize("url", ["postgresql://me:secret@127.0.0.1:1/x", "mysql://me:secret@h/x", "secret"])
    async def test_what_goes_wrong_is_one_line_without_the_password(self, url: str) -> None:
        code, said = await self.run("upgrade", "--url", url)

        assert code == 1
        assert "secret" not in said
        assert "Traceback" not in said

    async def test_what_postgresql_refuses_is_one_line(self, empty: URL) -> None:
        plain = await asyncpg.connect(empty.render_as_string(hide_password=False))
        await plain.execute("CREATE TABLE detent_receipts (mine text)")
        await plain.close()

        code, said = await self.run("upgrade", "--url", empty.render_as_string(hide_password=False))

        assert code == 1
        assert 'PostgreSQL refused the migration: relation "detent_receipts" already exists' in said
        assert "Traceback" not in said

    async def test_dbmate_prints_both_ways_and_takes_none_of_them(self) -> None:
        code, said = await self.run("sql", "--format", "dbmate", "--down")

        assert code == 2
        assert "--down" in said

    async def test_a_wrong_name_is_refused(self) -> None:
        code, said = await self.run("sql", "--prefix", "x; DROP")

        assert code == 1
        assert "lower-case" in said
