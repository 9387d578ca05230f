"""A worker that is the whole process: it works until a signal tells it to stop."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from detent.workers.worker import Worker

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run_until_signal(
    worker: Worker, started: Callable[[], None] = lambda: None, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Run `worker` until SIGINT or SIGTERM, then drain it; a second one cancels what is under way, a third kills.

    `started` is called when it works, and `tell` with a sentence for people at the first signal and at the second. Signal
    handlers are those of the main thread, which has to be the one that runs this. After a signal, and once the worker has
    ended, the next one kills, whatever threads are left: signals are not given back to whoever handled them before.
    """

    def drain() -> None:
        # Telling comes last, as whoever listens may be gone.
        worker.ask_to_stop()
        tell(_stopping(len(worker.running)))

    def cancel() -> None:
        worker.abort()
        tell(_cancelling(len(worker.running)))

    loop = asyncio.get_running_loop()
    with _handled(lambda: loop.call_soon_threadsafe(drain), lambda: loop.call_soon_threadsafe(cancel)):
        async with worker:
            started()
            await worker.asked_to_stop()


@contextmanager
def _handled(first: Callable[[], object], second: Callable[[], object]) -> Iterator[None]:
    """Call `first` at the first signal, and `second` at the next; a third one does what it does to any process.

    So does any that comes after the block, if one came in it.
    """
    calls = [second, first]
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}

    def handle(_number: int, _frame: FrameType | None) -> None:
        calls.pop()()
        if not calls:
            _kill_by_signals()

    _set(dict.fromkeys(_SIGNALS, handle))
    try:
        yield
    finally:
        if len(calls) == 2:
            _set(before)
        else:
            # The process is to end, and a plain function in a thread may hold it up for ever. The handler from before is that
            # of asyncio, which only cancels a task that has long ended.
            _kill_by_signals()


def _kill_by_signals() -> None:
    _set(dict.fromkeys(_SIGNALS, signal.SIG_DFL))


def _set(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _stopping(runs: int) -> str:
    if not runs:
        return "stopping"
    return f"stopping: {_counted(runs)} under way (again to cancel {'it' if runs == 1 else 'them'})"


def _cancelling(runs: int) -> str:
    return f"cancelling {_counted(runs)} (again to kill)" if runs else "cancelling (again to kill)"


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
