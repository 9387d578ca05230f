"""The insurer's applications, each running on a PostgreSQL of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from detent import Observation, WorkflowObserver
from examples.claims import fastapi_app, litestar_app
from examples.claims.bank import Bank
from tests.databases import database_beside

Serve: TypeAlias = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


class Ended(WorkflowObserver):
    """Tells when a claim has come to its end."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def on_completed(self, seen: Observation) -> None:
        self.event.set()


@pytest.fixture
async def claims_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@pytest.fixture
async def database(claims_url: str) -> AsyncIterator[AsyncEngine]:
    """Another way into the database, to see what is committed."""
    engine = create_async_engine(claims_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture(params=[litestar_app, fastapi_app], ids=["litestar", "fastapi"])
def serve(request: pytest.FixtureRequest, claims_url: str, bank: Bank, ended: Ended) -> Serve:
    """Starts one application or the other: `async with serve() as client`."""
    app = request.param.create_app(claims_url, bank=bank, observers=[ended])
    return lambda: serving(app)


@asynccontextmanager
async def serving(app: Litestar | FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    lifespan = app.lifespan() if isinstance(app, Litestar) else app.router.lifespan_context(app)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]  # Litestar's scopes
    async with lifespan, httpx.AsyncClient(transport=transport, base_url="http://insurer.test") as client:
        yield client
