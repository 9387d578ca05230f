"""A real server that is told to stop while somebody still follows an instance."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from detent.service.http import changes
from tests.contract.doors import create
from tests.contract.streams import PATIENCE


@pytest.fixture(autouse=True)
def lasting(monkeypatch):
    """Nothing but the server ends a stream."""
    monkeypatch.setattr(changes, "LASTS", 3600.0)
    monkeypatch.setattr(changes, "LOOKS_EVERY", 0.01)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[uvicorn.Server, httpx.AsyncClient]]:
    """The application behind uvicorn, and a client of it; at the end the server has stopped."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=PATIENCE) as client:
                yield server, client
        finally:
            server.should_exit = True
            await asyncio.wait_for(running, PATIENCE)


async def test_a_server_that_stops_waits_for_no_stream(door):
    async with door.serve() as inside, served(inside.app) as (server, client):
        path = await create(client)
        async with client.stream("GET", f"{path}/changes") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            server.should_exit = True
            async with asyncio.timeout(PATIENCE):
                rest = [line async for line in lines]
    assert "id: 1" in rest
