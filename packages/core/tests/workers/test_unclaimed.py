"""A worker says which runs it leaves alone for want of their definition, and says so once."""

import asyncio

import pytest

from detent import FlowService, MemoryStore, WorkflowRuntime, WorkflowService
from detent.flows import FlowBook, handler, success
from detent.workers.run_worker import RunWorker
from detent.workers.unclaimed import Unclaimed
from detent.workers.worker import Worker

SAID = "runs of workflow 'greeting' are left to other processes: command 'flow.handler.greet' is registered here"


@handler("greet")
async def greet(ctx):
    return success()


GREETING = {"id": "greeting", "initial_step_id": "greet", "steps": {"greet": {"type": "greet"}}}


def over(store, book, *, adopts=None):
    return WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands, adopts=adopts)


@pytest.fixture
def book():
    return FlowBook(handlers=[greet])


@pytest.fixture
async def store(book):
    """A store in which another process has saved a flow, and started it."""
    store = MemoryStore()
    async with over(store, book) as runtime:
        flows = FlowService(WorkflowService(runtime), book)
        await flows.flows.save(GREETING)
        await flows.start_flow("greeting")
    return store


async def told(runtime, caplog, *, looks=1, queues=lambda queue: True):
    """How often it is said when it is looked for some times."""
    unclaimed = Unclaimed(runtime, queues, every=0)
    for _ in range(looks):
        await unclaimed.look()
    return caplog.text.count(SAID)


async def test_runs_of_a_flow_that_another_process_saved_are_told_of_once(store, book, caplog):
    async with over(store, book) as runtime:
        assert await told(runtime, caplog, looks=3) == 1
    assert "adopts=book.adopts" in caplog.text


async def test_nothing_is_said_where_the_flow_is_adopted(store, book, caplog):
    async with over(store, book, adopts=book.adopts) as runtime:
        assert await told(runtime, caplog) == 0


async def test_nothing_is_said_where_the_handlers_are_elsewhere_too(store, caplog):
    async with over(store, FlowBook()) as runtime:
        assert await told(runtime, caplog) == 0


async def test_nothing_is_said_of_queues_that_the_worker_does_not_serve(store, book, caplog):
    async with over(store, book) as runtime:
        assert await told(runtime, caplog, queues=lambda queue: queue == "mails") == 0


async def test_nothing_is_said_where_nothing_waits(book, caplog):
    async with over(MemoryStore(), book) as runtime:
        await FlowService(WorkflowService(runtime), book).flows.save(GREETING)
    async with over(runtime.store, book) as runtime:
        assert await told(runtime, caplog) == 0


async def test_the_store_is_asked_once_within_the_time():
    looked = []

    class Counting(MemoryStore):
        async def list_definitions(self, workflows):
            looked.append(workflows)
            return await super().list_definitions(workflows)

    async with over(Counting(), FlowBook()) as runtime:
        unclaimed = Unclaimed(runtime, lambda queue: True)
        looked.clear()
        for _ in range(3):
            await unclaimed.look()
    assert len(looked) == 1


async def test_a_worker_looks_in_its_first_round(store, book, caplog, monkeypatch):
    looked = asyncio.Event()
    round_of = RunWorker.round

    async def noted(self):
        again = await round_of(self)
        looked.set()
        return again

    monkeypatch.setattr(RunWorker, "round", noted)
    async with over(store, book) as runtime, Worker(runtime):
        async with asyncio.timeout(10):
            await looked.wait()
    assert caplog.text.count(SAID) == 1
