"""Signals between processes, by publish and subscribe."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from detent import (
    CommandContext,
    Event,
    MemoryStore,
    Ok,
    SqliteStore,
    State,
    WorkflowDefinition,
    WorkflowRuntime,
    command,
)
from detent.errors import InvalidValue
from detent.store.protocol import Store
from detent.testing.store_contract.signals import Ears
from detent.workers import Worker
from detent_pg import PgStore
from detent_redis import RedisSignals, with_signals
from packages.redis.tests.kits import opened
from packages.redis.tests.redis_server import RedisServer

ANNOUNCER = Path(__file__).parent / "announcer.py"


async def announce_until_heard(signals: RedisSignals, word: str, ear: Ears) -> None:
    """Say it again and again: what is said while a listener comes back is lost."""
    async with asyncio.timeout(20):
        while word not in ear.words:
            signals.announce([word])
            with suppress(TimeoutError):
                await asyncio.wait_for(ear.until([word]), 0.1)


@pytest.fixture
async def pair(redis_url: str, prefix: str) -> AsyncIterator[tuple[RedisSignals, RedisSignals]]:
    """Two ends, each with connections of its own."""
    one, other = RedisSignals(redis_url, prefix=prefix), RedisSignals(redis_url, prefix=prefix)
    yield one, other
    await one.close()
    await other.close()


async def test_two_ends_hear_each_other_and_nobody_hears_a_word_twice(pair: tuple[RedisSignals, RedisSignals]) -> None:
    one, other = pair
    ears = Ears(), Ears()
    async with one.listen(ears[0].hear), other.listen(ears[1].hear):
        one.announce(["runs", "inbox"])
        assert ears[0].words == ["runs", "inbox"]
        await ears[1].until(["runs", "inbox"])
        # What comes back to the first one comes before this.
        other.announce(["outbox"])
        await ears[0].until(["outbox"])

    assert ears[0].words == ["runs", "inbox", "outbox"]
    assert sorted(ears[1].words) == ["inbox", "outbox", "runs"]


async def test_what_is_said_often_in_one_moment_is_carried_once(pair: tuple[RedisSignals, RedisSignals]) -> None:
    one, other = pair
    ear = Ears()
    async with other.listen(ear.hear):
        for _ in range(100):
            one.announce(["runs"])
        one.announce(["last"])
        await ear.until(["last"])

    assert ear.words == ["runs", "last"]


async def test_a_flood_is_cut_and_what_comes_after_it_is_heard(pair: tuple[RedisSignals, RedisSignals]) -> None:
    one, other = pair
    ear = Ears()
    async with other.listen(ear.hear):
        one.announce([f"moved:{number}" for number in range(20_000)])
        await ear.until(["moved:0"])
        await announce_until_heard(one, "last", ear)

    assert set(ear.words) - {"last"} == {f"moved:{number}" for number in range(10_000)}


async def test_another_process_is_heard(redis_url: str, prefix: str) -> None:
    signals = RedisSignals(redis_url, prefix=prefix)
    ear = Ears()
    async with signals.listen(ear.hear):
        line = [sys.executable, str(ANNOUNCER), redis_url, prefix, "from another process"]
        process = await asyncio.create_subprocess_exec(*line)
        await ear.until(["from another process"])
        assert await process.wait() == 0
    await signals.close()


async def test_another_prefix_is_another_channel(redis_url: str, prefix: str) -> None:
    here, there, beside = [RedisSignals(redis_url, prefix=f"{prefix}{end}") for end in ("", "b:", "b:")]
    ear, far = Ears(), Ears()
    async with here.listen(ear.hear), there.listen(far.hear):
        here.announce(["runs"])
        await announce_until_heard(beside, "there", far)
        assert (ear.words, set(far.words)) == (["runs"], {"there"})
    for signals in (here, there, beside):
        await signals.close()


async def test_what_others_say_on_the_channel_is_passed_over(
    pair: tuple[RedisSignals, RedisSignals], client: Redis, prefix: str
) -> None:
    one, other = pair
    ear = Ears()
    async with one.listen(ear.hear):
        for payload in ("no JSON", "7", '["two"]', '["speaker", "no list"]', '["speaker", [7, null]]', b"\xff"):
            await client.publish(f"{prefix}signals", payload)
        other.announce(["runs"])
        await ear.until(["runs"])

    assert ear.words == ["runs"]


async def test_a_listener_that_raises_takes_nothing_from_the_others(
    pair: tuple[RedisSignals, RedisSignals], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    ear = Ears()

    def deaf(word: str) -> None:
        raise LookupError(word)

    async with one.listen(deaf), one.listen(ear.hear):
        other.announce(["runs", "inbox"])
        await ear.until(["runs", "inbox"])

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_who_listens_comes_back_after_redis_was_killed(
    own_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = RedisSignals(own_server.url), RedisSignals(own_server.url)
    ear = Ears()
    async with one.listen(ear.hear):
        other.announce(["before"])
        await ear.until(["before"])
        own_server.kill()
        one.announce(["alone"])
        assert ear.words == ["before", "alone"]
        own_server.start()
        await announce_until_heard(other, "after", ear)
    await one.close()
    await other.close()

    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_listens_without_redis_hears_the_own_words_and_later_all(own_server: RedisServer) -> None:
    own_server.kill()
    one, other = RedisSignals(own_server.url), RedisSignals(own_server.url)
    ear = Ears()
    async with one.listen(ear.hear):
        one.announce(["alone"])
        assert ear.words == ["alone"]
        own_server.start()
        await announce_until_heard(other, "together", ear)
    await one.close()
    await other.close()


async def test_words_that_reach_nobody_are_one_line_in_the_log(nowhere: str, caplog: pytest.LogCaptureFixture) -> None:
    signals = RedisSignals(nowhere)
    for _ in range(3):
        signals.announce(["runs"])
        await signals.close()
        signals.open()

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Redis cannot be reached, and other processes find work by looking for it"
    ]


async def test_what_was_said_before_the_end_is_carried_and_nothing_after_it(
    pair: tuple[RedisSignals, RedisSignals],
) -> None:
    one, other = pair
    ear, near = Ears(), Ears()
    async with other.listen(ear.hear), one.listen(near.hear):
        one.announce(["before"])
        await one.close()
        one.announce(["closed"])
        one.open()
        one.announce(["opened again"])
        await ear.until(["opened again"])
        other.announce(["heard again"])
        await announce_until_heard(other, "heard again, surely", near)

    assert ear.words[:2] == ["before", "opened again"]
    assert near.words[:3] == ["before", "closed", "opened again"]


async def test_who_leaves_last_lets_the_connection_go(redis_url: str, client: Redis, prefix: str) -> None:
    signals = RedisSignals(redis_url, prefix=prefix)
    channel = f"{prefix}signals"
    async with signals.listen(Ears().hear):
        async with signals.listen(Ears().hear):
            assert (await client.pubsub_numsub(channel))[0][1] == 1
        assert (await client.pubsub_numsub(channel))[0][1] == 1

    async with asyncio.timeout(5):
        while (await client.pubsub_numsub(channel))[0][1]:
            pass
    await signals.close()


async def test_a_client_that_was_given_is_not_closed_and_may_decode(redis_url: str, prefix: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as given:
        one, other = RedisSignals(given, prefix=prefix), RedisSignals(given, prefix=prefix)
        ear = Ears()
        async with one.listen(ear.hear):
            other.announce(["runs"])
            await ear.until(["runs"])
        await one.close()
        await other.close()
        assert await given.ping()


@pytest.mark.parametrize("wrong", ["localhost:6379", "http://localhost", None, 7])
async def test_what_is_no_redis_is_refused_and_not_shown(wrong: object) -> None:
    with pytest.raises(InvalidValue) as refused:
        RedisSignals(wrong)  # type: ignore[arg-type]  # that is the test
    assert "localhost:6379" not in str(refused.value).replace("redis://localhost:6379/0", "")


async def test_a_store_with_signals_is_the_store_beside_them(redis_url: str, prefix: str) -> None:
    inner = MemoryStore()
    store: Store = with_signals(inner, signals := RedisSignals(redis_url, prefix=prefix))

    assert store.signals is signals
    assert (store.runs, store.inbox, store.outbox) == (inner.runs, inner.inbox, inner.outbox)
    assert (await with_signals(inner, signals).health()).ok
    with pytest.raises(AttributeError):
        with_signals(inner, signals).unheard_of  # noqa: B018


async def test_a_store_that_is_opened_twice_speaks_until_it_is_closed_twice(
    pair: tuple[RedisSignals, RedisSignals],
) -> None:
    store = with_signals(MemoryStore(), pair[0])
    ear = Ears()
    async with pair[1].listen(ear.hear):
        async with opened(store):
            async with opened(store):
                store.signals.announce(["twice"])
            store.signals.announce(["once"])
        store.signals.announce(["closed"])
        await ear.until(["twice", "once"])

    assert "closed" not in ear.words


@command("charge", durable=True)
async def charge(ctx: CommandContext) -> Ok:
    return Ok()


CHARGED = WorkflowDefinition(
    name="charge",
    initial_state="new",
    states={"new": State(events={"pay": Event(target="paid", commands=("charge",))}), "paid": State()},
)


async def test_a_worker_is_woken_by_another_runtime_on_the_same_file(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        front, back = [
            await stack.enter_async_context(
                WorkflowRuntime(
                    store=with_signals(SqliteStore(tmp_path / "charges.db"), RedisSignals(redis_url, prefix=prefix)),
                    definitions=[CHARGED],
                    commands=[charge],
                )
            )
            for _ in range(2)
        ]
        await stack.enter_async_context(Worker(back, poll=timedelta(hours=1)))
        instance = await front.create_instance("charge")
        await front.trigger_event(instance.id, "pay")
        paid = await front.wait(instance.id, "paid")

    assert paid.state == "paid"


async def test_postgresql_is_not_listened_to_where_redis_carries_the_words(
    pg_store: PgStore, pair: tuple[RedisSignals, RedisSignals]
) -> None:
    listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    async with (
        opened(with_signals(pg_store, pair[0])) as store,
        store.signals.listen(Ears().hear),
        pg_store.engine.connect() as connection,
    ):
        assert await connection.scalar(text(listening)) == 0
