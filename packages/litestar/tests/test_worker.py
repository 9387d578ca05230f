"""The worker in the process of the application."""

import asyncio
from datetime import timedelta

from litestar import Litestar

from detent import (
    CommandContext,
    MemoryStore,
    Message,
    Observation,
    Status,
    WorkflowDefinition,
    WorkflowObserver,
    command,
    subscriber,
)
from detent.testing.clock import FakeClock
from detent.workers import Queue
from detent_litestar import WorkerConfig, WorkflowPlugin

OFTEN = WorkerConfig(poll=timedelta(milliseconds=1), drain=timedelta(seconds=5))
RARELY = WorkerConfig(poll=timedelta(minutes=1), concurrency=2, queues=["*", Queue("pay", concurrency=1)])
REMINDER = WorkflowDefinition.from_dict(
    {
        "name": "reminder",
        "initial_state": "waiting",
        "states": {
            "waiting": {"events": {"remind": {"target": "done", "timeout": "14d", "commands": ["send"]}}},
            "done": {},
        },
    }
)


class Ended(WorkflowObserver):
    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_completed(self, seen: Observation) -> None:
        self.event.set()


async def test_due_timeouts_fire_while_the_application_runs(serve, configured):
    clock, ended = FakeClock(), Ended()
    config = configured(clock=clock, observers=[ended], worker=OFTEN)
    async with asyncio.timeout(10), serve(config) as client:
        path = (await client.post("/workflows/instances", json={"workflow": "order"})).headers["location"]
        clock.advance(hours=1)
        await ended.event.wait()
        found = (await client.get(path)).json()
    assert (found["state"], found["status"]) == ("expired", "cancelled")


async def test_shutting_down_waits_for_the_firing_under_way(serve, configured):
    begun, go_on, clock = asyncio.Event(), asyncio.Event(), FakeClock()

    @command("send")
    async def send(ctx: CommandContext) -> None:
        begun.set()
        await go_on.wait()

    store = MemoryStore()
    config = configured(definitions=[REMINDER], store=store, commands=[send], guards=[], clock=clock, worker=OFTEN)
    plugin = WorkflowPlugin(config)
    async with asyncio.timeout(10), serve(Litestar(logging_config=None, plugins=[plugin])):
        instance = await plugin.runtime.create_instance("reminder")
        clock.advance(days=14)
        await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    found = await store.load(instance.id)
    assert found is not None
    assert (found.state, found.status) == ("done", Status.COMPLETED)


PAYMENT = WorkflowDefinition.from_dict(
    {
        "name": "payment",
        "initial_state": "new",
        "states": {
            "new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}, "tell": {"commands": ["tell"]}}},
            "paid": {},
        },
    }
)


async def test_durable_commands_and_messages_are_the_workers_work(serve, configured):
    heard: asyncio.Queue[str] = asyncio.Queue()

    @command("charge", durable=True, queue="pay")
    async def charge(ctx: CommandContext) -> None:
        ctx.context["charged"] = True

    @command("tell")
    async def tell(ctx: CommandContext) -> None:
        ctx.publish(Message("news.today"))

    @subscriber("news.*")
    async def hear(delivery):
        heard.put_nowait(delivery.topic)

    parts = {"definitions": [PAYMENT], "commands": [charge, tell], "guards": [], "subscribers": [hear]}
    plugin = WorkflowPlugin(configured(worker=RARELY, **parts))
    async with asyncio.timeout(10), serve(Litestar(logging_config=None, plugins=[plugin])):
        worker = plugin.worker
        assert worker is not None
        made = await plugin.runtime.create_instance("payment")
        await plugin.runtime.trigger_event(made.id, "tell")
        assert await heard.get() == "news.today"
        await plugin.runtime.trigger_event(made.id, "pay")
        ended = await plugin.runtime.wait(made.id, completed=True)
        assert ended.context == {"charged": True}
        assert worker.health().ok
    assert plugin.worker is None
    assert worker.health().detail == "it has stopped"
