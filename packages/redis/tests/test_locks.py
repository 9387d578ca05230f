"""Locks: one holder at a time, tokens that rise, and no doubt about what was lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from detent.errors import InvalidValue
from detent_redis import LockBusy, LockLost, LockUnavailable, RedisLocks
from packages.redis.tests.redis_server import RedisServer
from packages.redis.tests.relay import Relay

SHORT = timedelta(milliseconds=300)


@pytest.fixture
def locks(client: Redis, prefix: str) -> RedisLocks:
    return RedisLocks(client, prefix=prefix)


@pytest.fixture
def key(prefix: str) -> Callable[[str], str]:
    """Where a lock is."""
    return lambda name: f"{prefix}lock:{{{name}}}"


async def test_one_holder_at_a_time_and_each_has_a_higher_token(client: Redis, prefix: str) -> None:
    inside = most = 0
    tokens: list[int] = []

    async def work() -> None:
        nonlocal inside, most
        async with RedisLocks(client, prefix=prefix).hold("report", wait="20s") as held:
            inside += 1
            most = max(most, inside)
            tokens.append(held.token)
            await client.ping()
            inside -= 1

    await asyncio.gather(*[work() for _ in range(8)])
    assert most == 1
    assert len(set(tokens)) == 8
    assert tokens == sorted(tokens)


async def test_who_does_not_get_it_in_time_is_told_so(locks: RedisLocks) -> None:
    async with locks.hold("report"):
        with pytest.raises(LockBusy):
            await locks.hold("report", wait="0s").__aenter__()
        with pytest.raises(LockBusy) as busy:
            await locks.hold("report", wait="0.05s").__aenter__()
        assert (busy.value.name, busy.value.seconds, busy.value.code) == ("report", 0.05, "lock_busy")


async def test_names_are_locked_one_by_one(locks: RedisLocks) -> None:
    async with locks.hold("report", wait="0s"), locks.hold("bill", wait="0s") as held:
        assert not held.lost


async def test_it_is_given_back_at_the_end_however_that_comes(locks: RedisLocks) -> None:
    async with locks.hold("report", wait="0s") as first:
        pass
    with pytest.raises(LookupError):
        async with locks.hold("report", wait="0s"):
            raise LookupError
    async with locks.hold("report", wait="0s") as third:
        assert third.token > first.token


async def test_a_holder_that_died_holds_it_until_its_time_is_up(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    await client.set(key("report"), "somebody who died", px=100)
    async with asyncio.timeout(5), locks.hold("report"):
        assert await client.get(key("report")) != b"somebody who died"


async def test_it_is_extended_while_it_is_held(locks: RedisLocks, client: Redis, key: Callable[[str], str]) -> None:
    async with asyncio.timeout(10), locks.hold("report", ttl=SHORT) as held:
        for _ in range(2):
            before = await client.pttl(key("report"))
            while (now := await client.pttl(key("report"))) <= before:
                before = now
        held.check()


async def test_one_that_redis_forgot_is_lost_and_leaving_says_so(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    holding = locks.hold("report", ttl=SHORT)
    held = await holding.__aenter__()
    held.check()
    await client.delete(key("report"))
    async with asyncio.timeout(5):
        await held.until_lost()
    assert held.lost
    with pytest.raises(LockLost):
        held.check()
    with pytest.raises(LockLost) as lost:
        await holding.__aexit__(None, None, None)
    assert (lost.value.name, lost.value.token) == ("report", held.token)


async def test_one_that_was_lost_since_it_was_extended_last_is_seen_when_it_is_given_back(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    with pytest.raises(LockLost):
        async with locks.hold("report"):
            await client.delete(key("report"))


async def test_who_has_lost_it_does_not_take_it_from_the_next(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    holding = locks.hold("report")
    first = await holding.__aenter__()
    await client.delete(key("report"))
    async with locks.hold("report", wait="0s") as second:
        with pytest.raises(LockLost):
            await holding.__aexit__(None, None, None)
        assert await client.exists(key("report"))
        assert second.token > first.token


async def test_what_the_block_raises_is_not_replaced_by_the_loss(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    async def work() -> None:
        async with locks.hold("report"):
            await client.delete(key("report"))
            raise LookupError

    with pytest.raises(LookupError):
        await work()


async def test_who_stops_waiting_leaves_nothing(locks: RedisLocks, client: Redis, key: Callable[[str], str]) -> None:
    async def wait_for_it() -> None:
        async with locks.hold("report", wait="1h"):
            pytest.fail("nobody may come in")

    async with locks.hold("report") as held:
        waiting = asyncio.create_task(wait_for_it())
        for _ in range(5):
            await client.ping()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        held.check()
    assert not await client.exists(key("report"))


async def test_a_token_is_higher_than_the_last_though_the_clock_was_put_back(
    locks: RedisLocks, client: Redis, key: Callable[[str], str]
) -> None:
    last = 9_000_000_000_000_000
    await client.set(f"{key('report')}:token", last)
    async with locks.hold("report") as first:
        pass
    async with locks.hold("report") as second:
        pass
    assert (first.token, second.token) == (last + 1, last + 2)


async def test_tokens_rise_though_redis_forgot_everything(own_server: RedisServer) -> None:
    locks = RedisLocks(own_server.url)
    async with locks.hold("report") as first:
        pass
    own_server.kill()
    own_server.start()
    async with locks.hold("report") as second:
        pass
    await locks.close()
    assert second.token > first.token


async def test_one_that_cannot_be_extended_is_lost_when_its_time_is_up(own_server: RedisServer) -> None:
    locks = RedisLocks(own_server.url)

    async def work() -> None:
        async with locks.hold("report", ttl=SHORT) as held:
            own_server.kill()
            async with asyncio.timeout(10):
                await held.until_lost()

    with pytest.raises(LockLost):
        await work()
    await locks.close()


async def test_a_short_absence_of_redis_costs_no_waiter_its_turn(own_server: RedisServer) -> None:
    own_server.kill()
    locks = RedisLocks(own_server.url)

    async def take() -> int:
        async with locks.hold("report", wait="20s") as held:
            return held.token

    waiting = asyncio.create_task(take())
    await asyncio.sleep(0)
    own_server.start()
    assert await waiting > 0
    await locks.close()


@pytest.mark.parametrize("turns", range(8))
async def test_a_holder_that_is_cancelled_while_it_asks_is_cancelled(locks: RedisLocks, turns: int) -> None:
    async with locks.hold("report", wait="0s"):
        waiting = asyncio.create_task(locks.hold("report", wait="1h").__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([waiting])
        assert waiting.cancelled()


@pytest.mark.parametrize("wait", ["0s", "0.1s"])
async def test_without_redis_nobody_knows_who_holds_it(nowhere: str, wait: str) -> None:
    locks = RedisLocks(nowhere)
    with pytest.raises(LockUnavailable) as unavailable:
        async with locks.hold("report", wait=wait):
            pytest.fail("nobody may come in")
    await locks.close()
    assert isinstance(unavailable.value, LockBusy)
    assert unavailable.value.code == "lock_unavailable"


@pytest.mark.parametrize("options", [{"ttl": 30}, {"ttl": "1ms"}, {"wait": "-1s"}, {"wait": "soon"}])
async def test_a_time_that_is_none_is_refused(locks: RedisLocks, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        async with locks.hold("report", **options):
            pytest.fail("nobody may come in")


@pytest.fixture
async def by_relay(relay: Relay, prefix: str) -> AsyncIterator[RedisLocks]:
    """Locks by a way on which answers may be lost. The way is warm: the scripts are there, and a connection."""
    locks = RedisLocks(relay.url, prefix=prefix)
    async with locks.hold("warm"):
        pass
    yield locks
    await locks.close()


async def test_a_lock_whose_answer_was_lost_is_had_and_keeps_nobody_out_not_even_its_owner(
    by_relay: RedisLocks, relay: Relay, client: Redis, key: Callable[[str], str]
) -> None:
    relay.lose()
    async with by_relay.hold("report", wait="0s") as held:
        assert relay.lost == 1
        held.check()
    assert not await client.exists(key("report"))


async def test_a_lock_that_was_given_back_was_not_lost_though_the_answer_was(
    by_relay: RedisLocks, relay: Relay
) -> None:
    async with by_relay.hold("report", wait="0s"):
        relay.lose()
    assert relay.lost == 1


async def test_one_whose_time_is_up_here_is_given_back_where_redis_still_has_it(
    own_server: RedisServer, key: Callable[[str], str], prefix: str
) -> None:
    locks = RedisLocks(own_server.url.replace("redis://", "redis://holder:secret@"), prefix=prefix)

    async def work(operator: Redis) -> None:
        async with locks.hold("report", ttl=SHORT) as held:
            # Its clock stands still, and it lets nobody extend.
            await operator.execute_command("ACL", "SETUSER", "holder", "-pexpire")
            await operator.persist(key("report"))
            async with asyncio.timeout(10):
                await held.until_lost()

    async with Redis.from_url(own_server.url) as operator:
        await operator.execute_command("ACL", "SETUSER", "holder", "on", ">secret", "~*", "+@all")
        with pytest.raises(LockLost):
            await work(operator)
        assert not await operator.exists(key("report"))
    await locks.close()


async def test_tokens_rise_though_redis_forgot_more_than_one_a_millisecond(locks: RedisLocks, client: Redis) -> None:
    start, tokens = await client.time(), []
    for _ in range(20):
        async with locks.hold("report") as held:
            tokens.append(held.token)
    end = await client.time()

    # A token is the time: one that ran ahead of it could come again after a loss.
    assert tokens == sorted(set(tokens))
    assert start[0] * 1_000_000 + start[1] <= tokens[0] < tokens[-1] <= end[0] * 1_000_000 + end[1]
