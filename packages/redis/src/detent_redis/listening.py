"""A connection that does nothing but hear what is published on one channel."""

from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from detent.store.listening import PULSE
from detent_redis.reach import PATIENCE, Unreachable, bounded


async def listen(
    client: Redis, channel: str, heard: Callable[[str | bytes], None], subscribed: Callable[[], None]
) -> None:
    """Call `subscribed`, and `heard` with each payload on `channel`, until the connection is lost, which raises."""
    async with client.pubsub() as subscription:
        async with bounded():
            await subscription.subscribe(channel)
            # Until it is confirmed, words may pass by.
            await subscription.get_message(timeout=PATIENCE)
        subscribed()
        await _hear(subscription, heard)


async def _hear(subscription: Any, heard: Callable[[str | bytes], None]) -> None:
    asked = False
    while True:
        message = await subscription.get_message(timeout=PATIENCE if asked else PULSE)
        if message is not None:
            asked = False
            if message["type"] == "message":
                heard(message["data"])
        elif asked:
            raise Unreachable("it is silent")
        else:
            asked = True
            async with bounded():
                await subscription.ping()
