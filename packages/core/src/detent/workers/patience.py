"""How long somebody looks for work, and when he looks again."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from detent.retry import Retry
from detent.runtime.listener import Listener
from detent.store.signals import Signals

_PAUSE = Retry(initial=timedelta(milliseconds=50), factor=1.5, maximum=timedelta(seconds=1), jitter=0.1)
"""How long until the next look where no word is heard; less and less often."""


class Patience:
    """A time within which somebody looks again: whenever one of `words` is heard, and now and then all the same.

    It is real time, whatever clock a store was given. Nobody listens before the first look was in vain: that may cost a
    connection.
    """

    def __init__(self, signals: Callable[[], Signals], words: frozenset[str], seconds: float) -> None:
        self._words = words
        self._seconds = seconds
        self._listener = Listener(signals, self._hear, self._look_again)
        self._woken = asyncio.Event()
        self._listening = AsyncExitStack()
        self._until = 0.0
        self._looks = 0

    async def __aenter__(self) -> Self:
        self._until = asyncio.get_running_loop().time() + self._seconds
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.aclose()

    async def lasts(self) -> bool:
        """Whether there is time left, answered when it is time for the next look; the last one is at the very end."""
        left = self._until - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        self._looks += 1
        if self._looks == 1:
            await self._listening.enter_async_context(self._listener)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _PAUSE.delay(self._looks).total_seconds())):
                await self._woken.wait()
        self._woken.clear()
        return True

    def _hear(self, word: str) -> None:
        if word in self._words:
            self._look_again()

    def _look_again(self) -> None:
        self._woken.set()
