"""The shop's database, in two kinds: the store for the workflows, and a provider that makes the repository over it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from dishka import Provider, Scope, provide
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from detent import SqliteStore
from detent.integrations.dishka import WorkflowProvider
from detent.store.protocol import Store
from detent.store.sqlite_connection import SqliteConnection
from detent_pg import PgStore
from detent_pg.dishka import PgWorkflowProvider
from examples.orders.shipments import SQLITE_TABLE, PostgresShipments, Shipments, SqliteShipments, metadata


@dataclass(frozen=True, slots=True)
class Storage:
    """Where orders and shipments live, open and with its tables."""

    store: Store
    providers: tuple[Provider, ...]
    """What the container needs for it. Detent's own comes last, so that in a transition its connection is the one."""


class PostgresProvider(Provider):
    """Shipments in PostgreSQL. Outside of transitions a session of their own reads them."""

    scope = Scope.REQUEST
    shipments = provide(PostgresShipments, provides=Shipments)

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine

    @provide
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._engine) as session:
            yield session


class SqliteProvider(Provider):
    """Shipments in SQLite. Outside of transitions a transaction of their own reads them."""

    scope = Scope.REQUEST
    shipments = provide(SqliteShipments, provides=Shipments)

    def __init__(self, store: SqliteStore) -> None:
        super().__init__()
        self._store = store

    @provide
    async def connection(self) -> AsyncIterator[SqliteConnection]:
        async with self._store.begin() as connection:
            yield connection


def open_storage(url: str) -> AbstractAsyncContextManager[Storage]:
    """The database at `url`: `postgresql://…`, or else the path of a SQLite file."""
    return _postgres(url) if url.startswith("postgres") else _sqlite(url)


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Storage]:
    store = PgStore.from_url(url)
    await store.upgrade()
    async with store.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await store.open()
    try:
        yield Storage(store, (PostgresProvider(store.engine), PgWorkflowProvider()))
    finally:
        await store.close()


@asynccontextmanager
async def _sqlite(path: str) -> AsyncIterator[Storage]:
    store = SqliteStore(path)
    await store.open()
    try:
        async with store.begin() as connection:
            await connection.execute(SQLITE_TABLE)
        yield Storage(store, (SqliteProvider(store), WorkflowProvider()))
    finally:
        await store.close()
