"""One connection beside the pool, kept for what must not wait for others.

Heartbeats go over it: when everything in the pool is taken and waits, the leases of the runs at work do not end for that.
"""

import asyncio
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from detent_pg.errands import T, Work
from detent_pg.faults import ConnectionLost, unreachable

_PATIENCE = 5.0
"""How many seconds it has to connect, to answer, and to close."""


class Reserved:
    """A connection made when it is first used, kept, and replaced when it is lost; one statement at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()
        self._kept: AsyncConnection | None = None

    async def once(self, work: Work[T]) -> T:
        """What a single statement answers. Raises `ConnectionLost`, also for one that takes long, and `StoreUnavailable`."""
        async with self._turn:
            connection = self._kept or await self._connect()
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await work(connection)
            except BaseException as error:
                # Whatever it was, the next one does not pay for it.
                await self._let_go(lost=True)
                if isinstance(error, TimeoutError):
                    raise ConnectionLost from error
                raise

    async def close(self) -> None:
        """Let the connection go, behind whoever uses it. It is made again when it is used again."""
        async with self._turn:
            await self._let_go(lost=False)

    async def _connect(self) -> AsyncConnection:
        connection = _beside(self._engine).connect()
        with unreachable(self._engine.url):
            async with asyncio.timeout(_PATIENCE):
                await connection.start()
        self._kept = connection
        return connection

    async def _let_go(self, *, lost: bool) -> None:
        connection, self._kept = self._kept, None
        if connection is None:
            return
        # Who does not answer is closed by force, and who is gone already is gone.
        with suppress(Exception):
            async with asyncio.timeout(_PATIENCE):
                if lost:
                    await connection.invalidate()
                await connection.close()
                await connection.engine.dispose()


def _beside(engine: AsyncEngine) -> AsyncEngine:
    """An engine that connects just as `engine` does, and has nothing of its pool."""
    same = engine.sync_engine
    beside = Engine(
        same.pool.recreate(),
        same.dialect,
        same.url,
        echo=same.echo,
        execution_options={**same.get_execution_options(), "isolation_level": "AUTOCOMMIT"},
        hide_parameters=same.hide_parameters,
    )
    return AsyncEngine(beside)
