"""A subscription to one channel that comes back when its connection was lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from detent_redis.reach import PATIENCE, RECONNECTING, Unreachable, bounded, in_words

logger = logging.getLogger("detent.signals")

_PULSE = 30.0
"""After how many seconds of silence the connection is tried: a host that is gone does not say so."""


class Listening:
    """Hears what is said on a channel, as long as somebody wants it."""

    def __init__(self, client: Redis, channel: str, heard: Callable[[str | bytes], None]) -> None:
        self._client = client
        self._channel = channel
        self._heard = heard
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
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._tried.set()

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                self._note_failure(error)
            self._tried.set()
            await asyncio.sleep(RECONNECTING.delay(self._failures).total_seconds())

    async def _listen(self) -> None:
        """Hear until the connection is lost, which raises."""
        async with self._client.pubsub() as subscription:
            async with bounded():
                await subscription.subscribe(self._channel)
                # Until it is confirmed, words may pass by.
                await subscription.get_message(timeout=PATIENCE)
            self._failures = 0
            self._tried.set()
            await self._hear(subscription)

    async def _hear(self, subscription: Any) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=PATIENCE if asked else _PULSE)
            if message is not None:
                asked = False
                self._take(message)
            elif asked:
                raise Unreachable("it is silent")
            else:
                asked = True
                async with bounded():
                    await subscription.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self._heard(message["data"])

    def _note_failure(self, error: Exception) -> None:
        if not self._failures:
            logger.warning("no word of other processes is heard until Redis is back: %s", in_words(error))
        self._failures += 1
