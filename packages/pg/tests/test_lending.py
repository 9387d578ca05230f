"""What may be lent to the store, and what is refused before anything is sent."""

# ruff: noqa: PT012 (that a whole block is undone is what some of these tests are about)

import logging
from dataclasses import replace

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from detent.errors import ConnectionNotSupported, InstanceBusy, StoreError
from detent.store.change import Change
from detent.store.protocol import Known
from detent.store.records import WorkflowInstance
from detent.testing.store_contract.samples import advance, assert_untouched, assert_whole, created, remembering, step
from detent_pg import PgStore
from detent_pg.faults import TransactionAborted
from detent_pg.transaction import same_database
from packages.pg.tests.wire import Wire
from tests.postgres import Postgres


@pytest.fixture
def elsewhere(postgres_server: Postgres) -> URL:
    """Another database on the same server."""
    return postgres_server.database("postgres").set(drivername="postgresql+asyncpg")


async def refused(store: PgStore, outside: object) -> None:
    record = await created(store)
    with pytest.raises(ConnectionNotSupported):
        async with store.join(outside, record.id):
            pass
    with pytest.raises(ConnectionNotSupported):
        async with store.lend(outside):
            pass
    await assert_untouched(store, record)


async def test_another_database_is_refused(store: PgStore, elsewhere: URL) -> None:
    engine = create_async_engine(elsewhere)
    async with AsyncSession(engine) as session, engine.connect() as connection:
        await refused(store, session)
        await refused(store, connection)
    await engine.dispose()


async def test_the_same_database_through_another_engine_is_taken(store: PgStore) -> None:
    record = await created(store)
    engine = create_async_engine(store.engine.url)
    async with AsyncSession(engine) as session:
        async with store.join(session, record.id) as unit:
            await unit.write(step(record))
        await session.commit()
    await engine.dispose()

    assert await assert_whole(store, record.id) == 2


async def test_autocommit_is_refused(store: PgStore) -> None:
    async with store.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await refused(store, connection)
    always = create_async_engine(store.engine.url, isolation_level="AUTOCOMMIT")
    async with AsyncSession(always) as session:
        await refused(store, session)
    await always.dispose()


async def test_a_closed_connection_an_engine_and_a_raw_connection_are_refused(store: PgStore) -> None:
    async with store.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await refused(store, raw.driver_connection)
    await refused(store, connection)
    await refused(store, store.engine)


async def test_a_bare_connection_calls_nobody_and_the_log_says_so_once(
    store: PgStore, migrated_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    store = PgStore.from_url(migrated_url)
    first, second = [await created(store) for _ in range(2)]
    called: list[str] = []

    with caplog.at_level(logging.WARNING, "detent.store"):
        async with store.engine.begin() as connection:
            for record in (first, second):
                async with store.join(connection, record.id) as unit:
                    unit.after_commit(lambda: called.append("never"))
                    await unit.write(step(record))

    assert called == []
    assert ["bare AsyncConnection" in line for line in caplog.messages] == [True]
    assert await assert_whole(store, first.id) == 2
    await store.close()


async def test_a_session_that_is_used_again_calls_nobody_twice(store: PgStore) -> None:
    record = await created(store)
    called: list[str] = []

    async with AsyncSession(store.engine) as session:
        async with store.join(session, record.id) as unit:
            unit.after_commit(lambda: called.append("first"))
            await unit.write(step(record))
        await session.commit()
        await session.execute(text("SELECT 1"))
        await session.commit()
        async with store.join(session, record.id) as unit:
            unit.after_commit(lambda: called.append("rolled back"))
        await session.rollback()

    assert called == ["first"]


async def test_a_rollback_inside_the_block_takes_the_callbacks_with_it(store: PgStore) -> None:
    first, second = [await created(store) for _ in range(2)]
    called: list[str] = []

    async with store.engine.connect() as connection, store.lend(connection):
        async with store.join(connection, first.id) as unit:
            unit.after_commit(lambda: called.append("rolled back"))
            await unit.write(step(first))
        await connection.rollback()
        async with store.join(connection, second.id) as unit:
            unit.after_commit(lambda: called.append("committed"))
            await unit.write(step(second))

    assert called == ["committed"]
    await assert_untouched(store, first)
    assert await assert_whole(store, second.id) == 2


@pytest.mark.parametrize("end", ["rollback", "close"])
async def test_a_lent_session_may_be_rolled_back_inside_the_block_and_used_again(store: PgStore, end: str) -> None:
    first, second = [await created(store) for _ in range(2)]
    called: list[str] = []

    async with AsyncSession(store.engine) as session, store.lend(session):
        async with store.join(session, first.id) as unit:
            unit.after_commit(lambda: called.append("rolled back"))
            await unit.write(step(first))
        with pytest.raises(DBAPIError):
            await session.execute(text("SELECT 1/0"))
        await getattr(session, end)()
        async with store.join(session, second.id) as unit:
            unit.after_commit(lambda: called.append("committed"))
            await unit.write(step(second))

    assert called == ["committed"]
    await assert_untouched(store, first)
    assert await assert_whole(store, second.id) == 2


async def test_a_connection_that_is_closed_inside_the_block_calls_nobody(store: PgStore) -> None:
    record = await created(store)
    called: list[str] = []

    async with store.engine.connect() as connection, store.lend(connection):
        async with store.join(connection, record.id) as unit:
            unit.after_commit(lambda: called.append("never"))
            await unit.write(step(record))
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1/0"))
        await connection.close()

    assert called == []
    await assert_untouched(store, record)


async def test_lending_what_is_lent_already_settles_both(store: PgStore) -> None:
    first, second, third = [await created(store) for _ in range(3)]
    called: list[str] = []

    async def joined(connection: AsyncConnection, record: WorkflowInstance, said: str) -> None:
        async with store.join(connection, record.id) as unit:
            unit.after_commit(lambda: called.append(said))
            await unit.write(step(record))

    async with store.engine.connect() as connection, store.lend(connection):
        await joined(connection, first, "first")
        async with store.lend(connection):
            await joined(connection, second, "second")
        assert called == ["first", "second"]
        await joined(connection, third, "third")

    assert called == ["first", "second", "third"]
    for record in (first, second, third):
        assert await assert_whole(store, record.id) == 2


def lent(store: PgStore, kind: str) -> AsyncSession | AsyncConnection:
    return AsyncSession(store.engine) if kind == "session" else store.engine.connect()


KINDS = pytest.mark.parametrize("kind", ["session", "connection"])
BEGUN = pytest.mark.parametrize("begun", [True, False], ids=["begun", "first"])
HOW = pytest.mark.parametrize("how", ["known", "read"])


def _seen(record: WorkflowInstance, how: str) -> Known:
    return remembering(record if how == "known" else None)


@KINDS
@BEGUN
@HOW
async def test_a_decided_step_is_committed_by_the_application(store: PgStore, kind: str, begun: bool, how: str) -> None:
    record = await created(store)
    told: list[int] = []

    async with lent(store, kind) as outside:
        if begun:
            await outside.execute(text("SELECT 1"))
        async with store.lend(outside):
            known = _seen(record, how)
            answer = await store.apply(record.id, advance, known=known, after_commit=told.append, outside=outside)
            assert (answer, told) == (2, [])

    assert told == [2]
    assert await assert_whole(store, record.id) == 2


@KINDS
@BEGUN
@HOW
async def test_a_decided_step_is_undone_by_itself(store: PgStore, kind: str, begun: bool, how: str) -> None:
    first, second = [await created(store) for _ in range(2)]
    told: list[str] = []

    def poisoned(record: WorkflowInstance, *_: object) -> tuple[Change, str]:
        change = step(record)
        # What PostgreSQL cannot store.
        return replace(change, instance=replace(change.instance, context={"nul": "\0"})), "never"

    async with lent(store, kind) as outside:
        if begun:
            await outside.execute(text("SELECT 1"))
        await store.apply(
            first.id, advance, known=_seen(first, how), after_commit=lambda _: told.append("kept"), outside=outside
        )
        with pytest.raises(StoreError):
            await store.apply(
                second.id, poisoned, known=_seen(second, how), after_commit=lambda _: told.append("no"), outside=outside
            )
        assert told == []
        await outside.commit()

    assert told == (["kept"] if kind == "session" else [])
    assert await assert_whole(store, first.id) == 2
    await assert_untouched(store, second)


@KINDS
@HOW
async def test_a_decided_step_waits_no_longer_and_leaves_the_transaction_usable(
    store: PgStore, migrated_url: URL, kind: str, how: str
) -> None:
    impatient = PgStore.from_url(migrated_url, lock_timeout=0.1)
    record = await created(store)

    async with store.transaction(record.id), lent(impatient, kind) as outside:
        before = (await outside.execute(text("SHOW lock_timeout"))).scalar()
        with pytest.raises(InstanceBusy):
            await impatient.apply(record.id, advance, known=_seen(record, how), outside=outside)
        assert (await outside.execute(text("SHOW lock_timeout"))).scalar() == before
        await outside.commit()

    await assert_untouched(store, record)
    await impatient.close()


@KINDS
@HOW
async def test_a_decided_step_in_a_transaction_that_has_failed_undoes_no_savepoint_but_its_own(
    store: PgStore, kind: str, how: str
) -> None:
    first, second = [await created(store) for _ in range(2)]

    async with lent(store, kind) as outside:
        with pytest.raises(ZeroDivisionError):
            async with store.join(outside, first.id) as around:
                await around.write(step(first))
                with pytest.raises(DBAPIError):
                    await outside.execute(text("SELECT 1/0"))
                with pytest.raises(TransactionAborted):
                    await store.apply(second.id, advance, known=_seen(second, how), outside=outside)
                raise ZeroDivisionError
        assert (await outside.execute(text("SELECT 1"))).scalar() == 1
        await outside.commit()

    await assert_untouched(store, first)


@KINDS
async def test_savepoints_of_decided_steps_do_not_pile_up(wired: PgStore, kind: str, wire: Wire) -> None:
    store, record = wired, await created(wired)

    async with lent(store, kind) as outside:
        await outside.execute(text("SELECT 1"))
        with wire.recording() as trips:
            for _ in range(3):
                await store.apply(record.id, advance, outside=outside)
        async with outside.begin_nested():
            with wire.recording() as inside:
                for _ in range(2):
                    await store.apply(record.id, advance, outside=outside)
        await outside.commit()

    assert [said.count("RELEASE") for said in (" ".join(trips), " ".join(inside))] == [2, 1]
    assert await assert_whole(store, record.id) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://localhost/a", "postgresql+asyncpg://127.0.0.1:5432/a", True),
        ("postgresql://u:p@db/a", "postgresql+asyncpg://someone@db/a", True),
        ("postgresql://db/a", "postgresql://db/b", False),
        ("postgresql://db/a", "postgresql://db:5433/a", False),
        ("postgresql://db/a", "postgresql://other/a", False),
        ("postgresql:///a?host=/run/pg", "postgresql:///a?host=/run/pg", True),
        ("postgresql:///a?host=/run/pg", "postgresql:///a?host=/run/other", False),
    ],
)
def test_databases_are_told_apart_by_host_port_and_name(one: str, other: str, same: bool) -> None:
    assert same_database(make_url(one), make_url(other)) == same
