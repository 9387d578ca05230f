"""A connection that does nothing but listen on one channel."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from detent.store.listening import PULSE
from detent_pg.faults import unreachable

_PATIENCE = 5.0
"""How many seconds it has to answer, or to close."""


async def listen(
    engine: AsyncEngine, channel: str, heard: Callable[[str], None], subscribed: Callable[[], None]
) -> None:
    """Call `subscribed`, and `heard` with each payload on `channel`, until the connection is lost, which raises; so does
    not having one, with `StoreUnavailable`.
    """
    async with _connection(engine) as driver:

        def take(_driver: object, _process: int, _channel: str, payload: object) -> None:
            heard(str(payload))

        await driver.add_listener(channel, take)
        subscribed()
        await _until_lost(driver)


@asynccontextmanager
async def _connection(engine: AsyncEngine) -> AsyncIterator[Any]:
    """A driver's connection: taken from the engine, which knows best how to connect, and out of its pool, to which it does not
    come back.
    """
    connection = engine.connect()
    with unreachable(engine.url):
        await connection.start()
    try:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await connection.run_sync(Connection.detach)
        try:
            yield driver
        finally:
            # Who does not answer is closed by force.
            with suppress(Exception):
                await driver.close(timeout=_PATIENCE)
    finally:
        await connection.close()


async def _until_lost(driver: Any) -> None:
    """Raise when the connection is gone, or does not answer."""
    gone = asyncio.Event()

    def note_end(_driver: object) -> None:
        gone.set()

    driver.add_termination_listener(note_end)
    try:
        while not (gone.is_set() or driver.is_closed()):
            with suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), PULSE)
                break
            await driver.execute("SELECT 1", timeout=_PATIENCE)
    finally:
        driver.remove_termination_listener(note_end)
    raise ConnectionError("the connection that listened was lost")
