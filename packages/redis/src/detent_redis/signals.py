"""Signals by publish and subscribe: words that reach every process on the same Redis and prefix."""

from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from detent.store.far_signals import FarSignals
from detent_redis.listening import listen
from detent_redis.reach import bounded, connected


class RedisSignals(FarSignals):
    """`Signals` over Redis. Who listens here hears what is announced here at once, and what others announce from Redis.

    `redis` is a URL or a client of yours, which stays yours to close. Processes hear each other when `prefix` is the same: take
    one for each database. `with_signals` puts it in the place of a store's own. Raises `InvalidValue`.
    """

    def __init__(self, redis: str | Redis, *, prefix: str = "detent:") -> None:
        self._client, self._owned = connected(redis)
        super().__init__(_Channel(self._client, f"{prefix}signals"))

    async def close(self) -> None:
        """Send what was said, and let Redis go. Who still listens hears what is announced here."""
        await super().close()
        if self._owned:
            await self._client.aclose()


class _Channel:
    """A `Carrier`: one channel of a Redis."""

    name = "Redis"
    longest = 32_000
    """Redis takes far more; other clients of the same server wait while it copies one to everybody."""

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._channel = name

    async def publish(self, payloads: Sequence[str]) -> None:
        """Send these one by one. Raises `Unreachable`."""
        async with bounded():
            for payload in payloads:
                await self._client.publish(self._channel, payload)

    async def hear(self, heard: Callable[[str | bytes], None], subscribed: Callable[[], None]) -> None:
        """Listen until the connection is lost. Raises what Redis raises, or `Unreachable`."""
        await listen(self._client, self._channel, heard, subscribed)
