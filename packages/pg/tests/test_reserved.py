"""The connection that is kept for heartbeats, beside the pool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from detent.errors import StoreUnavailable
from detent.ids import new_id
from detent.store.run_records import ClaimedRun
from detent.testing.store_contract.samples import DAY, MINUTE, NOW, accepted, claimed, loaded_run
from detent_pg import PgStore, make_engine, reserved
from detent_pg.engine import SESSION_SETTINGS
from packages.pg.tests.wire import Wire


class Beating:
    """A store under a name of its own, and a run that it holds."""

    def __init__(self, watcher: PgStore, store: PgStore, name: str, held: ClaimedRun) -> None:
        self.store = store
        self.held = held
        self._watcher = watcher
        self._name = name

    async def beat(self, extend: timedelta = MINUTE) -> None:
        """One heartbeat, which finds the run held, within a bounded wait."""
        async with asyncio.timeout(4):
            assert await self.store.runs.heartbeat([self.held.lease], extend=extend, now=NOW) == {self.held.run.id}

    async def sessions(self) -> set[int]:
        """The backends of this store."""
        asked = text("SELECT pid FROM pg_stat_activity WHERE application_name = :name")
        async with self._watcher.engine.connect() as connection:
            return set((await connection.execute(asked, {"name": self._name})).scalars())

    async def reserved(self) -> int:
        """The backend of the connection beside the pool, which holds one."""
        async with self.store.engine.connect() as connection:
            pooled = await connection.scalar(text("SELECT pg_backend_pid()"))
        [pid] = await self.sessions() - {pooled}
        return pid

    async def are_gone(self, kept: int = 0) -> None:
        """Return as soon as no more than `kept` sessions are left."""
        async with asyncio.timeout(5):
            while len(await self.sessions()) > kept:  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)


@pytest.fixture
async def beating(store: PgStore) -> AsyncIterator[Beating]:
    """A store over an engine of the application, with a pool of one."""
    name = f"beating {new_id()}"
    await accepted(store)
    engine = make_engine(
        store.engine.url, pool_size=1, max_overflow=0, session_settings={**SESSION_SETTINGS, "application_name": name}
    )
    beating = Beating(store, PgStore(engine), name, await claimed(store))
    await beating.store.open()
    yield beating
    await beating.store.close()
    await engine.dispose()
    await beating.are_gone()


async def test_heartbeats_do_not_wait_for_a_pool_whose_connections_are_all_taken(store: PgStore) -> None:
    await accepted(store)
    held = await claimed(store)
    small = PgStore.from_url(store.engine.url, pool_size=2, max_overflow=0, pool_timeout=0.1)
    await small.open()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            connection = await stack.enter_async_context(small.engine.connect())
            await connection.execute(text("SELECT 1"))
        with pytest.raises(StoreUnavailable, match="pool"):
            await small.load(held.instance.id)

        async with asyncio.timeout(4):
            beats = await asyncio.gather(*(small.runs.heartbeat([held.lease], extend=DAY, now=NOW) for _ in range(20)))

        assert beats == [{held.run.id}] * 20
        assert small.pool_stats().in_use == 2
    assert (await loaded_run(store, held.run.id)).lease_until == NOW + DAY
    await small.close()


async def test_heartbeats_share_one_connection_that_is_made_for_the_first_and_kept(beating: Beating) -> None:
    assert len(await beating.sessions()) == 1
    await beating.beat()
    first = await beating.reserved()

    await asyncio.gather(*(beating.beat() for _ in range(8)))
    await beating.beat()

    assert await beating.reserved() == first


async def test_a_heartbeat_whose_backend_was_terminated_takes_another(beating: Beating, store: PgStore) -> None:
    await beating.beat()
    first = await beating.reserved()
    async with store.engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
    await beating.are_gone(kept=1)

    await beating.beat(DAY)

    assert await beating.reserved() != first
    assert (await loaded_run(store, beating.held.run.id)).lease_until == NOW + DAY


@pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
async def test_a_heartbeat_that_is_cut_is_made_again(wire: Wire, wired: PgStore, store: PgStore, forward: bool) -> None:
    await accepted(store)
    held = await claimed(wired)
    assert await wired.runs.heartbeat([held.lease], extend=MINUTE, now=NOW) == {held.run.id}

    wire.cut(lambda sql: "UPDATE detent_runs" in sql, forward=forward)
    assert await wired.runs.heartbeat([held.lease], extend=DAY, now=NOW) == {held.run.id}

    assert wire.was_cut.is_set()
    assert (await loaded_run(store, held.run.id)).lease_until == NOW + DAY


async def test_without_the_database_a_heartbeat_is_unavailable_and_works_when_it_is_back(
    wire: Wire, wired: PgStore, store: PgStore
) -> None:
    await accepted(store)
    held = await claimed(wired)
    await wired.runs.heartbeat([held.lease], extend=MINUTE, now=NOW)
    wire.refusing = True
    wire.cut_all()

    with pytest.raises(StoreUnavailable):
        await wired.runs.heartbeat([held.lease], extend=MINUTE, now=NOW)
    wire.refusing = False

    assert await wired.runs.heartbeat([held.lease], extend=MINUTE, now=NOW) == {held.run.id}


async def test_a_heartbeat_that_is_not_answered_is_given_up(
    beating: Beating, store: PgStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await beating.beat()
    with monkeypatch.context() as patched:
        patched.setattr(reserved, "_PATIENCE", 0.1)
        async with store.engine.begin() as connection:
            await connection.execute(text("LOCK TABLE detent_runs IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(StoreUnavailable):
                await beating.store.runs.heartbeat([beating.held.lease], extend=MINUTE, now=NOW)

    await beating.beat()

    await beating.are_gone(kept=2)


async def test_a_heartbeat_that_nobody_waits_for_is_not_tried_again(
    beating: Beating, store: PgStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await beating.beat()
    monkeypatch.setattr(reserved, "_PATIENCE", 0.5)
    async with store.engine.begin() as connection:
        await connection.execute(text("LOCK TABLE detent_runs IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await beating.store.runs.heartbeat([beating.held.lease], extend=DAY, now=NOW)

        # It waits for what is under way.
        async with asyncio.timeout(2):
            await beating.store.close()


async def test_closing_lets_the_connection_go_and_leaves_the_engine_of_the_application_alone(beating: Beating) -> None:
    await beating.beat()
    assert len(await beating.sessions()) == 2

    await beating.store.close()

    await beating.are_gone(kept=1)
    await beating.store.open()
    await beating.beat()
    assert len(await beating.sessions()) == 2


async def test_closing_a_store_whose_connection_is_lost_is_no_trouble(wire: Wire, store: PgStore) -> None:
    await accepted(store)
    held = await claimed(store)
    leaving = PgStore.from_url(wire.url(store.engine.url), pool_size=1)
    await leaving.open()
    await leaving.runs.heartbeat([held.lease], extend=MINUTE, now=NOW)
    wire.refusing = True
    wire.cut_all()

    async with asyncio.timeout(5):
        await leaving.close()


async def test_one_connection_is_kept_although_the_engine_keeps_none(store: PgStore) -> None:
    name = f"beating {new_id()}"
    await accepted(store)
    engine = create_async_engine(
        store.engine.url, poolclass=NullPool, connect_args={"server_settings": {"application_name": name}}
    )
    beating = Beating(store, PgStore(engine), name, await claimed(store))
    await beating.beat()
    [first] = await beating.sessions()

    await beating.beat()

    assert await beating.sessions() == {first}
    await beating.store.close()
    await beating.are_gone()
