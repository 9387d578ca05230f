"""What is to be called once a transaction is committed for good, savepoint by savepoint."""

import logging
from collections.abc import Callable

logger = logging.getLogger("detent.store")


class AfterCommit:
    """Callbacks of one transaction, in the order they were added; an undone savepoint forgets those added inside it."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []

    def add(self, callback: Callable[[], None]) -> None:
        """Call `callback` at the end, if it is not forgotten before."""
        self._callbacks.append(callback)

    def mark(self) -> int:
        """Where a savepoint starts, for `forget_since`."""
        return len(self._callbacks)

    def forget_since(self, mark: int) -> None:
        """Drop what was added since `mark`."""
        del self._callbacks[mark:]

    def run(self) -> None:
        """Call each callback once. The commit stands, so one that raises is logged and takes nothing with it."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                logger.exception("a callback after a commit raised")
