"""The worker that applies retention policies."""

import asyncio
from datetime import timedelta

import pytest

from detent import MemoryStore, RetentionPolicy, SqliteStore, WorkflowDefinition, WorkflowObserver, WorkflowRuntime
from detent.testing.clock import FakeClock
from detent.workers import RetentionWorker

DAY = timedelta(days=1)
DEFINITION = WorkflowDefinition.from_dict(
    {
        "name": "case",
        "initial_state": "open",
        "states": {"open": {"events": {"close": {"target": "closed"}}}, "closed": {}},
    }
)


class Gone(WorkflowObserver):
    """Counts what was removed."""

    def __init__(self):
        self.one = asyncio.Semaphore(0)

    async def on_removed(self, removed):
        self.one.release()


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@pytest.fixture
async def clock():
    return FakeClock()


@pytest.fixture
def gone():
    return Gone()


@pytest.fixture
async def runtime(store, clock, gone):
    async with WorkflowRuntime(
        store=store,
        definitions=[DEFINITION],
        retention=[RetentionPolicy("case", after=DAY)],
        clock=clock,
        observers=[gone],
    ) as runtime:
        yield runtime


async def closed(runtime):
    made = await runtime.create_instance("case")
    await runtime.trigger_event(made.id, "close")


async def test_it_begins_at_once_and_goes_on_by_itself_while_there_is_more(runtime, clock, gone):
    for _ in range(7):
        await closed(runtime)
    clock.advance(DAY)
    async with asyncio.timeout(5), RetentionWorker(runtime, interval=DAY, limit=3, batch=2):
        for _ in range(7):
            await gone.one.acquire()
    assert (await runtime.count_instances())[()] == 0


async def test_it_looks_again_after_its_interval(runtime, clock, gone):
    async with asyncio.timeout(5), RetentionWorker(runtime, interval=timedelta(milliseconds=1)):
        for _ in range(2):
            await closed(runtime)
            clock.advance(DAY)
            await gone.one.acquire()
    assert (await runtime.count_instances())[()] == 0


async def test_two_workers_share_the_work_and_remove_each_instance_once(runtime, clock, gone):
    for _ in range(20):
        await closed(runtime)
    clock.advance(DAY)
    async with asyncio.timeout(5), RetentionWorker(runtime, batch=3), RetentionWorker(runtime, batch=3):
        for _ in range(20):
            await gone.one.acquire()
    await runtime.settled()
    assert gone.one.locked()


async def test_a_round_that_found_nothing_waits_for_the_interval(runtime):
    assert await RetentionWorker(runtime).round() is False


async def test_a_round_that_reached_its_limit_asks_for_the_next_at_once(runtime, clock):
    for _ in range(2):
        await closed(runtime)
    clock.advance(DAY)
    worker = RetentionWorker(runtime, limit=1)
    assert await worker.round() is True
