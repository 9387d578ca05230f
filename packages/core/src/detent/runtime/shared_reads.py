"""Reads that many callers want at the same time, each of them made once for all who ask before it begins."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedReads(Generic[K, V]):
    """Answers what `read` finds under a key. Nobody gets what was read before he asked: who comes while a read is under way waits
    for the next one, with all others who came.
    """

    def __init__(self, read: Callable[[K], Awaitable[V]]) -> None:
        self._read = read
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """What is found under `key` from now on. Raises what reading raises."""
        if key not in self._next:
            task = self._next[key] = asyncio.create_task(self._after(self._under_way.get(key), key))
            task.add_done_callback(partial(self._forget, key))
        # Others may wait for the same: a caller who is cancelled leaves it to them.
        return await asyncio.shield(self._next[key])

    async def _after(self, before: asyncio.Task[V] | None, key: K) -> V:
        if before is not None:
            await asyncio.wait([before])
        self._under_way[key] = self._next.pop(key)
        return await self._read(key)

    def _forget(self, key: K, task: asyncio.Task[V]) -> None:
        for tasks in (self._next, self._under_way):
            if tasks.get(key) is task:
                del tasks[key]
        if not task.cancelled():
            # Fetched, so that asyncio does not complain about an error that callers who went away never saw.
            task.exception()
