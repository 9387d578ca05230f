"""The background loop: rounds, pauses, failures, and how it stops."""

import asyncio
from datetime import timedelta

import pytest

from detent import MemoryStore, WorkflowDefinition, WorkflowObserver, WorkflowRuntime
from detent.errors import StoreUnavailable
from detent.testing.clock import FakeClock
from detent.workers import Loop, TimeoutWorker

SOON = timedelta(milliseconds=1)
RARELY = timedelta(minutes=10)


class Rounds(Loop):
    """Runs what it is given, one a round, and tells when each has begun."""

    slowest = timedelta(milliseconds=5)

    def __init__(self, *rounds, interval=SOON, drain=timedelta(seconds=5)):
        super().__init__(interval=interval, drain=drain)
        self.rounds = list(rounds)
        self.empty = asyncio.Event()

    async def round(self):
        if not self.rounds:
            self.empty.set()
            return False
        return await self.rounds.pop(0)()


async def test_a_round_that_fails_is_logged_and_the_next_one_runs(caplog):
    async def fails():
        raise ConnectionError("database is away")

    async def works():
        return True

    async with asyncio.timeout(5), Rounds(fails, fails, works) as loop:
        await loop.empty.wait()
    assert loop.failures == 0
    assert caplog.text.count("a round of Rounds failed") == 2


async def test_leaving_lets_the_round_under_way_finish():
    begun, go_on, finished = asyncio.Event(), asyncio.Event(), []

    async def slow():
        begun.set()
        await go_on.wait()
        finished.append(True)
        return False

    async with asyncio.timeout(5), Rounds(slow):
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert finished == [True]


async def test_a_round_that_does_not_end_in_time_is_cancelled(caplog):
    begun = asyncio.Event()

    async def endless():
        begun.set()
        await asyncio.Event().wait()
        return False

    async with asyncio.timeout(5), Rounds(endless, drain=timedelta(milliseconds=10)):
        await begun.wait()
    assert "is cancelled" in caplog.text


async def test_who_wakes_it_during_a_round_gets_another_one():
    begun, go_on, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await go_on.wait()
        return False

    async def second():
        again.set()
        return False

    async with asyncio.timeout(5), Rounds(slow, second, interval=RARELY) as loop:
        await begun.wait()
        loop.wake()
        go_on.set()
        await again.wait()


async def test_who_wakes_it_between_rounds_gets_one_at_once():
    async with asyncio.timeout(5), Rounds(interval=RARELY) as loop:
        for _ in range(3):
            await loop.empty.wait()
            loop.empty.clear()
            loop.wake()


async def test_waking_does_not_shorten_the_pause_after_a_failure():
    class Failing(Loop):
        slowest = RARELY
        rounds = 0

        async def round(self):
            self.rounds += 1
            self.wake()
            asyncio.get_running_loop().call_later(0.02, paused.set)
            raise ValueError("no")

    paused = asyncio.Event()
    async with asyncio.timeout(5), Failing(interval=RARELY) as loop:
        await paused.wait()
    assert loop.rounds == 1


async def test_a_store_that_is_away_is_asked_again_soon_however_long_the_interval():
    async def fails():
        raise StoreUnavailable("away")

    async with asyncio.timeout(5), Rounds(fails, interval=RARELY) as loop:
        await loop.empty.wait()


async def test_a_round_that_cancels_itself_is_a_round_that_failed(caplog):
    async def cancels():
        raise asyncio.CancelledError

    async with asyncio.timeout(5), Rounds(cancels) as loop:
        await loop.empty.wait()
    assert "it was cancelled from within" in caplog.text


async def test_its_health_tells_of_failures_until_a_round_succeeds():
    failing, go_on = asyncio.Event(), asyncio.Event()

    async def fails():
        raise ValueError("no")

    async def waits():
        failing.set()
        await go_on.wait()
        return False

    loop = Rounds(fails, waits)
    assert not loop.health().alive
    async with asyncio.timeout(5), loop:
        await failing.wait()
        health = loop.health()
        assert (health.alive, health.failures, health.last_error, health.last_round) == (
            True,
            1,
            "ValueError: no",
            None,
        )
        assert health.failing_for > timedelta(0)
        go_on.set()
        await loop.empty.wait()
        health = loop.health()
        assert (health.failures, health.failing_for, health.last_error) == (0, timedelta(0), None)
        assert health.last_round is not None


async def test_to_abort_leaves_the_round_under_way():
    begun = asyncio.Event()

    async def endless():
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), Rounds(endless) as loop:
        await begun.wait()
        loop.abort()


@pytest.mark.parametrize("instances", [1, 7])
async def test_the_timeout_worker_fires_what_is_due(instances):
    clock = FakeClock()
    definition = {
        "name": "wait",
        "initial_state": "waiting",
        "states": {"waiting": {"events": {"expire": {"target": "done", "timeout": "1h"}}}, "done": {}},
    }
    ended = asyncio.Semaphore(0)

    class Ends(WorkflowObserver):
        async def on_completed(self, seen):
            ended.release()

    definitions = [WorkflowDefinition.from_dict(definition)]
    runtime = WorkflowRuntime(store=MemoryStore(), definitions=definitions, clock=clock, observers=[Ends()])
    async with asyncio.timeout(5), runtime:
        made = [await runtime.create_instance("wait") for _ in range(instances)]
        clock.advance("1h")
        async with TimeoutWorker(runtime, interval=SOON, limit=3):
            for _ in made:
                await ended.acquire()
        assert {(await runtime.get_instance(instance.id)).state for instance in made} == {"done"}
