"""A connection beside the pool: for what must not wait for others, and is not to pay for taking one and giving it back."""

import asyncio
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from detent.errors import StoreUnavailable
from detent_pg.faults import unreachable
from detent_pg.line import BorrowedLine

_PATIENCE = 5.0
"""How many seconds it has to connect and to close."""


class Unreachable(Exception):
    """There is no connection, whatever is to be sent on it, and less of it would fare no better."""

    def __init__(self, reason: StoreUnavailable) -> None:
        super().__init__(reason)
        self.reason = reason


class OwnLine:
    """A line that is connected when it is first used, kept, and replaced when it is lost; every statement is its own transaction.

    One task at a time uses it.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: tuple[AsyncConnection, BorrowedLine] | None = None

    async def ready(self) -> BorrowedLine:
        """The line, connected. Raises `StoreUnavailable`."""
        if self._kept is not None and self._kept[1].driver.is_closed():
            # Noticed before anything was sent on it, so that nothing is in doubt.
            await self.let_go(lost=True)
        if self._kept is None:
            connection = await self._connect()
            self._kept = connection, BorrowedLine(connection)
        return self._kept[1]

    async def reached(self) -> BorrowedLine:
        """The same for the work of many. Raises `Unreachable`."""
        try:
            return await self.ready()
        except StoreUnavailable as reason:
            raise Unreachable(reason) from reason

    async def let_go(self, *, lost: bool = False) -> None:
        """Let the connection go, by force where it was `lost`. It is made again when it is used again."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        # Who does not answer is closed by force, and who is gone already is gone.
        with suppress(Exception):
            async with asyncio.timeout(_PATIENCE):
                if lost:
                    await kept[0].invalidate()
                await kept[0].close()
                await kept[0].engine.dispose()

    async def _connect(self) -> AsyncConnection:
        connection = _beside(self._engine).connect()
        with unreachable(self._engine.url):
            async with asyncio.timeout(_PATIENCE):
                await connection.start()
        return connection


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
