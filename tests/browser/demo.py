"""The demo application over PostgreSQL, with a clock that the test moves, and a playground of its order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from detent import TriggerService, WorkflowInstance, WorkflowRuntime
from detent.testing import FakeClock
from detent_dashboard.playground import playground_of
from detent_litestar import WorkflowPlugin
from examples.orders.app import create_app
from examples.orders.client import Shop, shop_at
from examples.orders.seed import seed
from examples.orders.show import serving
from examples.orders.storage import open_storage
from examples.orders.workflow import order
from tests.browser.visitor import Visitor, visiting


@dataclass(frozen=True)
class Demo:
    """What a test asks of the running demo, besides its pages."""

    url: str
    clock: FakeClock
    plugin: WorkflowPlugin
    shop: Shop

    @property
    def pages(self) -> str:
        """Where the dashboard is."""
        return f"{self.url}/ops"

    @property
    def runtime(self) -> WorkflowRuntime:
        return self.plugin.runtime

    @property
    def triggers(self) -> TriggerService:
        return self.plugin.triggers

    async def announce(self, version: str = "1") -> WorkflowInstance:
        """A return that is on its way."""
        return await self.runtime.create_instance("return", version=version, context={"customer": "Ada Lovelace"})

    async def park(self) -> WorkflowInstance:
        """A return whose courier found the gate closed too often; the gate is open again."""
        made = await self.announce()
        async with self.closed():
            self.clock.advance(days=2)
            while (await self.runtime.get_instance(made)).parked_at is None:
                await self.runtime.process_timeouts()
                self.clock.advance(minutes=30)
        return made

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """The gate is closed for a while, and refuses."""
        await self.shop.open_warehouse(is_open=False)
        try:
            yield
        finally:
            await self.shop.open_warehouse(is_open=True)


@asynccontextmanager
async def running_demo(database: str, mermaid: Path) -> AsyncIterator[Demo]:
    clock = FakeClock(datetime.now(UTC))
    async with open_storage(database) as storage:
        await seed(storage)
        app = create_app(storage, clock=clock, sweep_every=timedelta(milliseconds=200), mermaid=mermaid)
        async with serving(app, "127.0.0.1", 0) as (url, _), shop_at(url) as shop:
            yield Demo(url, clock, app.plugins.get(WorkflowPlugin), shop)


@asynccontextmanager
async def playing(browser: Browser, mermaid: Path | None, **options: Any) -> AsyncIterator[Visitor]:
    """A visitor to a playground of the demo's order."""
    async with (
        playground_of([order], mermaid=mermaid) as app,
        serving(app, "127.0.0.1", 0) as (url, _),
        visiting(browser, url, **options) as visitor,
    ):
        yield visitor
