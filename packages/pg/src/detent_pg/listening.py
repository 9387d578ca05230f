"""A connection that does nothing but listen on one channel, and comes back when it was lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from detent.retry import Retry

logger = logging.getLogger("detent.signals")

RECONNECTING = Retry(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=10), jitter=0.5)
"""How long is waited before each attempt to come back."""

_PULSE = 30.0
"""After how many seconds of silence the connection is tried: a host that is gone does not say so."""
_PATIENCE = 5.0
"""How many seconds it has to answer, or to close."""


class Listening:
    """Hears what is said on a channel, as long as somebody wants it."""

    def __init__(self, engine: AsyncEngine, channel: str, heard: Callable[[str], None]) -> None:
        self._engine = engine
        self._channel = channel
        self._heard = heard
        self._wanted = 0
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Listen while the context is entered, which waits for the first attempt to connect and not for its success."""
        self._wanted += 1
        self.resume()
        try:
            await self._tried.wait()
            yield
        finally:
            self._wanted -= 1
            if not self._wanted:
                await self.stop()

    def resume(self) -> None:
        """Listen again, after `stop`, if somebody still wants it."""
        if self._wanted and self._task is None:
            self._tried = asyncio.Event()
            self._task = asyncio.create_task(self._keep_listening())

    async def stop(self) -> None:
        """Let the connection go."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._tried.set()

    async def _keep_listening(self) -> None:
        failures = 0
        while True:
            try:
                async with self._listening() as lost:
                    failures, self._failing = 0, False
                    self._tried.set()
                    await lost.wait()
            except Exception as error:
                self._note_failure(error)
            self._tried.set()
            failures += 1
            await asyncio.sleep(RECONNECTING.delay(failures).total_seconds())

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator["_Lifeline"]:
        # Taken from the engine, which knows best how to connect, and out of its pool, to which it does not come back.
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await connection.run_sync(Connection.detach)
            lifeline = _Lifeline(driver)
            try:
                await driver.add_listener(self._channel, self._take)
                yield lifeline
            finally:
                await lifeline.end()

    def _take(self, _driver: object, _process: int, _channel: str, payload: object) -> None:
        self._heard(str(payload))

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            logger.warning("no word of other processes is heard until the database is back: %s", type(error).__name__)


class _Lifeline:
    """Knows when the connection of a driver is gone."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._gone = asyncio.Event()
        driver.add_termination_listener(self._note_end)

    async def wait(self) -> None:
        """Return when it is gone; raises when it does not answer."""
        while not self._gone.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _PULSE)
                return
            await self._driver.execute("SELECT 1", timeout=_PATIENCE)

    async def end(self) -> None:
        """Close it, by force where it does not answer."""
        self._driver.remove_termination_listener(self._note_end)
        with suppress(Exception):
            await self._driver.close(timeout=_PATIENCE)

    def _note_end(self, _driver: object) -> None:
        self._gone.set()
