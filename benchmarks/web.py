"""A web server with two applications of one framework: `python -m benchmarks.web NAME` prints its port, and serves until killed.

One has the routes of Detent under `/workflows`. The other has `POST /bare/ROW`, which does nothing but one commit.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import uvicorn
from fastapi import FastAPI
from litestar import Litestar, post
from litestar.params import FromPath

import detent_fastapi
import detent_litestar
from benchmarks.bare_rows import Raise, raising
from benchmarks.given import Given
from benchmarks.workflows import CONNECTIONS, LAMP
from detent_pg import PgStore

App: TypeAlias = Any
"""An application of ASGI."""
Running: TypeAlias = Callable[[str, Raise], AbstractAsyncContextManager[tuple[App, App]]]
"""Starts both applications of a framework over a database: that with the routes, and the bare one."""


@asynccontextmanager
async def litestar(url: str, raise_one: Raise) -> AsyncIterator[tuple[App, App]]:
    @post("/bare/{row:int}", status_code=200)
    async def bare(row: FromPath[int]) -> dict[str, bool]:
        await raise_one(row)
        return {"done": True}

    routes = detent_litestar.Controllers(policy=detent_litestar.AllowAll())
    config = detent_litestar.WorkflowConfig(store=_store(url), definitions=[LAMP], controllers=routes)
    app = Litestar(plugins=[detent_litestar.WorkflowPlugin(config)], logging_config=None)
    async with app.lifespan():
        yield app, Litestar([bare], logging_config=None)


@asynccontextmanager
async def fastapi(url: str, raise_one: Raise) -> AsyncIterator[tuple[App, App]]:
    plain, app = FastAPI(), FastAPI()

    @plain.post("/bare/{row}")
    async def bare(row: int) -> dict[str, bool]:
        await raise_one(row)
        return {"done": True}

    routes = detent_fastapi.WorkflowRoutes(policy=detent_fastapi.AllowAll())
    config = detent_fastapi.WorkflowConfig(store=_store(url), definitions=[LAMP], routes=routes)
    detent_fastapi.setup_workflows(app, config)
    async with app.router.lifespan_context(app):
        yield app, plain


FRAMEWORKS: dict[str, Running] = {"litestar": litestar, "fastapi": fastapi}


def _store(url: str) -> PgStore:
    return PgStore.from_url(url, pool_size=CONNECTIONS)


async def serve(name: str, url: str, listening: socket.socket) -> None:
    """Serve both applications behind one server."""
    async with raising(url) as raise_one, FRAMEWORKS[name](url, raise_one) as (app, plain):

        async def both(scope: Any, receive: Any, send: Any) -> None:
            await (plain if scope["path"].startswith("/bare/") else app)(scope, receive, send)

        print(listening.getsockname()[1], flush=True)
        await uvicorn.Server(_config(both)).serve(sockets=[listening])


def _config(app: App) -> uvicorn.Config:
    # The applications are started by hand, since their lifespans are two.
    return uvicorn.Config(app, lifespan="off", access_log=False, log_level="error")


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    given = Given.from_environment()
    # Bound and listened at before anybody is told the port: who calls early waits.
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        asyncio.Runner(loop_factory=_config(None).get_loop_factory()) as runner,
    ):
        runner.run(serve(sys.argv[1], given.url, listening))


if __name__ == "__main__":
    main()
