"""A subscription that is kept for as long as somebody wants it, and comes back when its connection was lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeAlias

from detent.retry import Retry

logger = logging.getLogger("detent.signals")

RECONNECTING = Retry(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=10), jitter=0.5)
"""How long is waited before each attempt to come back."""
PULSE = 30.0
"""After how many seconds of silence a connection is to be tried: a host that is gone does not say so."""

Hear: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Subscribes, calls what it is given as soon as nothing is missed any more, and hears until the connection is lost. Then it
raises; an error's text says why, and is logged.
"""


class Listening:
    """Keeps `hear` going. `over` is what it hears by, for the log."""

    def __init__(self, hear: Hear, *, over: str) -> None:
        self._hear = hear
        self._over = over
        self._wanted = 0
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Listen while the context is entered, which waits for the first attempt to subscribe and not for its success."""
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
        # Of this task: while it ends, somebody may have begun another.
        task, tried, self._task = self._task, self._tried, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        tried.set()

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._hear(self._note_success)
            except Exception as error:
                self._note_failure(error)
            self._tried.set()
            await asyncio.sleep(RECONNECTING.delay(self._failures).total_seconds())

    def _note_success(self) -> None:
        self._failures = 0
        self._tried.set()

    def _note_failure(self, error: Exception) -> None:
        if not self._failures:
            said = str(error) or type(error).__name__
            logger.warning("no word of other processes is heard until %s is back: %s", self._over, said)
        self._failures += 1
