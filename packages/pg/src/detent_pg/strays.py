"""What cannot be written together with others goes its own way, so that it keeps nobody waiting."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

from detent_pg.batch import Waiting

W = TypeVar("W")
R = TypeVar("R")


class Strays:
    """Work that left its batch, each in a task of its own."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def send(
        self, waiting: Waiting[W, R], work: Coroutine[Any, Any, R], *, committed: Callable[[R], bool] = lambda _: True
    ) -> asyncio.Task[None]:
        """Answer whoever waits with what `work` answers or raises; `committed` says whether an answer tells of a commit.

        The task that is answered here ends when he is answered.
        """
        waiting.has_left = True
        task = asyncio.create_task(_answer(waiting, work, committed), context=Context())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, waiting, work))
        return task

    async def finished(self) -> None:
        """Wait for all of it."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, waiting: Waiting[W, R], work: Coroutine[Any, Any, R], task: asyncio.Task[None]) -> None:
        """Let whoever waits go when the task was cut off together with its event loop, perhaps before it began."""
        self._tasks.discard(task)
        work.close()
        waiting.cut_off()


async def _answer(waiting: Waiting[W, R], work: Coroutine[Any, Any, R], committed: Callable[[R], bool]) -> None:
    try:
        answer = await work
    except Exception as error:
        waiting.failed(error)
    else:
        waiting.done(answer, committed=committed(answer))
