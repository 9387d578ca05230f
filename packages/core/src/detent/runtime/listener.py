"""Hears the words that a store announces, for as long as it is entered; when that breaks off, it begins anew."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from detent.retry import Retry
from detent.store.signals import Signals

logger = logging.getLogger("detent.signals")

_RETRY = Retry(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=5))


class Listener:
    """Calls `heard` with each word, and `began` each time it begins to listen: what was said before, nobody heard."""

    def __init__(self, signals: Callable[[], Signals], heard: Callable[[str], None], began: Callable[[], None]) -> None:
        self._signals = signals
        self._heard = heard
        self._began = began
        self._task: asyncio.Task[None] | None = None
        self.listening = False
        """Whether it hears anything now."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="Listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                async with self._signals().listen(self._contained):
                    failures, self.listening = 0, True
                    self._began()
                    await asyncio.Event().wait()
            except Exception as error:
                failures += 1
                logger.warning("signals are not heard, and work is found by looking for it: %r", error)
            finally:
                self.listening = False
            await asyncio.sleep(_RETRY.delay(failures).total_seconds())

    def _contained(self, word: str) -> None:
        try:
            self._heard(word)
        except Exception:
            logger.exception("the word %r could not be dealt with", word)
