"""Reading through Redis, with leases: what a slow reader brings is kept only if nothing was committed meanwhile.

A key holds nothing, a lease, or a value. Who finds nothing leaves a lease, asks the store, and puts the value there if the lease
is still his. Who commits takes away whatever is there. So a value that was read before a commit finds no lease after it, or the
lease of somebody else. Who finds a lease of somebody else asks the store and leaves nothing.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import uuid4

from redis.asyncio import Redis

from detent_redis.encoding import Encoding
from detent_redis.invalidation import Invalidations
from detent_redis.reach import Reach, Unreachable

R = TypeVar("R")

LEASE = 10.0
"""How many seconds a reader has to bring a value."""

# KEYS: the key. ARGV: the mark of values that can be read, a lease of the caller's own, how many milliseconds it lasts.
# His own lease is there already where a client asks again because the answer was lost.
_LOOK = """
local found = redis.call('GET', KEYS[1])
local readable = found and (string.sub(found, 1, 1) == 'l' or string.sub(found, 1, #ARGV[1]) == ARGV[1])
if readable and found ~= ARGV[2] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""
# ARGV: the caller's lease, the value, how many milliseconds it lasts.
_FILL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
# ARGV: the caller's lease.
_GIVE_UP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class ReadThrough:
    """Answers from Redis what is there, and from the store what is not. Without Redis it is the store's answer, never an error.

    `ttl` is how many seconds a value lasts at most.
    """

    def __init__(self, client: Redis, reach: Reach, invalidations: Invalidations, ttl: float) -> None:
        self._reach = reach
        self._invalidations = invalidations
        self._ttl = _milliseconds(ttl)
        self._look: Any = client.register_script(_LOOK)
        self._fill: Any = client.register_script(_FILL)
        self._give_up: Any = client.register_script(_GIVE_UP)

    async def get(self, key: str, encoding: Encoding[R], ask: Callable[[], Awaitable[R | None]]) -> R | None:
        """The value under `key`, or what `ask` answers. That nothing is there is not remembered."""
        if key in self._invalidations or not self._reach.worth_asking():
            return await ask()
        lease = f"l{uuid4().hex}".encode()
        try:
            found = await self._found(key, encoding.mark, lease)
        except Unreachable:
            return await ask()
        if found is None:
            value = await ask()
            await self._bring(key, lease, None if value is None else encoding.encode(value))
            return value
        # A commit of this process that was made while Redis was asked is not in what it answered.
        if key in self._invalidations or not found.startswith(encoding.mark):
            return await ask()
        try:
            return encoding.decode(found)
        except ValueError:
            # Somebody else has written there. It ends like any other value.
            return await ask()

    async def _found(self, key: str, mark: bytes, lease: bytes) -> bytes | None:
        """The value, or the lease of somebody else; `None` when `lease` was left there."""
        async with self._reach.asking():
            found = await self._look(keys=[key], args=[mark, lease, _milliseconds(LEASE)])
        return found.encode() if isinstance(found, str) else found

    async def _bring(self, key: str, lease: bytes, text: bytes | None) -> None:
        with suppress(Unreachable):
            async with self._reach.asking():
                if text is None:
                    await self._give_up(keys=[key], args=[lease])
                else:
                    await self._fill(keys=[key], args=[lease, text, self._ttl])


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
