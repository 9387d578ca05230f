"""A Redis, clients of it, and a prefix that no other test uses."""

import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import URL

from detent_pg import PgStore
from packages.redis.tests.redis_server import VARIABLE, RedisServer
from packages.redis.tests.relay import Relay

EMPTY = """
TRUNCATE detent_instances, detent_history, detent_definitions, detent_archive, detent_outbox, detent_throttles, notes CASCADE
"""


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The Redis of this test process."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    server = RedisServer()
    try:
        server.start()
        yield server.url
    finally:
        server.remove()


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that this test alone has, and may kill."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def nowhere() -> str:
    """The URL of a Redis that is not there: nobody listens on port 1."""
    return "redis://127.0.0.1:1/0"


@pytest.fixture(scope="session")
async def shared_pg_store(postgres_url: URL) -> AsyncIterator[PgStore]:
    store = PgStore.from_url(postgres_url, pool_size=10)
    await store.upgrade()
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS notes (note text NOT NULL)")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def pg_store(shared_pg_store: PgStore) -> PgStore:
    """An open, empty store."""
    async with shared_pg_store.engine.begin() as connection:
        await connection.exec_driver_sql(EMPTY)
    return shared_pg_store


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4().hex}:"


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[Relay]:
    """A way to the Redis on which answers may be lost."""
    async with Relay(redis_url) as relay:
        yield relay
