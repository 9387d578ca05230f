"""Signals between stores, by LISTEN and NOTIFY."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL, text

from detent.testing.store_contract.signals import Ears
from detent_pg import PgStore
from packages.pg.tests.wire import Wire


@pytest.fixture
async def pair(migrated_url: URL) -> AsyncIterator[tuple[PgStore, PgStore]]:
    """Two open stores on one database."""
    async with AsyncExitStack() as stack:
        stores = [PgStore.from_url(migrated_url, pool_size=2) for _ in range(2)]
        for store in stores:
            await store.open()
            stack.push_async_callback(store.close)
        yield stores[0], stores[1]


async def listeners(store: PgStore) -> list[int]:
    """The backends of this database that listen."""
    asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    async with store.engine.connect() as connection:
        return list((await connection.execute(text(asked))).scalars())


async def test_two_stores_hear_each_other_and_nobody_hears_a_word_twice(pair: tuple[PgStore, PgStore]) -> None:
    one, other = pair
    ears = Ears(), Ears()
    async with one.signals.listen(ears[0].hear), other.signals.listen(ears[1].hear):
        one.signals.announce(["runs", "inbox"])
        assert ears[0].words == ["runs", "inbox"]
        await ears[1].until(["runs", "inbox"])
        other.signals.announce(["outbox"])
        await ears[0].until(["outbox"])

    assert ears[0].words == ["runs", "inbox", "outbox"]
    assert sorted(ears[1].words) == ["inbox", "outbox", "runs"]


async def test_words_said_together_are_one_statement(pair: tuple[PgStore, PgStore], wire: Wire) -> None:
    through = PgStore.from_url(wire.url(pair[0].engine.url), pool_size=1)
    await through.open()
    ear = Ears()
    async with pair[1].signals.listen(ear.hear):
        with wire.recording() as trips:
            for number in range(500):
                through.signals.announce([f"moved:{number:0100}", "runs"])
            await ear.until([f"moved:{499:0100}", "runs"])
    await through.close()

    assert len([sql for sql in trips if "pg_notify" in sql]) == 1
    assert len(ear.words) == 501


async def test_a_listener_takes_no_connection_of_the_pool_for_itself(migrated_url: URL) -> None:
    store = PgStore.from_url(migrated_url, pool_size=1, max_overflow=0, pool_timeout=1.0)
    await store.open()
    async with store.signals.listen(Ears().hear):
        assert (await store.health()).ok
        assert store.pool_stats().in_use == 0
    await store.close()


async def test_who_leaves_last_lets_the_connection_go(pair: tuple[PgStore, PgStore]) -> None:
    one, other = pair
    async with one.signals.listen(Ears().hear):
        async with one.signals.listen(Ears().hear):
            assert len(await listeners(other)) == 1
        assert len(await listeners(other)) == 1

    async with asyncio.timeout(5):
        while await listeners(other):  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.01)


async def test_a_listener_whose_backend_is_terminated_comes_back(
    pair: tuple[PgStore, PgStore], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    ear = Ears()
    async with one.signals.listen(ear.hear):
        [first] = await listeners(other)
        async with other.engine.connect() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
        async with asyncio.timeout(10):
            while await listeners(other) in ([], [first]):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)
        other.signals.announce(["runs"])
        await ear.until(["runs"])

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_without_the_database_the_words_of_the_own_store_are_heard(
    wire: Wire, migrated_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    store = PgStore.from_url(wire.url(migrated_url), pool_size=2, connect_timeout=1.0)
    await store.open()
    wire.refusing = True
    wire.cut_all()
    ear = Ears()

    async with store.signals.listen(ear.hear):
        store.signals.announce(["runs"])
        assert ear.words == ["runs"]
        wire.refusing = False
        async with asyncio.timeout(10):
            while not await listeners(store):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)
    await store.close()

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_notices_go_by_another_way_where_one_is_given(pair: tuple[PgStore, PgStore], wire: Wire) -> None:
    url = pair[0].engine.url
    store = PgStore(pair[0].engine, listen_url=wire.url(url).render_as_string(hide_password=False))
    await store.open()
    ear = Ears()
    with wire.recording() as trips:
        async with store.signals.listen(ear.hear):
            pair[1].signals.announce(["timers"])
            await ear.until(["timers"])
    await store.close()

    assert [sql for sql in trips if sql.startswith("LISTEN")]


async def test_the_other_way_has_the_session_settings_of_the_engine(migrated_url: URL) -> None:
    settings = {"application_name": "listens elsewhere"}
    store = PgStore.from_url(migrated_url, listen_url=migrated_url, session_settings=settings)
    await store.open()
    asked = "SELECT application_name FROM pg_stat_activity WHERE pid = :pid"
    async with store.signals.listen(Ears().hear):
        [listener] = await listeners(store)
        async with store.engine.connect() as connection:
            assert await connection.scalar(text(asked), {"pid": listener}) == "listens elsewhere"
    await store.close()


@pytest.mark.parametrize(
    ("given", "main", "other", "expected"),
    [
        ({"ssl": "verify-full"}, "", "?sslmode=disable", {"ssl": "verify-full", "timeout": 5.0}),
        ({}, "?sslmode=verify-ca", "", {"ssl": "verify-ca", "command_timeout": 30.0}),
        ({}, "?sslmode=verify-ca", "?sslmode=disable", {"ssl": "disable", "timeout": 5.0}),
        ({"connect_timeout": 1.5, "command_timeout": 7.0}, "", "", {"timeout": 1.5, "command_timeout": 7.0}),
        ({"session_settings": {}, "pool_size": 3}, "", "", {"server_settings": {}}),
    ],
    ids=["an argument", "the word of the main URL", "a word of its own", "timeouts", "no settings"],
)
async def test_the_other_way_is_connected_as_the_engine_is(
    given: dict[str, Any], main: str, other: str, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    async def connect(*_: object, **options: object) -> None:
        asked.append(options)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncpg, "connect", connect)
    store = PgStore.from_url(f"postgresql://main/shop{main}", listen_url=f"postgresql://other/shop{other}", **given)

    async with store.signals.listen(Ears().hear):
        pass

    assert asked[0]["host"] == "other"
    assert {name: asked[0].get(name) for name in expected} == expected


async def test_closing_sends_what_was_said_and_stops_listening(pair: tuple[PgStore, PgStore]) -> None:
    one, other = pair
    ear = Ears()
    leaving = PgStore.from_url(one.engine.url, pool_size=1)
    await leaving.open()
    async with other.signals.listen(ear.hear):
        leaving.signals.announce(["inbox"])
        async with leaving.signals.listen(Ears().hear):
            await leaving.close()
            leaving.signals.announce(["after"])
        await ear.until(["inbox"])

    assert ear.words == ["inbox"]


async def test_a_listener_that_raises_takes_no_word_from_the_others(
    pair: tuple[PgStore, PgStore], caplog: pytest.LogCaptureFixture
) -> None:
    def raises(word: str) -> None:
        raise RuntimeError(word)

    ear = Ears()
    async with pair[0].signals.listen(raises), pair[0].signals.listen(ear.hear):
        pair[0].signals.announce(["runs"])

    assert ear.words == ["runs"]
    assert "a listener raised" in caplog.text
