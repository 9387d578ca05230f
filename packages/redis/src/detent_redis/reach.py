"""Redis as something that may be away: every question is answered in bounded time, or `Unreachable` is raised."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry as ClientRetry
from redis.backoff import NoBackoff

from detent.errors import InvalidValue
from detent.store.listening import RECONNECTING

logger = logging.getLogger("detent.redis")

PATIENCE = 1.0
"""How many seconds Redis has to answer, and to take a connection."""

_SCHEMES = ("redis", "rediss", "unix")


class Unreachable(Exception):
    """Redis gave no answer, or none that can be used. Never leaves this package."""


def connected(redis: str | Redis) -> tuple[Redis, bool]:
    """A client, and whether it is ours to close: one that was given is not. Connects to nothing yet. Raises `InvalidValue`."""
    if isinstance(redis, Redis):
        return redis, False
    # What is refused is not shown: a URL may hold a password.
    if not isinstance(redis, str):
        raise InvalidValue("redis", f"must be a URL or a redis.asyncio.Redis, not a {type(redis).__name__}")
    if urlsplit(redis).scheme not in _SCHEMES:
        raise InvalidValue("redis", "is no URL of a Redis", hint="write it like redis://localhost:6379/0")
    client = Redis.from_url(
        redis,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        # Once more, at once: a pooled connection may have died unnoticed. Waiting for longer is decided here, not there.
        retry=ClientRetry(NoBackoff(), 1),
    )
    return client, True


@asynccontextmanager
async def bounded(patience: float = PATIENCE) -> AsyncIterator[None]:
    """Let the block, which does nothing but ask Redis, take `patience` seconds at most; all its errors are `Unreachable`."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(patience):
            yield
    except Exception as error:
        # Whatever it is, a refused connection or a command that the server does not allow: it is not there for us.
        raise Unreachable(in_words(error)) from error
    if task and task.cancelling() > cancelled:
        # The client sends by `wait_for`, which until Python 3.12 may swallow that its task is cancelled.
        raise asyncio.CancelledError


class Reach:
    """What is known of Redis: whether it answers, and when to try again. Says so once, when that changes."""

    def __init__(self, without: str) -> None:
        self._without = without
        self._failures = 0
        self._rest_until = 0.0
        self._back = asyncio.Event()
        self._back.set()

    @property
    def is_lost(self) -> bool:
        """Whether the last question was not answered."""
        return self._failures > 0

    @property
    def rest(self) -> float:
        """For how many seconds it is not worth asking."""
        return max(0.0, self._rest_until - _now()) if self._failures else 0.0

    async def recovered(self) -> None:
        """Wait until somebody got an answer again, or until it is worth asking; where nothing is wrong, for others to run."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.rest):
                await self._back.wait()

    def worth_asking(self) -> bool:
        """Whether to ask now. Where Redis was away, one of those who want to know is told so, and the others are not."""
        if not self._failures:
            return True
        if self.rest:
            return False
        self._rest_until = _now() + PATIENCE
        return True

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask in the block, in bounded time. Raises `Unreachable`."""
        try:
            async with bounded():
                yield
        except Unreachable as error:
            self._note_failure(error)
            raise
        self._note_answer()

    def _note_failure(self, error: Unreachable) -> None:
        if not self._failures:
            logger.warning("Redis cannot be reached, and %s: %s", self._without, error)
        self._failures += 1
        self._back.clear()
        self._rest_until = _now() + RECONNECTING.delay(self._failures).total_seconds()

    def _note_answer(self) -> None:
        if self._failures:
            logger.info("Redis is back")
        self._failures = 0
        self._back.set()


def in_words(error: Exception) -> str:
    """What an error says of itself, or else what it is."""
    return str(error) or type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()
