"""A worker that is the whole process: it works until a signal tells it to stop."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from detent.workers.worker import Worker

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_until_signal(worker: Worker, started: Callable[[], None] = lambda: None) -> None:
    """Run `worker` until SIGINT or SIGTERM, then drain it; a second one cancels what is under way, a third kills.

    `started` is called when it works. Signal handlers are those of the main thread, which has to be the one that runs this.
    """
    loop = asyncio.get_running_loop()
    with _handled(
        lambda: loop.call_soon_threadsafe(worker.ask_to_stop), lambda: loop.call_soon_threadsafe(worker.abort)
    ):
        async with worker:
            started()
            await worker.asked_to_stop()


@contextmanager
def _handled(first: Callable[[], object], second: Callable[[], object]) -> Iterator[None]:
    """Call `first` at the first signal, and `second` at the next; a third one does what it does to any process."""
    calls = [second, first]
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}

    def handle(_number: int, _frame: FrameType | None) -> None:
        calls.pop()()
        if not calls:
            _set(dict.fromkeys(_SIGNALS, signal.SIG_DFL))

    _set(dict.fromkeys(_SIGNALS, handle))
    try:
        yield
    finally:
        _set(before)


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
