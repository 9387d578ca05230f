"""The loop that fires due timeouts in the process of the application."""

import asyncio
from datetime import timedelta

from litestar import Litestar

from detent import CommandContext, MemoryStore, Observation, Status, WorkflowDefinition, WorkflowObserver, command
from detent.testing.clock import FakeClock
from detent_litestar import TimeoutWorkerConfig, WorkflowPlugin

OFTEN = TimeoutWorkerConfig(interval=timedelta(milliseconds=1), drain=timedelta(seconds=5))
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


async def test_a_worker_runs_only_when_asked_for(configured):
    assert configured().worker_config is None
    assert configured(worker=True).worker_config == TimeoutWorkerConfig()
    assert configured(worker=OFTEN).worker_config is OFTEN


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
