"""Knowing that one session of PostgreSQL waits for another, without sleeping."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def someone_waits(engine: AsyncEngine, *, sessions: int = 1) -> None:
    """Return as soon as so many sessions of this database wait for a lock."""
    async with asyncio.timeout(5), engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        while await connection.scalar(_WAITING) < sessions:  # noqa: ASYNC110 - PostgreSQL has no event for it
            await asyncio.sleep(0.005)
