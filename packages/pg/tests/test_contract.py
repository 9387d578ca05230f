"""The contract of every store, on PostgreSQL: with the default names, and with a prefix and schema of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from detent.store.protocol import Store
from detent.testing.store_contract import StoreContract, StoreKit
from detent_pg import PgStore


async def note(connection: AsyncSession | AsyncConnection, said: str) -> None:
    await connection.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": said})


def kit_of(store: PgStore) -> StoreKit:
    """The kit for sessions; `lend` gives an AsyncSession."""

    async def noted(said: str) -> bool:
        async with store.engine.connect() as connection:
            found = await connection.scalar(text("SELECT count(*) FROM notes WHERE note = :note"), {"note": said})
        return bool(found)

    return StoreKit(
        store=store,
        lend=lambda: session_of(store.engine),
        savepoint=lambda session: session.begin_nested(),
        note=note,
        noted=noted,
        second=lambda: second_of(store),
    )


@asynccontextmanager
async def session_of(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session
        await session.commit()


@asynccontextmanager
async def second_of(store: PgStore) -> AsyncIterator[Store]:
    names = store.names
    second = PgStore.from_url(store.engine.url, prefix=names.prefix, schema=names.schema, pool_size=3)
    await second.open()
    yield second
    await second.close()


class TestPgStore(StoreContract):
    @pytest.fixture
    async def kit(self, store: PgStore) -> StoreKit:
        return kit_of(store)


class TestLentConnections(StoreContract):
    """The same, where the application lends a bare connection through `lend`."""

    @pytest.fixture
    async def kit(self, store: PgStore) -> StoreKit:
        @asynccontextmanager
        async def connection_of() -> AsyncIterator[AsyncConnection]:
            async with store.engine.connect() as connection, store.lend(connection):
                yield connection

        plain = kit_of(store)
        return StoreKit(
            store=store,
            lend=connection_of,
            savepoint=lambda connection: connection.begin_nested(),
            note=note,
            noted=plain.noted,
            second=plain.second,
        )


@pytest.fixture(scope="session")
async def side_store(migrated_url: URL) -> AsyncIterator[PgStore]:
    store = PgStore.from_url(migrated_url, prefix="wf_", schema="side")
    await store.upgrade()
    await store.open()
    yield store
    await store.close()


class TestAnotherPrefixAndSchema(StoreContract):
    @pytest.fixture
    async def kit(self, side_store: PgStore) -> StoreKit:
        async with side_store.engine.begin() as connection:
            await connection.exec_driver_sql(
                """TRUNCATE side.wf_instances, side.wf_history, side.wf_definitions, side.wf_archive, side.wf_outbox,
                side.wf_throttles, notes
                CASCADE"""
            )
        return kit_of(side_store)
