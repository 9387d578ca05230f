"""What `detent demo` does: the shop behind a real server, to look at, or to be walked through once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from detent.testing.clock import FakeClock
from examples.orders.app import create_app
from examples.orders.client import Shop, ShopError, shop_at
from examples.orders.seed import LEFT, seed
from examples.orders.storage import open_storage
from examples.orders.story import Story

Say = Callable[[str], None]


async def show(database: str, *, host: str, port: int, say: Say, mermaid: Path | None = None) -> None:
    """Serve a shop with a few orders until somebody stops it."""
    async with open_storage(database) as storage:
        orders = await seed(storage)
        async with serving(create_app(storage, mermaid=mermaid), host, port) as (url, finished):
            say(_welcome(url, orders))
            await finished.wait()


async def check(database: str, *, host: str, port: int, say: Say) -> None:
    """Serve a shop, look at the seeded orders, tell the whole story, and raise where something is wrong."""
    clock = FakeClock(datetime.now(UTC))
    async with open_storage(database) as storage:
        orders = await seed(storage)
        app = create_app(storage, clock=clock, sweep_every=timedelta(milliseconds=100))
        async with serving(app, host, port) as (url, _), shop_at(url) as shop:
            say(f"serving on {url}")
            for state, order_id in orders.items():
                await _check_seeded(shop, order_id, state)
            await Story(shop, clock, say).tell()
            await _check_pages(shop, orders)


async def _check_seeded(shop: Shop, order_id: str, state: str) -> None:
    found = (await shop.order(order_id))["state"]
    latest = (await shop.history(order_id))[0]["to_state"]
    if not found == latest == state or "stateDiagram-v2" not in await shop.diagram(order_id):
        raise ShopError(f"the order that should be {state!r} is {found!r}, and its history says {latest!r}")


async def _check_pages(shop: Shop, orders: dict[str, str]) -> None:
    for page in (
        "",
        "instances",
        "parked",
        "work",
        "schedules",
        "definitions",
        *(f"instances/{id_}" for id_ in orders.values()),
    ):
        await shop.page(f"/ops/{page}")


@asynccontextmanager
async def serving(app: Any, host: str, port: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An ASGI application behind a server: its URL, and an event that is set when the server stops by itself or by Ctrl-C."""
    # Bound here, so that a port of 0 is a number by the time it is told.
    listening = socket.create_server((host, port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    finished = asyncio.Event()
    task = asyncio.create_task(server.serve(sockets=[listening]))
    task.add_done_callback(lambda _: finished.set())
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has a flag and no event
            await asyncio.sleep(0.01)
        if task.done():
            raise RuntimeError("the server did not start; the reason stands above")
        yield f"http://{host}:{listening.getsockname()[1]}", finished
    finally:
        server.should_exit = True
        await task


def _welcome(url: str, orders: dict[str, str]) -> str:
    rows = "\n".join(f"  {state:<14} {url}/orders/{order_id}" for state, order_id in orders.items())
    paid = orders["exportable"]
    return f"""
The shop is open at {url}

{rows}

The paid order: what it can do, what happened to it, its diagram:

  {url}/workflows/instances/{paid}/events
  {url}/workflows/instances/{paid}/history
  {url}/workflows/instances/{paid}/diagram

The pages for the staff: overview, orders, a return that waits for somebody, schedules:

  {url}/ops/

Move it, and see the parcel:

  curl --json '{{}}' {url}/workflows/instances/{paid}/events/Export
  curl {url}/shipments

The delivered order closes by itself in {LEFT.seconds} seconds, when its two weeks are over.

All workflows: {url}/workflows/definitions
Every route:   {url}/schema

Ctrl-C stops everything and removes the data.
"""
