"""Stores on a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL

from detent_pg import PgStore
from packages.pg.tests.wire import Wire
from tests.postgres import Postgres

EMPTY = """
TRUNCATE detent_instances, detent_history, detent_definitions, detent_archive, detent_outbox, detent_throttles, notes CASCADE
"""


@pytest.fixture(scope="session")
async def migrated_url(postgres_url: URL) -> URL:
    """A database with the default tables, and one called `notes` for commands to write to."""
    store = PgStore.from_url(postgres_url)
    await store.upgrade()
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE notes (id bigserial PRIMARY KEY, note text NOT NULL UNIQUE)")
    await store.engine.dispose()
    return postgres_url


@pytest.fixture(scope="session")
async def shared_store(migrated_url: URL) -> AsyncIterator[PgStore]:
    store = PgStore.from_url(migrated_url, pool_size=10)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def store(shared_store: PgStore) -> PgStore:
    """An open, empty store."""
    async with shared_store.engine.begin() as connection:
        await connection.exec_driver_sql(EMPTY)
    return shared_store


@pytest.fixture
async def wire(postgres_server: Postgres) -> AsyncIterator[Wire]:
    async with Wire(postgres_server.address) as wire:
        yield wire


@pytest.fixture
async def wired(wire: Wire, store: PgStore) -> AsyncIterator[PgStore]:
    """A store of one connection in its pool and one that commits, whose every message passes `wire`."""
    wired = PgStore.from_url(wire.url(store.engine.url), pool_size=1, max_overflow=0, lock_timeout=1.0, committers=1)
    await wired.open()
    yield wired
    await wired.close()
