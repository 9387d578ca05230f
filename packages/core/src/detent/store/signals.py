"""Signals: words that say that something may be there to do. Hints, never the truth: who misses one finds out by asking."""

import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

logger = logging.getLogger("detent.signals")

RUNS = "runs"
"""A run may be claimed."""
INBOX = "inbox"
"""A message was sent, or an instance moved that messages may wait for."""
OUTBOX = "outbox"
"""A message was published."""
TIMERS = "timers"
"""A deadline may have come closer."""


def moved(instance_id: object) -> str:
    """An instance was written by a worker: those who wait for it may look."""
    return f"moved:{instance_id}"


def withdrawn(run_id: object) -> str:
    """A run was cancelled: who works on it may stop."""
    return f"withdrawn:{run_id}"


class Signals(Protocol):
    """Carries words between the parts of one process, and between processes where the store can."""

    def announce(self, words: Collection[str]) -> None:
        """Let everybody who listens hear `words`, soon; never waits and never raises. Called from the event loop."""
        ...

    def listen(self, heard: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Call `heard` with each word that is announced while the context is entered, from the event loop."""
        ...


class LocalSignals:
    """Signals within one process: of a store that cannot carry them further."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def announce(self, words: Collection[str]) -> None:
        """Call every listener with every word."""
        for heard in list(self._listeners):
            for word in words:
                try:
                    heard(word)
                except Exception:
                    logger.exception("a listener raised at the word %r", word)

    @asynccontextmanager
    async def listen(self, heard: Callable[[str], None]) -> AsyncIterator[None]:
        """Call `heard` while the context is entered."""
        self._listeners.append(heard)
        try:
            yield
        finally:
            self._listeners.remove(heard)
