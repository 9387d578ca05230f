"""Notices when the event loop stands still: then nothing keeps the leases of runs alive."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

logger = logging.getLogger("detent.workers")


class StallWatch:
    """Warns, while it is entered, of each time that the event loop was blocked for longer than `limit`.

    `time` and `sleep` are the event loop's; tests give others.
    """

    def __init__(
        self,
        limit: timedelta,
        *,
        time: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._limit = limit.total_seconds()
        self._time = time
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self.longest = timedelta(0)
        """The longest of these times."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="StallWatch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        time = self._time or asyncio.get_running_loop().time
        pause = min(self._limit / 3, 1.0)
        while True:
            before = time()
            await self._sleep(pause)
            self._judge(time() - before - pause)

    def _judge(self, stalled: float) -> None:
        if stalled <= self._limit:
            return
        self.longest = max(self.longest, timedelta(seconds=stalled))
        logger.warning(
            "the event loop stood still for %.1f s; past the length of a lease, runs are taken over by others. "
            "Let blocking code run in a thread: await asyncio.to_thread(...)",
            stalled,
        )
