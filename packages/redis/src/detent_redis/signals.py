"""Signals by publish and subscribe: words that reach every process on the same Redis and prefix.

What is lost is lost: whoever misses a word finds out by asking the store.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from uuid import uuid4

from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from detent_redis.listening import Listening
from detent_redis.reach import Reach, Unreachable, connected

logger = logging.getLogger("detent.signals")

_GATHERED = 0.01
"""How many seconds words wait for others, after some were sent."""
_TOGETHER = 500
"""How many words go in one message."""
_UNSENT = 10_000
"""How many different words wait to be sent at most; the others are not carried to other processes."""
_FAREWELL = 2.0
"""How many seconds the last words may take at the end."""


class RedisSignals:
    """`Signals` over Redis. Who listens here hears what is announced here at once, and what others announce from Redis.

    `redis` is a URL or a client of yours, which stays yours to close. Processes hear each other when `prefix` is the same: take
    one for each database. `with_signals` puts it in the place of a store's own.
    """

    def __init__(self, redis: str | Redis, *, prefix: str = "detent:") -> None:
        self._client, self._owned = connected(redis)
        self._channel = f"{prefix}signals"
        self._name = uuid4().hex
        self._listeners: list[Callable[[str], None]] = []
        self._listening = Listening(self._client, self._channel, self._take)
        self._reach = Reach("other processes find work by looking for it")
        self._unsent: dict[str, None] = {}
        self._sending: asyncio.Task[None] | None = None
        self._closed = False

    def open(self) -> None:
        """Carry words to other processes again, after `close`."""
        self._closed = False
        self._listening.resume()

    def announce(self, words: Collection[str]) -> None:
        """Let everybody who listens hear `words`: here at once, elsewhere within milliseconds."""
        self._tell(words)
        if self._closed or not words:
            return
        for word in words:
            if len(self._unsent) < _UNSENT:
                self._unsent[word] = None
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    @asynccontextmanager
    async def listen(self, heard: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `heard` with each word while the context is entered; that waits for a first attempt to reach Redis."""
        self._listeners.append(heard)
        try:
            async with self._listening.kept():
                yield
        finally:
            self._listeners.remove(heard)

    async def close(self) -> None:
        """Send what was said, and let Redis go. Who still listens hears what is announced here."""
        self._closed = True
        if self._sending is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sending, _FAREWELL)
        await self._listening.stop()
        if self._owned:
            await self._client.aclose()

    def _tell(self, words: Collection[str]) -> None:
        for heard in list(self._listeners):
            for word in words:
                try:
                    heard(word)
                except Exception:
                    logger.exception("a listener raised at the word %r", word)

    def _take(self, payload: str | bytes) -> None:
        """What came from Redis; what was announced here was heard before."""
        try:
            speaker, words = from_json(payload)
        except (ValueError, TypeError):
            # Somebody else uses the channel.
            return
        if speaker != self._name and isinstance(words, list):
            self._tell([word for word in words if isinstance(word, str)])

    async def _send(self) -> None:
        # What is said in the same moment goes together; the first words do not wait for others, those after them do.
        await asyncio.sleep(0)
        while self._unsent:
            words, self._unsent = self._unsent, {}
            if self._reach.worth_asking():
                with suppress(Unreachable):
                    await self._publish(words)
            await asyncio.sleep(0 if self._closed else _GATHERED)

    async def _publish(self, words: Collection[str]) -> None:
        async with self._reach.asking():
            for together in _parted(words):
                await self._client.publish(self._channel, to_json([self._name, together]))


def _parted(words: Collection[str]) -> Iterator[list[str]]:
    rest = iter(words)
    while together := list(islice(rest, _TOGETHER)):
        yield together
