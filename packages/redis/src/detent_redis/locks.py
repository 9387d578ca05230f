"""Locks that several processes see. A lock is a hint that saves work, never what makes it right.

Redis may forget a lock, and a process may sleep through the end of one. The fence of the store is the truth: a step applies only
from the version it has read, whoever held which lock. For what is written elsewhere there is the fencing token.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from detent.definition.duration import duration_argument
from detent.retry import Retry
from detent_redis.errors import LockBusy, LockLost, LockUnavailable
from detent_redis.reach import PATIENCE, Unreachable, bounded, connected

logger = logging.getLogger("detent.redis")

_LOOKING = Retry(initial=timedelta(milliseconds=10), maximum=timedelta(milliseconds=250), jitter=0.5)
"""How long is waited before a held lock is asked for again, if it does not end sooner."""
_SHORTEST = timedelta(milliseconds=50)
"""The shortest `ttl`: below, the way to Redis takes most of it."""

# Each script may run twice for one question: a client asks again where the answer was lost. So whoever holds the lock gets it,
# and whoever has given it back is told so again.
# KEYS: the lock, its last token. ARGV: the owner, how many milliseconds the lock lasts, how many the token is remembered.
# A token is the time in microseconds, or one more than the last. So they rise even where Redis forgot the last one: nobody takes
# and gives back a lock so fast that they run ahead of the time.
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1])} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local time = redis.call('TIME')
local token = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[2]) or 0)
if last >= token then token = last + 1 end
redis.call('SET', KEYS[2], string.format('%.0f', token), 'PX', ARGV[3])
return {1, token}
"""
# KEYS: the lock, its last token. ARGV: the owner, how many milliseconds the lock lasts, how many the token is remembered.
_EXTEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS: the lock, who gave it back last. ARGV: the owner, how many milliseconds that is remembered.
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.call('GET', KEYS[2]) == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return redis.call('DEL', KEYS[1])
"""
_ASKED_AGAIN = 10_000
"""For how many milliseconds a client may ask whether it has given a lock back."""
_REMEMBERED = timedelta(days=1)
"""How long a token is remembered after its lock has ended: by so much may the clock of Redis be put back."""


class Held:
    """A lock while it is held."""

    def __init__(self, name: str, token: int, until: float) -> None:
        self.name = name
        self.token = token
        """Rises from holder to holder. Whatever you write to elsewhere can refuse a lower one than it has seen."""
        self._until = until
        self._ended = asyncio.Event()

    @property
    def lost(self) -> bool:
        """Whether it ended before it was given back: somebody else may hold it."""
        return self._ended.is_set() or self.remaining <= 0

    def check(self) -> None:
        """Raise `LockLost` if it ended."""
        if self.lost:
            raise LockLost(self.name, self.token)

    async def until_lost(self) -> None:
        """Return when it ended, if it ever does before it is given back."""
        await self._ended.wait()

    @property
    def remaining(self) -> float:
        """How many seconds it surely is held for, if it is not extended again."""
        return self._until - _now()

    def extend(self, until: float) -> None:
        """It is held until then, on the clock of the loop."""
        self._until = until

    def end(self) -> None:
        """It is held no more."""
        self._ended.set()


class RedisLocks:
    """Locks by name, for all processes on the same Redis and prefix.

    `redis` is a URL or a client of yours, which stays yours to close; `close` closes the one of a URL. Raises `InvalidValue`.
    """

    def __init__(self, redis: str | Redis, *, prefix: str = "detent:") -> None:
        self._client, self._owned = connected(redis)
        self._prefix = prefix
        self._acquire: Any = self._client.register_script(_ACQUIRE)
        self._extend: Any = self._client.register_script(_EXTEND)
        self._release: Any = self._client.register_script(_RELEASE)

    @asynccontextmanager
    async def hold(
        self, name: str, *, ttl: timedelta | str = "30s", wait: timedelta | str = "5s"
    ) -> AsyncIterator[Held]:
        """Hold the lock `name` while the context is entered. It is extended every third of `ttl`, and given back at the end.

        `ttl` is how long it outlives a holder that died, `wait` how long to wait for it; `"0s"` asks once. Entering raises
        `LockBusy` when it was not had in time (`LockUnavailable` where Redis cannot be reached). The block goes on when the
        lock is lost: it asks `held.lost`, and leaving raises `LockLost`.
        """
        lasting = duration_argument(ttl, "ttl", least=_SHORTEST).total_seconds()
        waiting = duration_argument(wait, "wait", least=timedelta(0)).total_seconds()
        owner = uuid4().hex
        held = await self._had(name, owner, lasting, waiting)
        keeping = asyncio.create_task(self._keep(held, owner, lasting))
        try:
            yield held
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            lost = held.lost
            # Also where it is lost: Redis may not have noticed yet.
            was_held = await self._given_back(held, owner)
        if lost or not was_held:
            raise LockLost(name, held.token)

    async def close(self) -> None:
        """Close the client that was made from a URL."""
        if self._owned:
            await self._client.aclose()

    async def _had(self, name: str, owner: str, lasting: float, waiting: float) -> Held:
        last = _now() + waiting
        attempts = 0
        while True:
            try:
                asked = _now()
                granted, number = await self._ask_for(name, owner, lasting)
            except (Unreachable, asyncio.CancelledError) as error:
                # It may have been granted all the same.
                await self._forget(name, owner)
                if not isinstance(error, Unreachable):
                    raise
                if _now() >= last:
                    raise LockUnavailable(name, waiting, str(error)) from None
                number = -1
            else:
                if granted:
                    return Held(name, number, asked + lasting)
                if _now() >= last:
                    raise LockBusy(name, waiting)
            attempts += 1
            pause = _LOOKING.delay(attempts).total_seconds()
            # A lock that is about to end by itself is asked for right then.
            ends_in = pause if number < 0 else number / 1000 + 0.001
            await asyncio.sleep(max(0.0, min(pause, ends_in, last - _now())))

    async def _ask_for(self, name: str, owner: str, lasting: float) -> tuple[int, int]:
        """1 and the token, or 0 and how many milliseconds it is held for."""
        async with bounded():
            granted, number = await self._acquire(keys=self._keys(name), args=_arguments(owner, lasting))
        return int(granted), int(number)

    async def _keep(self, held: Held, owner: str, lasting: float) -> None:
        """Extend the lock until that fails for good."""
        while (remaining := held.remaining) > 0:
            await asyncio.sleep(min(lasting / 3, remaining))
            asked = _now()
            try:
                async with bounded(min(PATIENCE, held.remaining)):
                    extended = await self._extend(keys=self._keys(held.name), args=_arguments(owner, lasting))
            except Unreachable:
                continue
            if not extended:
                break
            held.extend(asked + lasting)
        logger.warning("lock %r with token %d was lost while it was held", held.name, held.token)
        held.end()

    async def _given_back(self, held: Held, owner: str) -> bool:
        """Whether it was still held. Where that cannot be asked any more it ends by itself, later than this."""
        try:
            async with bounded():
                return await self._gave_back(held.name, owner)
        except Unreachable as error:
            logger.warning("lock %r could not be given back, and ends by itself: %s", held.name, error)
            return True

    async def _forget(self, name: str, owner: str) -> None:
        with suppress(Unreachable):
            async with bounded():
                await self._gave_back(name, owner)

    async def _gave_back(self, name: str, owner: str) -> bool:
        lock = self._keys(name)[0]
        return bool(await self._release(keys=[lock, f"{lock}:back"], args=[owner, _ASKED_AGAIN]))

    def _keys(self, name: str) -> list[str]:
        # In braces what both have in common: a cluster keeps them together by that.
        return [f"{self._prefix}lock:{{{name}}}", f"{self._prefix}lock:{{{name}}}:token"]


def _arguments(owner: str, lasting: float) -> list[str | int]:
    milliseconds = round(lasting * 1000)
    return [owner, milliseconds, milliseconds + round(_REMEMBERED.total_seconds() * 1000)]


def _now() -> float:
    return asyncio.get_running_loop().time()
