import asyncio
import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from detent.errors import (
    ConnectionNotSupported,
    InstanceBusy,
    StepRolledBack,
    StoreError,
    StoreOutdated,
    StoreUnavailable,
)
from detent.ids import new_id
from detent.store import sqlite_schema
from detent.store.health import Health
from detent.store.protocol import Store
from detent.store.query import InstanceQuery, Order, Position, Span
from detent.store.records import LIVE, ContextChange, Status, Timer
from detent.store.sqlite import SqliteStore
from detent.store.sqlite_connection import SqliteConnection
from detent.store.sqlite_query import count_instances, find_instances, teach_containment
from detent.store.sqlite_records import ENTRY_COLUMNS, INSTANCE_COLUMNS, Row, from_entry, from_instance
from detent.store.sqlite_schema import STEPS, upgrade
from detent.testing.store_contract import StoreContract, StoreKit
from detent.testing.store_contract.samples import (
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    creation_with,
    removal,
    step,
)


@asynccontextmanager
async def opened(store: SqliteStore) -> AsyncIterator[SqliteStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def plain(path: Path) -> sqlite3.Connection:
    """The file as somebody else sees it."""
    return sqlite3.connect(path, isolation_level=None)


async def cut_off(call: Coroutine[Any, Any, object], turns: int) -> None:
    """Let a call run for some turns of the event loop, then cancel it."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def kit(self, path: Path) -> AsyncIterator[StoreKit]:
        async with opened(SqliteStore(path)) as store:
            with closing(plain(path)) as connection:
                connection.execute("CREATE TABLE notes (text TEXT)")

            async def note(connection: Any, text: str) -> None:
                await connection.execute("INSERT INTO notes VALUES (?)", (text,))

            async def noted(text: str) -> bool:
                with closing(plain(path)) as connection:
                    return connection.execute("SELECT 1 FROM notes WHERE text = ?", (text,)).fetchone() is not None

            @asynccontextmanager
            async def second() -> AsyncIterator[Store]:
                async with opened(SqliteStore(path)) as other:
                    yield other

            yield StoreKit(
                store=store,
                lend=store.begin,
                savepoint=lambda outside: outside.savepoint(),
                note=note,
                noted=noted,
                second=second,
                declines=frozenset({"row_locks", "far_signals"}),
            )


class Boom(Exception):
    pass


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(SqliteStore(path, lock_timeout=0.05, busy_timeout=0.05)) as store:
        yield store


def test_it_is_a_store(path: Path):
    store: Store = SqliteStore(path)

    assert store.now().utcoffset() is not None


# ------------------------------------------------------------------------------------------------ opening, closing


async def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path):
    async with opened(SqliteStore(path)) as store:
        record = await created(store, creation(hops=3))

    async with opened(SqliteStore(path)) as store:
        assert await store.load(record.id) == record
        assert await assert_whole(store, record.id) == 4


async def test_opening_twice_needs_closing_twice(path: Path):
    store = SqliteStore(path)
    async with opened(store):
        async with opened(store):
            pass
        record = await created(store)

    with pytest.raises(StoreUnavailable, match="not open"):
        await store.load(record.id)
    await store.close()


async def test_a_store_that_was_never_opened_says_so(path: Path):
    store = SqliteStore(path)

    with pytest.raises(StoreUnavailable, match="not open"):
        await store.create(creation())
    assert (await store.health()).ok is False


async def test_a_file_that_cannot_be_opened_is_named_and_nobody_is_told_to_try_again(tmp_path: Path):
    path = tmp_path / "no such folder" / "orders.db"
    store = SqliteStore(path)

    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    assert str(path) in str(raised.value)
    assert "whether its folder exists" in str(raised.value.hint)
    assert "tried again" not in str(raised.value)
    await store.close()


@pytest.fixture
def no_database(path: Path) -> Path:
    path.write_text("not a database " * 1000)
    return path


async def test_a_file_that_is_no_database_is_named_and_nobody_is_told_to_try_again(no_database: Path):
    with pytest.raises(StoreUnavailable, match=re.escape(str(no_database))) as raised:
        await SqliteStore(no_database).open()
    assert "tried again" not in str(raised.value.hint)


async def test_a_file_that_another_process_holds_may_be_tried_again(path: Path):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreUnavailable, match=re.escape(str(path))) as raised:
            await SqliteStore(path, busy_timeout=0.01).open()
    finally:
        holder.close()
    assert "tried again" in str(raised.value.hint)


async def test_tables_of_a_newer_release_are_refused(path: Path):
    async with opened(SqliteStore(path)):
        pass
    with closing(plain(path)) as connection:
        connection.execute("INSERT INTO detent_schema_version (version) VALUES (99)")

    with pytest.raises(StoreOutdated) as caught:
        await SqliteStore(path).open()

    assert (caught.value.found, caught.value.needed) == (99, len(STEPS))


async def test_a_file_of_the_first_release_is_upgraded_with_what_it_holds(path: Path, monkeypatch: pytest.MonkeyPatch):
    parked = (Timer(event="expire", due=NOW, parked=True), Timer(event="remind", due=NOW))
    live, done, waiting = (
        creation(now=NOW, due=NOW),
        creation_with(status=Status.COMPLETED, updated_at=NOW),
        creation_with(timers=parked, updated_at=NOW),
    )
    with closing(plain(path)) as connection, monkeypatch.context() as first_release:
        first_release.setattr(sqlite_schema, "STEPS", STEPS[:1])
        upgrade(connection)
        for change in (live, done, waiting):
            row = dict(zip(INSTANCE_COLUMNS.replace(",", " ").split(), from_instance(change.instance), strict=True))
            for added in ("finished_at", "parked_at", "tenant", "parent_id", "parent_link", "run_id"):
                del row[added]
            connection.execute(
                f"INSERT INTO detent_instances ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", row
            )

    async with opened(SqliteStore(path)) as store:
        assert await store.load(live.instance.id) == live.instance
        assert await store.load(done.instance.id) == replace(done.instance, finished_at=NOW)
        assert await store.load(waiting.instance.id) == replace(waiting.instance, parked_at=NOW)
        assert list(await store.remove([removal(done.instance)])) == [done.instance.id]


async def test_a_file_from_before_values_is_upgraded_and_keeps_them(path: Path, monkeypatch: pytest.MonkeyPatch):
    with closing(plain(path)) as connection, monkeypatch.context() as older_release:
        older_release.setattr(sqlite_schema, "STEPS", STEPS[:3])
        upgrade(connection)
        live = creation().instance
        row = dict(zip(INSTANCE_COLUMNS.replace(",", " ").split(), from_instance(live), strict=True))
        connection.execute(
            f"INSERT INTO detent_instances ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", row
        )

    async with opened(SqliteStore(path)) as store:
        await store.values.put(live.id, "a", {"large": True})

    async with opened(SqliteStore(path)) as store:
        assert await store.load(live.id) == live
        assert await store.values.load(live.id, ["a"]) == {"a": {"large": True}}


async def test_a_file_from_before_recorded_changes_is_upgraded(path: Path, monkeypatch: pytest.MonkeyPatch):
    change = creation()
    with closing(plain(path)) as connection, monkeypatch.context() as older_release:
        older_release.setattr(sqlite_schema, "STEPS", STEPS[:4])
        upgrade(connection)
        insert(connection, "instances", INSTANCE_COLUMNS, from_instance(change.instance))
        older_columns = ENTRY_COLUMNS.removesuffix(", changes\n")
        insert(connection, "history", older_columns, from_entry(change.entries[0])[:-1])

    async with opened(SqliteStore(path)) as store:
        recorded = step(change.instance)
        entry = replace(recorded.entries[0], changes=(ContextChange("add", "/a", value=1),))
        await store.apply(change.instance.id, lambda *_: (replace(recorded, entries=(entry,)), None))
        assert list(await store.history(change.instance.id, limit=2)) == [entry, change.entries[0]]


def insert(connection: sqlite3.Connection, table: str, columns: str, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO detent_{table} ({columns}) VALUES ({marks})", row)


async def test_a_value_waits_for_the_writer_no_longer_than_a_step_and_is_read_meanwhile(path: Path):
    async with opened(SqliteStore(path, lock_timeout=0.01)) as store:
        record = await created(store)
        await store.values.put(record.id, "a", 1)

        async with store.begin():
            for write in (store.values.put(record.id, "b", 2), store.values.delete(record.id, ["a"])):
                with pytest.raises(StoreUnavailable):
                    await write
            assert await store.values.load(record.id, ["a", "b"]) == {"a": 1}

        assert await store.values.clear(record.id) == 1


async def test_closing_waits_for_the_step_that_is_under_way(path: Path):
    store = SqliteStore(path)
    await store.open()
    record = await created(store)

    async with asyncio.timeout(10):
        steps = [asyncio.create_task(store.apply(record.id, advance)) for _ in range(5)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*steps)

    async with opened(SqliteStore(path)) as again:
        assert await assert_whole(again, record.id) == 6


async def test_it_can_live_in_memory_for_as_long_as_it_is_open():
    async with opened(SqliteStore(":memory:")) as one, opened(SqliteStore(":memory:")) as other:
        record = await created(one)
        async with one.transaction(record.id) as unit:
            await unit.write(step(record))
            assert await one.load(record.id) == record
        assert await other.load(record.id) is None

    async with opened(one):
        assert await one.load(record.id) is None


async def test_it_is_well_while_its_file_can_be_read(store: SqliteStore, path: Path):
    assert await store.health() == Health(ok=True, detail=f"schema version {len(STEPS)} in {path}")


# ------------------------------------------------------------------------------------------------ the file


async def test_instants_are_text_that_sorts(store: SqliteStore, path: Path):
    await created(store, creation(due=datetime(2031, 5, 1, 2, tzinfo=timezone(timedelta(hours=2)))))

    with closing(plain(path)) as connection:
        [due] = connection.execute("SELECT due_at FROM detent_instances").fetchone()
    assert due == "2031-05-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(("mode", "expected"), [("FULL", 2), ("NORMAL", 1)], ids=["power cuts", "killed processes"])
async def test_how_safe_a_commit_is_can_be_chosen(path: Path, mode: Any, expected: int):
    async with opened(SqliteStore(path, synchronous=mode)) as store, store.begin() as connection:
        row = await connection.fetch_one("PRAGMA synchronous")

    assert row is not None
    assert row["synchronous"] == expected


@pytest.mark.parametrize("field", ["workflow", "state", "definition_version"])
async def test_the_database_itself_refuses_empty_names(store: SqliteStore, field: str):
    change = creation()
    empty: dict[str, Any] = {field: ""}

    with pytest.raises(StoreError):
        await store.create(replace(change, instance=replace(change.instance, **empty)))

    assert await store.load(change.instance.id) is None


async def test_a_refused_row_inside_a_callers_transaction_leaves_it_as_it_was(store: SqliteStore):
    record = await created(store)
    doubled = step(record)
    doubled = replace(doubled, entries=(replace(doubled.entries[0], event=""),))

    async with store.begin() as connection:
        with pytest.raises(StoreError):
            async with store.join(connection, record.id) as unit:
                await unit.write(doubled)
        async with store.join(connection, record.id) as unit:
            assert unit.record == record
            await unit.write(step(record))

    assert await assert_whole(store, record.id) == 2


# ------------------------------------------------------------------------------------------------ the indexes


class Explaining:
    """Stands in for a connection, and keeps how SQLite would go about a statement."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plan = ""

    def execute(self, sql: str, values: Any) -> sqlite3.Cursor:
        self.plan = "; ".join(row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return self._connection.execute(sql, values)


@pytest.fixture
async def explaining(path: Path, store: SqliteStore) -> AsyncIterator[Any]:
    with closing(plain(path)) as connection:
        teach_containment(connection)
        yield Explaining(connection)


@pytest.mark.parametrize(
    ("query", "by", "index"),
    [
        (InstanceQuery(), "created_at", "detent_instances_created"),
        (InstanceQuery(tenant="acme"), "created_at", "detent_instances_tenant"),
        (InstanceQuery(finished=Span(until=NOW)), "finished_at", "detent_instances_finished"),
        (InstanceQuery(parked=True), "parked_at", "detent_instances_parked"),
    ],
    ids=["everything", "a tenant", "finished", "parked"],
)
@pytest.mark.parametrize("after", [None, Position(new_id(), NOW)], ids=["first page", "next page"])
def test_lists_are_read_in_order_from_an_index(
    explaining: Any, query: InstanceQuery, by: Any, index: str, after: Position | None
):
    find_instances(explaining, query, Order(by), 10, after)

    assert index in explaining.plan
    assert "TEMP B-TREE" not in explaining.plan


def test_children_are_found_by_an_index(explaining: Any):
    find_instances(explaining, InstanceQuery(parent_id=new_id()), Order(), 10, None)

    assert "detent_instances_parent" in explaining.plan


def test_live_versions_are_counted_from_an_index_alone(explaining: Any):
    count_instances(explaining, InstanceQuery(statuses=tuple(LIVE)), ["workflow", "definition_version"])

    assert "COVERING INDEX detent_instances_versions" in explaining.plan


# ------------------------------------------------------------------------------------------------ the connection


@pytest.fixture
async def orders(path: Path, store: SqliteStore) -> None:
    with closing(plain(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL NOT NULL)")


@pytest.mark.usefixtures("orders")
async def test_a_connection_executes_and_fetches(store: SqliteStore):
    async with store.begin() as connection:
        assert await connection.execute("INSERT INTO orders VALUES (?, ?), (2, 7.5)", (1, 9.5)) == 2
        rows = await connection.fetch_all("SELECT * FROM orders ORDER BY id")
        one = await connection.fetch_one("SELECT total FROM orders WHERE id = :id", {"id": 2})
        none = await connection.fetch_one("SELECT total FROM orders WHERE id = 3")

    assert [(row["id"], row["total"]) for row in rows] == [(1, 9.5), (2, 7.5)]
    assert one is not None
    assert (one["total"], none) == (7.5, None)


@pytest.mark.usefixtures("orders")
async def test_errors_of_a_commands_statement_come_as_they_are_and_leave_the_step_usable(store: SqliteStore):
    record = await created(store)

    async with store.transaction(record.id) as unit:
        with pytest.raises(sqlite3.IntegrityError):
            await unit.connection.execute("INSERT INTO orders VALUES (1, NULL)")
        with pytest.raises(sqlite3.OperationalError):
            await unit.connection.execute("INSERT INTO no_such_table VALUES (1)")
        await unit.write(step(record))

    assert await assert_whole(store, record.id) == 2


@pytest.mark.parametrize("sql", ["COMMIT", "  rollback", "begin immediate", "End", "SAVEPOINT x", "release detent"])
async def test_a_transaction_is_ended_by_the_store_alone(store: SqliteStore, sql: str):
    async with store.begin() as connection:
        with pytest.raises(ValueError, match="savepoint"):
            await connection.execute(sql)


async def test_a_connection_that_has_ended_takes_nothing_more(store: SqliteStore):
    async with store.begin() as ended:
        pass

    with pytest.raises(RuntimeError):
        await ended.execute("SELECT 1")
    with pytest.raises(ConnectionNotSupported):
        async with store.join(ended, None):
            pass


async def test_a_connection_of_another_store_is_refused(store: SqliteStore, tmp_path: Path):
    async with opened(SqliteStore(tmp_path / "other.db")) as other, other.begin() as foreign:
        with pytest.raises(ConnectionNotSupported):
            async with store.join(foreign, None):
                pass


@pytest.mark.usefixtures("orders")
async def test_a_transaction_that_sqlite_ended_by_itself_is_never_half_committed(store: SqliteStore, path: Path):
    with closing(plain(path)) as connection:
        connection.execute("CREATE TRIGGER no AFTER INSERT ON orders BEGIN SELECT raise(ROLLBACK, 'no'); END")
    record = await created(store)

    async def locked() -> None:
        async with store.transaction(record.id) as unit:
            await unit.write(step(record))
            with pytest.raises(sqlite3.IntegrityError):
                await unit.connection.execute("INSERT INTO orders VALUES (1, 1)")
            with pytest.raises(StepRolledBack):
                await unit.connection.execute("UPDATE orders SET total = 0")

    with pytest.raises(StepRolledBack):
        await locked()

    await assert_untouched(store, record)


@pytest.mark.usefixtures("orders")
async def test_a_commit_that_fails_undoes_everything(store: SqliteStore, path: Path):
    with closing(plain(path)) as connection:
        connection.execute("CREATE TABLE items (order_id REFERENCES orders DEFERRABLE INITIALLY DEFERRED)")
    record = await created(store)
    called: list[str] = []

    async def locked() -> None:
        async with store.transaction(record.id) as unit:
            unit.after_commit(lambda: called.append("never"))
            await unit.connection.execute("INSERT INTO items VALUES (1)")
            await unit.write(step(record))

    with pytest.raises(StoreError):
        await locked()

    await assert_untouched(store, record)
    assert called == []
    assert await store.apply(record.id, advance) == 2


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.usefixtures("orders")
async def test_a_joined_step_that_is_cut_off_anywhere_leaves_the_callers_savepoints_as_they_were(
    store: SqliteStore, path: Path, turns: int
):
    record = await created(store)
    called: list[str] = []

    async def joined(outside: SqliteConnection) -> None:
        async with store.join(outside, record.id) as unit:
            unit.after_commit(lambda: called.append("committed"))
            await unit.connection.execute("INSERT INTO orders VALUES (2, 2)")
            await unit.write(step(record))

    async with store.begin() as outside:
        async with outside.savepoint():
            await outside.execute("INSERT INTO orders VALUES (1, 1)")
            await cut_off(joined(outside), turns)
        with pytest.raises(Boom):  # noqa: PT012 (a whole block is undone)
            async with outside.savepoint():
                await outside.execute("INSERT INTO orders VALUES (3, 3)")
                await cut_off(joined(outside), turns)
                raise Boom

    applied = await assert_whole(store, record.id) == 2
    with closing(plain(path)) as connection:
        found = [number for (number,) in connection.execute("SELECT id FROM orders ORDER BY id")]
    assert found == ([1, 2] if applied else [1])
    assert called == ["committed"] * applied


# ------------------------------------------------------------------------------------------------ one writer


async def test_a_step_that_does_not_get_the_writer_is_busy(store: SqliteStore):
    held, other = await created(store), await created(store)

    async with store.transaction(held.id):
        for record in (held, other):
            with pytest.raises(InstanceBusy):
                await store.apply(record.id, advance)
        with pytest.raises(StoreUnavailable):
            await store.create(creation())
        with pytest.raises(InstanceBusy) as caught:
            await store.remove([removal(other), removal(held)])
        assert caught.value.instance_id == other.id
        for call in (store.remove([]), store.prune_history([], before=NOW), store.prune_receipts(limit=1)):
            with pytest.raises(StoreUnavailable):
                await call
        assert list(await store.fire_due(advance, limit=10)) == []

    assert await store.apply(other.id, advance) == 2


async def test_reading_waits_for_nobody(store: SqliteStore):
    record = await created(store)

    async with store.transaction(record.id) as unit:
        await unit.write(step(record))
        await assert_untouched(store, record)


async def test_a_step_that_another_process_holds_up_is_busy(store: SqliteStore, path: Path):
    record = await created(store, creation(due=NOW))

    with closing(plain(path)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        with pytest.raises(InstanceBusy):
            await store.apply(record.id, advance)
        with pytest.raises(StoreUnavailable):
            await store.create(creation())
        assert list(await store.fire_due(advance, limit=10, now=NOW)) == []
        elsewhere.execute("ROLLBACK")

    assert await store.apply(record.id, advance) == 2


async def test_one_who_does_not_wait_does_not_wait_for_another_process_either(path: Path):
    async with opened(SqliteStore(path, busy_timeout=60)) as store:
        record = await created(store)
        with closing(plain(path)) as elsewhere:
            elsewhere.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(10):
                with pytest.raises(InstanceBusy):
                    async with store.transaction(record.id, wait=False):
                        pass
        async with store.begin() as connection:
            row = await connection.fetch_one("PRAGMA busy_timeout")
        assert row is not None
        assert row["timeout"] == 60_000


async def test_one_who_is_cancelled_while_another_process_writes_leaves_no_transaction_open(path: Path):
    async with opened(SqliteStore(path)) as store:
        record = await created(store)
        with closing(plain(path)) as elsewhere:
            elsewhere.execute("BEGIN IMMEDIATE")
            stuck = asyncio.create_task(store.apply(record.id, advance))
            for _ in range(20):
                await asyncio.sleep(0)
            stuck.cancel()
            elsewhere.execute("ROLLBACK")
            with pytest.raises(asyncio.CancelledError):
                await stuck

            async with asyncio.timeout(10):
                assert await store.apply(record.id, advance) == 2
            elsewhere.execute("BEGIN IMMEDIATE")


# ------------------------------------------------------------------------------------------------ processes


async def test_processes_that_open_and_write_one_new_file_at_once_all_succeed(path: Path):
    instance_id = new_id()

    async with asyncio.timeout(60):
        writers = [await _writer(path, instance_id, steps=60) for _ in range(2)]
        outputs = [await writer.communicate() for writer in writers]

    assert [(writer.returncode, errors) for writer, (_, errors) in zip(writers, outputs, strict=True)] == [(0, b"")] * 2
    versions = [int(line) for out, _ in outputs for line in out.split()]
    assert sorted(versions) == list(range(2, 122))
    async with opened(SqliteStore(path)) as store:
        assert await assert_whole(store, instance_id) == 121


async def test_what_was_answered_is_there_after_the_process_was_killed(path: Path):
    instance_id = new_id()

    async with asyncio.timeout(60):
        writer = await _writer(path, instance_id, steps=100_000)
        assert writer.stdout is not None
        for _ in range(25):
            answered = int(await writer.stdout.readline())
        writer.kill()
        # What it had answered by then is still in the pipe.
        lines = (await writer.stdout.read()).splitlines(keepends=True)
        await writer.wait()

    answered = max([answered, *(int(line) for line in lines if line.endswith(b"\n"))])
    async with opened(SqliteStore(path)) as store:
        version = await assert_whole(store, instance_id)
        assert version in (answered, answered + 1)
        assert await store.apply(instance_id, advance) == version + 1


async def _writer(path: Path, instance_id: UUID, *, steps: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sqlite_writer.py")),
        *(str(path), str(instance_id), str(steps)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
