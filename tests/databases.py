"""Databases beside the one that all tests of a process share, for tests whose workflows nobody else may see."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from sqlalchemy import URL


@asynccontextmanager
async def database_beside(shared: URL) -> AsyncIterator[str]:
    """The URL of an empty database on the same server, dropped at the end."""
    name = f"{shared.database}_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(shared.render_as_string(hide_password=False))
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield shared.set(database=name).render_as_string(hide_password=False)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
