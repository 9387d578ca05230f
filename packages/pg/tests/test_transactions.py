"""What is PostgreSQL's own about steps in transactions: waits, deadlocks, swallowed errors, and commands that end them."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import URL, QueuePool, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from detent.errors import InstanceBusy, StepRolledBack, StoreError, StoreUnavailable
from detent.store.change import Change
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    receipt_key,
    receipt_of,
    step,
)
from detent_pg import PgStore
from detent_pg.ending import TransactionEnded
from detent_pg.faults import TransactionAborted
from packages.pg.tests.orm import Note
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire


async def notes(store: PgStore) -> int:
    async with store.engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(Note)) or 0


class Boom(Exception):
    """What a command may raise."""


async def test_a_row_that_is_held_is_busy_in_time_and_the_connection_stays_well(
    store: PgStore, migrated_url: URL
) -> None:
    record = await created(store)
    impatient = PgStore.from_url(migrated_url, pool_size=1, max_overflow=0, lock_timeout=0.2)
    async with store.transaction(record.id):
        for attempt in (lambda: impatient.apply(record.id, advance), lambda: entered(impatient, record.id)):
            started = time.perf_counter()
            with pytest.raises(InstanceBusy):
                await attempt()
            assert 0.1 < time.perf_counter() - started < 2

    assert await impatient.apply(record.id, advance) == 2
    assert impatient.pool_stats().in_use == 0
    await impatient.close()


async def entered(store: PgStore, instance_id: Any) -> None:
    async with store.transaction(instance_id):
        pass


async def test_the_timeouts_end_with_the_transaction(store: PgStore) -> None:
    record = await created(store)
    async with store.transaction(record.id) as unit:
        during = [await setting(unit.connection, name) for name in ("lock_timeout", "statement_timeout")]
    async with AsyncSession(store.engine) as session:
        after = [await setting(session, name) for name in ("lock_timeout", "statement_timeout")]

    assert during == ["3s", "5s"]
    assert after == ["0", "0"]


async def test_a_lent_transaction_keeps_its_own_timeouts(store: PgStore) -> None:
    record = await created(store)
    async with AsyncSession(store.engine) as session:
        await session.execute(text("SET LOCAL lock_timeout = '1234ms'"))
        async with store.join(session, record.id) as unit:
            await unit.write(step(record))
        async with store.join(session, None) as unit:
            await unit.write(creation())

        assert await setting(session, "lock_timeout") == "1234ms"
        assert await setting(session, "statement_timeout") == "0"


@pytest.mark.parametrize("keyed", [True, False], ids=["a key", "an id"])
async def test_a_creation_in_a_lent_transaction_waits_no_longer_than_a_step_of_our_own(
    store: PgStore, migrated_url: URL, keyed: bool
) -> None:
    impatient = PgStore.from_url(migrated_url, lock_timeout=0.2)
    key = receipt_key()
    first = creation(key=key) if keyed else creation()
    second = creation(key=key) if keyed else first

    async with asyncio.timeout(10), store.transaction(None) as unit, AsyncSession(impatient.engine) as session:
        await unit.write(first)
        with pytest.raises(StepRolledBack, match="another creation"):
            async with impatient.join(session, None) as joined:
                await joined.write(second)
        assert await setting(session, "lock_timeout") == "0"

    assert await impatient.load(second.instance.id) == (None if keyed else first.instance)
    await impatient.close()


async def test_a_creation_whose_key_is_taken_gives_a_lent_transaction_its_timeout_back(store: PgStore) -> None:
    key = receipt_key()
    record = await created(store, creation(key=key))

    async with AsyncSession(store.engine) as session:
        await session.execute(text("SET LOCAL lock_timeout = '1234ms'"))
        for change in (creation(key=key), creation(key=receipt_key())):
            async with store.join(session, None) as unit:
                existing = await unit.write(change)
            assert (existing is None) == (receipt_of(change).key != key)
            assert existing is None or existing.instance == record
            assert await setting(session, "lock_timeout") == "1234ms"


async def test_a_creation_that_waits_too_long_for_its_key_names_no_instance(store: PgStore, migrated_url: URL) -> None:
    impatient = PgStore.from_url(migrated_url, lock_timeout=0.1)
    key = receipt_key()

    async with asyncio.timeout(10), store.transaction(None) as unit:
        await unit.write(creation(key=key))
        with pytest.raises(StoreUnavailable, match="another creation"):
            await impatient.create(creation(key=key))
        with pytest.raises(StepRolledBack, match="another creation"):
            async with impatient.transaction(None) as other:
                await other.write(creation(key=key))

    await impatient.close()


async def test_a_row_that_a_command_waits_for_in_vain_rolls_its_step_back(store: PgStore, migrated_url: URL) -> None:
    impatient = PgStore.from_url(migrated_url, lock_timeout=0.1)
    record = await created(store)
    wanted = text("SELECT 1 FROM notes FOR UPDATE")

    async with AsyncSession(store.engine) as holder, asyncio.timeout(10):
        holder.add(Note(note="wanted"))
        await holder.commit()
        await holder.execute(wanted)
        with pytest.raises(StepRolledBack, match="held by another transaction"):
            async with impatient.transaction(record.id) as unit:
                await unit.connection.execute(wanted)

    await assert_untouched(store, record)
    await impatient.close()


async def test_how_long_statements_of_a_lent_transaction_wait_is_its_own_affair(store: PgStore) -> None:
    record = await created(store)
    wanted = text("SELECT 1 FROM notes FOR UPDATE NOWAIT")

    async with AsyncSession(store.engine) as holder, AsyncSession(store.engine) as session:
        holder.add(Note(note="wanted"))
        await holder.commit()
        await holder.execute(wanted)
        with pytest.raises(DBAPIError):
            async with store.join(session, record.id) as unit:
                await unit.connection.execute(wanted)

    await assert_untouched(store, record)


async def test_a_row_that_cannot_be_read_loses_its_deadline_and_stops_nobody(
    store: PgStore, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = [await created(store, creation(due=NOW - days * DAY)) for days in (2, 1)]
    async with store.engine.begin() as connection:
        by_hand = text("UPDATE detent_instances SET timers = '[{}]' WHERE id = :id")
        await connection.execute(by_hand, {"id": broken.id})

    fired = await store.fire_due(advance, limit=10, now=NOW)
    again = await store.fire_due(advance, limit=10, now=NOW)

    assert (list(fired), list(again)) == ([(whole.id, 2)], [])
    assert [str(broken.id) in line for line in caplog.messages] == [True]
    async with store.engine.connect() as connection:
        kept = text("SELECT version, due_at, timers::text FROM detent_instances WHERE id = :id")
        assert (await connection.execute(kept, {"id": broken.id})).one() == (1, None, "[{}]")


async def setting(session: AsyncSession, name: str) -> str:
    return str(await session.scalar(select(func.current_setting(name))))


async def test_the_clock_of_a_step_is_read_after_the_wait(store: PgStore) -> None:
    record = await created(store)

    async def second() -> Any:
        async with store.transaction(record.id) as unit:
            return unit.now

    async with store.transaction(record.id):
        waiter = asyncio.create_task(second())
        await someone_waits(store.engine)
        async with AsyncSession(store.engine) as session:
            released = await session.scalar(select(func.clock_timestamp()))

    assert await waiter > released


async def test_a_step_queues_for_the_row_after_losing_the_race(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)
    await wired.apply(record.id, advance)
    decided: list[int] = []

    def decide(current: WorkflowInstance, receipt: Receipt | None, now: datetime) -> tuple[Change | None, int]:
        # What it knew first is what was there before: the write finds another version and changes nothing.
        decided.append(current.version)
        return advance(record if len(decided) == 1 else current, receipt, now)

    with wire.recording() as trips:
        await wired.apply(record.id, decide)

    assert decided == [2, 2]
    assert await assert_whole(wired, record.id) == 3
    assert sum("locked AS MATERIALIZED" in sql for sql in trips) == 1


async def test_32_contenders_all_get_their_turn(store: PgStore) -> None:
    record = await created(store)

    await asyncio.gather(*(store.apply(record.id, advance) for _ in range(32)))

    assert await assert_whole(store, record.id) == 33


async def test_a_deadlock_rolls_one_of_two_steps_back(store: PgStore) -> None:
    first, second = [await created(store) for _ in range(2)]
    both = asyncio.Barrier(2)

    async def lock_both(mine: Any, other: Any) -> None:
        async with store.transaction(mine.id) as unit:
            await both.wait()
            await unit.connection.execute(
                text("SELECT 1 FROM detent_instances WHERE id = :id FOR UPDATE"), {"id": other.id}
            )
            await unit.write(step(mine))

    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(lock_both(first, second), lock_both(second, first), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome] == [StepRolledBack]
    versions = [await assert_whole(store, record.id) for record in (first, second)]
    assert sorted(versions) == [1, 2]


async def test_a_deadlock_in_a_lent_transaction_leaves_it_usable(store: PgStore) -> None:
    first, second = [await created(store) for _ in range(2)]
    both = asyncio.Barrier(2)

    async def lock_both(mine: Any, other: Any) -> None:
        async with AsyncSession(store.engine) as session:
            session.add(Note(note=str(mine.id)))
            try:
                async with store.join(session, mine.id) as unit:
                    await both.wait()
                    async with store.join(unit.connection, other.id) as inner:
                        await inner.write(step(other))
            finally:
                await session.commit()

    async with asyncio.timeout(15):
        outcomes = await asyncio.gather(lock_both(first, second), lock_both(second, first), return_exceptions=True)

    failed = [outcome for outcome in outcomes if outcome]
    assert [type(error) for error in failed] in ([StepRolledBack], [InstanceBusy])
    assert await notes(store) == 2


@pytest.mark.parametrize("written_first", [True, False], ids=["after the write", "before the write"])
async def test_a_swallowed_error_is_not_taken_for_a_commit(store: PgStore, written_first: bool) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, and neither driver nor SQLAlchemy says so."""
    record = await created(store)
    called: list[str] = []

    with pytest.raises(TransactionAborted):
        async with store.transaction(record.id) as unit:
            unit.after_commit(lambda: called.append("never"))
            if written_first:
                await unit.write(step(record))
            with pytest.raises(Exception, match="division by zero"):
                await unit.connection.execute(text("SELECT 1/0"))
            if not written_first:
                await unit.write(step(record))

    await assert_untouched(store, record)
    assert called == []


async def test_an_error_in_a_savepoint_of_the_command_is_its_own_affair(store: PgStore) -> None:
    record = await created(store)

    async with store.transaction(record.id) as unit:
        session = unit.connection
        session.add(Note(note="kept"))
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                session.add(Note(note="kept"))
        await unit.write(step(record))

    assert await assert_whole(store, record.id) == 2
    assert await notes(store) == 1


async def test_an_error_of_a_command_comes_through_unchanged(store: PgStore) -> None:
    record = await created(store)

    for error in (Boom(), TimeoutError(), ConnectionRefusedError("the payment provider"), OSError()):
        with pytest.raises(type(error)) as raised:
            async with store.transaction(record.id) as unit:
                await unit.write(step(record))
                raise error
        assert raised.value is error

    with pytest.raises(IntegrityError):
        async with store.transaction(record.id) as unit:
            unit.connection.add_all([Note(note="twice"), Note(note="twice")])
            await unit.flush()
    await assert_untouched(store, record)


async def commit(session: AsyncSession) -> None:
    await session.commit()


async def rollback(session: AsyncSession) -> None:
    await session.rollback()


async def close(session: AsyncSession) -> None:
    await session.close()


async def commit_connection(session: AsyncSession) -> None:
    await (await session.connection()).commit()


async def rollback_connection(session: AsyncSession) -> None:
    await (await session.connection()).rollback()


Ending = Callable[[AsyncSession], Awaitable[None]]
ENDINGS = (commit, rollback, commit_connection, rollback_connection)


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_command_cannot_end_the_transaction_of_its_step(store: PgStore, end: Ending) -> None:
    record = await created(store)

    with pytest.raises(TransactionEnded):
        async with store.transaction(record.id) as unit:
            unit.connection.add(Note(note="of the command"))
            await unit.connection.flush()
            await end(unit.connection)
            await unit.write(step(record))

    await assert_untouched(store, record)
    assert await notes(store) == 0
    assert await store.apply(record.id, advance) == 2


# SQLAlchemy says so when a session closes whose connection was committed or rolled back behind its back.
@pytest.mark.filterwarnings("ignore:.*transaction already deassociated")
@pytest.mark.parametrize("end", ENDINGS)
async def test_a_command_cannot_end_the_transaction_of_the_application(store: PgStore, end: Ending) -> None:
    record = await created(store)

    with pytest.raises(TransactionEnded):
        async with AsyncSession(store.engine) as session:
            session.add(Note(note="of the application"))
            await session.flush()
            async with store.join(session, record.id) as unit:
                await end(unit.connection)
                await unit.write(step(record))

    await assert_untouched(store, record)
    assert await notes(store) == 0


async def test_a_refused_commit_leaves_a_lent_session_usable(store: PgStore) -> None:
    record = await created(store)

    async with AsyncSession(store.engine) as session:
        session.add(Note(note="of the application"))
        with pytest.raises(TransactionEnded):
            async with store.join(session, record.id) as unit:
                unit.connection.add(Note(note="of the command"))
                await unit.connection.commit()
        await session.commit()

    assert await notes(store) == 1


async def test_a_step_of_another_instance_joins_the_session_of_a_command(store: PgStore) -> None:
    outer, inner = [await created(store) for _ in range(2)]
    called: list[str] = []

    async with store.transaction(outer.id) as unit:
        async with store.join(unit.connection, inner.id) as joined:
            joined.after_commit(lambda: called.append("inner"))
            await joined.write(step(inner))
        with pytest.raises(Boom):
            async with unit.savepoint(), store.join(unit.connection, inner.id) as joined:
                joined.after_commit(lambda: called.append("undone"))
                raise Boom
        await unit.write(step(outer))
        assert called == []

    assert called == ["inner"]
    assert [await assert_whole(store, record.id) for record in (outer, inner)] == [2, 2]


async def test_objects_of_an_undone_join_leave_the_session(store: PgStore) -> None:
    record = await created(store)

    async with AsyncSession(store.engine) as session:
        undone = Note(note="undone")
        with pytest.raises(Boom):
            async with store.join(session, record.id) as unit:
                session.add(undone)
                await unit.flush()
                raise Boom
        assert undone not in session
        session.add(Note(note="kept"))
        await session.commit()

    assert await notes(store) == 1


async def test_a_terminated_backend_is_replaced(store: PgStore, migrated_url: URL) -> None:
    other = PgStore.from_url(migrated_url, pool_size=2, max_overflow=0)
    record = await created(other)

    with pytest.raises(StepRolledBack):
        async with other.transaction(record.id) as unit:
            pid = await unit.connection.scalar(select(func.pg_backend_pid()))
            async with store.engine.begin() as connection:
                await connection.execute(select(func.pg_terminate_backend(pid)))
            await unit.write(step(record))

    assert await other.apply(record.id, advance) == 2
    await other.close()


async def test_a_step_that_lost_its_connection_does_not_touch_the_one_that_follows(
    store: PgStore, migrated_url: URL
) -> None:
    """Both have the pool's only slot: the first is still ending when the second has it."""
    other = PgStore.from_url(migrated_url, pool_size=1, max_overflow=0)
    first, second, third = [await created(other) for _ in range(3)]
    lost, inside, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    called: list[str] = []

    async def lose() -> None:
        async with other.transaction(first.id) as unit:
            pid = await unit.connection.scalar(select(func.pg_backend_pid()))
            async with store.engine.begin() as connection:
                await connection.execute(select(func.pg_terminate_backend(pid)))
            try:
                await unit.connection.execute(text("SELECT 1"))
            finally:
                lost.set()
                await inside.wait()

    async def commit_by_itself() -> None:
        await lost.wait()
        async with other.transaction(second.id) as unit:
            inside.set()
            await ended.wait()
            unit.connection.add(Note(note="of the command"))
            await unit.connection.flush()
            await commit_connection(unit.connection)

    async with asyncio.timeout(10):
        losing, committing = asyncio.create_task(lose()), asyncio.create_task(commit_by_itself())
        with pytest.raises(StepRolledBack):
            await losing
        ended.set()
        with pytest.raises(TransactionEnded):
            await committing
        async with other.transaction(third.id) as unit:
            async with other.join(unit.connection, first.id) as joined:
                joined.after_commit(lambda: called.append("first"))
            await unit.write(step(third))

    assert await notes(store) == 0
    assert called == ["first"]
    await other.close()


async def test_what_is_put_off_to_the_commit_and_fails_there_is_an_error_of_sqlalchemy(store: PgStore) -> None:
    record = await created(store)
    deferred = text("CREATE TEMPORARY TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
    pool = store.pool_stats().in_use

    with pytest.raises(IntegrityError):
        async with store.transaction(record.id) as unit:
            await unit.connection.execute(deferred)
            await unit.connection.execute(text("INSERT INTO once VALUES (1), (1)"))
            await unit.write(step(record))

    await assert_untouched(store, record)
    assert store.pool_stats().in_use == pool
    assert await store.apply(record.id, advance) == 2


async def test_a_step_that_is_cancelled_gives_its_connection_back_without_a_transaction(
    store: PgStore, migrated_url: URL
) -> None:
    other = PgStore.from_url(migrated_url, pool_size=1, max_overflow=0)
    record = await created(other)
    inside = asyncio.Event()

    async def stay() -> None:
        async with other.transaction(record.id) as unit:
            await unit.write(step(record))
            inside.set()
            await asyncio.Event().wait()

    staying = asyncio.create_task(stay())
    await inside.wait()
    staying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await staying

    assert other.pool_stats().in_use == 0
    async with AsyncSession(other.engine) as session:
        raw = await (await session.connection()).get_raw_connection()
        assert raw.driver_connection is not None
        assert not raw.driver_connection.is_in_transaction()
    await assert_untouched(store, record)
    await other.close()


async def test_a_cursor_of_a_command_is_read_in_the_transaction_of_its_step(store: PgStore) -> None:
    record = await created(store)

    async with store.transaction(record.id) as unit:
        streamed = await unit.connection.stream(text("SELECT n FROM generate_series(1, 3) AS n"))
        found = [row.n async for row in streamed]
        await unit.write(step(record))

    assert found == [1, 2, 3]
    assert await assert_whole(store, record.id) == 2


async def test_an_exhausted_pool_is_unavailable_in_time(migrated_url: URL) -> None:
    store = PgStore.from_url(migrated_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    record = await created(store)

    async with store.transaction(record.id):
        assert store.pool_stats().in_use == 1
        with pytest.raises(StoreUnavailable):
            await store.load(record.id)

    assert await store.load(record.id) == record
    await store.close()


async def test_altered_tables_are_no_error_for_a_prepared_statement(store: PgStore) -> None:
    record = await created(store)
    await store.apply(record.id, advance)
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE detent_instances ALTER COLUMN state TYPE varchar(99)"))
    try:
        assert await store.apply(record.id, advance) == 3
    finally:
        async with store.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE detent_instances ALTER COLUMN state TYPE text"))
    assert await store.apply(record.id, advance) == 4


async def test_a_json_codec_of_the_application_does_not_reach_us(migrated_url: URL) -> None:
    engine = create_async_engine(
        migrated_url.set(drivername="postgresql+asyncpg"),
        json_serializer=lambda _: '"serialized"',
        json_deserializer=lambda _: "deserialized",
    )
    store = PgStore(engine)
    await store.open()
    change = creation(context={"a": [1, 1e300, "ü"]})

    record = await created(store, change)

    assert record == change.instance
    assert (await store.history(record.id, limit=1))[0] == change.entries[0]
    await store.close()
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.checkedin()
    await engine.dispose()


async def test_a_key_that_is_too_long_is_refused(store: PgStore) -> None:
    change = creation(key=receipt_key("k" * 257))

    with pytest.raises(StoreError):
        await store.create(change)

    assert await store.load(change.instance.id) is None
