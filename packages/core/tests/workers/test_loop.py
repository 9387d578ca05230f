"""The background loop: rounds, pauses, failures, and how it stops."""

import asyncio
from datetime import timedelta

import pytest

from detent import MemoryStore, WorkflowDefinition, WorkflowObserver, WorkflowRuntime
from detent.testing.clock import FakeClock
from detent.workers import Loop, TimeoutWorker

SOON = timedelta(milliseconds=1)


class Rounds(Loop):
    """Runs what it is given, one a round, and tells when each has begun."""

    slowest = timedelta(milliseconds=5)

    def __init__(self, *rounds, drain=timedelta(seconds=5)):
        super().__init__(interval=SOON, drain=drain)
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
