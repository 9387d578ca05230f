"""The one shape of every background loop: a round, a wait, until told to stop; then the round under way is finished."""

import asyncio
import logging
import random
from datetime import timedelta
from types import TracebackType
from typing import Self

logger = logging.getLogger("detent.workers")


class Loop:
    """Runs `round` again and again while it is entered. Sub-classes say what a round is.

    A round that fails is logged and the loop goes on, later and later up to `slowest`. Leaving lets the round under way
    finish within `drain`, and cancels it after that.
    """

    slowest = timedelta(minutes=1)
    """The longest pause after failures in a row."""

    def __init__(self, *, interval: timedelta, drain: timedelta = timedelta(seconds=30)) -> None:
        self._interval = interval
        self._drain = drain
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failures = 0
        """How many rounds in a row have failed."""

    async def round(self) -> bool:
        """Do what is there to do; `True` asks for the next round at once."""
        raise TypeError(f"{type(self).__name__} does not say what a round is")

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        done, _ = await asyncio.wait([task], timeout=self._drain.total_seconds())
        if not done:
            logger.warning("%s did not finish its round in %s and is cancelled", type(self).__name__, self._drain)
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            again = await self._round_contained()
            if not again:
                await self._pause()

    async def _round_contained(self) -> bool:
        try:
            again = await self.round()
        except Exception:
            self.failures += 1
            logger.exception("a round of %s failed", type(self).__name__)
            return False
        self.failures = 0
        return again

    async def _pause(self) -> None:
        seconds = min(self._interval * 2 ** min(self.failures, 16), max(self.slowest, self._interval)).total_seconds()
        # A tenth up or down, so that the loops of many processes do not fall into step.
        pause = seconds * random.uniform(0.9, 1.1)
        try:
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        except TimeoutError:
            return
