"""One connection beside the pool, kept for what must not wait for others.

Heartbeats go over it: when everything in the pool is taken and waits, the leases of the runs at work do not end for that.
"""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from detent_pg.errands import T, Work
from detent_pg.faults import ConnectionLost
from detent_pg.own_line import OwnLine

_PATIENCE = 5.0
"""How many seconds it has to answer."""


class Reserved:
    """A connection made when it is first used, kept, and replaced when it is lost; one statement at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._turn = asyncio.Lock()
        self._line = OwnLine(engine)

    async def once(self, work: Work[T]) -> T:
        """What a single statement answers. Raises `ConnectionLost`, also for one that takes long, and `StoreUnavailable`."""
        async with self._turn:
            line = await self._line.ready()
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await work(line)
            except BaseException as error:
                # Whatever it was, the next one does not pay for it.
                await self._line.let_go(lost=True)
                if isinstance(error, TimeoutError):
                    raise ConnectionLost from error
                raise

    async def close(self) -> None:
        """Let the connection go, behind whoever uses it. It is made again when it is used again."""
        async with self._turn:
            await self._line.let_go()
