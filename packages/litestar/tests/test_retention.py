"""The loop that applies retention policies in the process of the application."""

import asyncio
from datetime import timedelta

from litestar import Litestar

from detent import RetentionPolicy, WorkflowObserver
from detent.testing.clock import FakeClock
from detent_litestar import WorkflowPlugin

POLICY = RetentionPolicy("order", after="1d", statuses=["cancelled"])


class Gone(WorkflowObserver):
    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_removed(self, removed) -> None:
        self.event.set()


async def finished(store, configured, clock):
    """An instance that has been cancelled for a day, when no application runs."""
    plugin = WorkflowPlugin(configured(store=store, clock=clock))
    async with plugin_running(plugin) as runtime:
        made = await runtime.create_instance("order")
        await runtime.cancel(made.id)
    clock.advance(timedelta(days=1))
    return made.id


def plugin_running(plugin):
    return plugin.without_worker(Litestar(logging_config=None, plugins=[plugin]))


async def test_a_process_with_a_worker_applies_the_policies(serve, configured, store):
    clock, gone = FakeClock(), Gone()
    instance_id = await finished(store, configured, clock)
    config = configured(store=store, clock=clock, observers=[gone], retention=[POLICY], worker="asgi")
    async with asyncio.timeout(10), serve(config) as client:
        await gone.event.wait()
        assert (await client.get(f"/workflows/instances/{instance_id}")).status_code == 404


async def test_a_process_without_a_worker_applies_none(serve, configured, store):
    clock, gone = FakeClock(), Gone()
    instance_id = await finished(store, configured, clock)
    config = configured(store=store, clock=clock, observers=[gone], retention=[POLICY])
    async with serve(config) as client:
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert (await client.get(f"/workflows/instances/{instance_id}")).status_code == 200
    assert "RetentionWorker" not in names


async def test_without_policies_expired_keys_go_all_the_same(serve, configured, store, monkeypatch):
    clock, prune = FakeClock(), store.prune_receipts
    counts: asyncio.Queue[int] = asyncio.Queue()

    async def counted(**how):
        await counts.put(await prune(**how))
        return 0

    plugin = WorkflowPlugin(configured(store=store, clock=clock))
    async with plugin_running(plugin) as runtime:
        await runtime.create_instance("order", idempotency_key="k")
    clock.advance(timedelta(days=31))
    monkeypatch.setattr(store, "prune_receipts", counted)
    async with asyncio.timeout(10), serve(configured(store=store, clock=clock, worker="asgi")):
        assert await counts.get() == 1
