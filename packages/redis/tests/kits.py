"""What the store contract asks of the stores behind the wrappers."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from detent import MemoryStore, SqliteStore
from detent.store.protocol import Store
from detent.testing.store_contract import StoreKit, Topic
from detent_pg import PgStore

Wrap = Callable[[Store], Store]
"""Puts what is tested around a store."""


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def memory_kit(wrap: Wrap) -> AsyncIterator[StoreKit]:
    inner = MemoryStore()

    async def note(connection: Any, text: str) -> None:
        connection.put("notes", text, True)

    async def noted(text: str) -> bool:
        async with inner.begin() as transaction:
            return transaction.get("notes", text) is True

    async with opened(wrap(inner)) as store:
        yield StoreKit(
            store=store,
            lend=inner.begin,
            savepoint=lambda outside: outside.savepoint(),
            note=note,
            noted=noted,
            declines=frozenset({"sharing", "far_signals"}),
        )


@asynccontextmanager
async def sqlite_kit(path: Path, wrap: Wrap, *, declines: frozenset[Topic]) -> AsyncIterator[StoreKit]:
    inner = SqliteStore(path)

    async def note(connection: Any, text: str) -> None:
        await connection.execute("INSERT INTO notes VALUES (?)", (text,))

    async def noted(text: str) -> bool:
        with closing(plain(path)) as connection:
            return connection.execute("SELECT 1 FROM notes WHERE text = ?", (text,)).fetchone() is not None

    async with opened(wrap(inner)) as store:
        with closing(plain(path)) as connection:
            connection.execute("CREATE TABLE notes (text TEXT)")
        yield StoreKit(
            store=store,
            lend=inner.begin,
            savepoint=lambda outside: outside.savepoint(),
            note=note,
            noted=noted,
            second=lambda: opened(wrap(SqliteStore(path))),
            declines=declines,
        )


@asynccontextmanager
async def pg_kit(inner: PgStore, wrap: Wrap) -> AsyncIterator[StoreKit]:
    """The kit for sessions, over a store that is open."""

    @asynccontextmanager
    async def session() -> AsyncIterator[AsyncSession]:
        async with AsyncSession(inner.engine) as session:
            yield session
            await session.commit()

    async def note(connection: AsyncSession, said: str) -> None:
        await connection.execute(text("INSERT INTO notes (note) VALUES (:note)"), {"note": said})

    async def noted(said: str) -> bool:
        async with inner.engine.connect() as connection:
            return bool(await connection.scalar(text("SELECT count(*) FROM notes WHERE note = :note"), {"note": said}))

    async with opened(wrap(inner)) as store:
        yield StoreKit(
            store=store,
            lend=session,
            savepoint=lambda session: session.begin_nested(),
            note=note,
            noted=noted,
            second=lambda: opened(wrap(PgStore.from_url(inner.engine.url, pool_size=3))),
        )


def plain(path: Path) -> sqlite3.Connection:
    """The file as somebody else sees it."""
    return sqlite3.connect(path, isolation_level=None)
