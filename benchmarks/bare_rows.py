"""The least that a handler may keep: a number in a row of its own, raised by one in one commit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, make_url, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.workflows import CONNECTIONS

ROWS = Table("bare_rows", MetaData(), Column("id", Integer, primary_key=True), Column("count", Integer, nullable=False))
_RAISE = update(ROWS).where(ROWS.c.id == bindparam("row")).values(count=ROWS.c.count + 1)

Raise: TypeAlias = Callable[[int], Awaitable[None]]
"""Raises the number of a row, and is over after the commit."""


async def make(engine: AsyncEngine, count: int) -> None:
    """Make the table with so many rows, from 0 on."""
    async with engine.begin() as connection:
        await connection.run_sync(ROWS.metadata.create_all)
        await connection.execute(insert(ROWS), [{"id": row, "count": 0} for row in range(count)])


@asynccontextmanager
async def raising(url: str) -> AsyncIterator[Raise]:
    """What raises the rows of the database at `url`, through as many connections as a store has."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), pool_size=CONNECTIONS)

    async def raise_one(row: int) -> None:
        async with engine.begin() as connection:
            await connection.execute(_RAISE, {"row": row})

    try:
        yield raise_one
    finally:
        await engine.dispose()
