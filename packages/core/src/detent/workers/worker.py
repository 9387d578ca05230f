"""The worker: everything that a runtime does by itself, in one object that starts, tells how it is doing, and stops."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from detent.clock import SystemClock
from detent.errors import AlreadyStarted, InvalidValue
from detent.runtime.arguments import check_duration, check_limit, check_period
from detent.runtime.listener import Listener
from detent.runtime.runtime import WorkflowRuntime
from detent.store.signals import INBOX, OUTBOX, RUNS, TIMERS, withdrawn
from detent.workers.definitions import DefinitionWorker
from detent.workers.health import WorkerHealth, trouble_of
from detent.workers.loop import Loop, going_on
from detent.workers.messages import InboxWorker, OutboxWorker
from detent.workers.queues import Queue, Served
from detent.workers.retention import RetentionWorker
from detent.workers.run_worker import RunWorker
from detent.workers.stalls import StallWatch
from detent.workers.timeouts import TimeoutWorker

logger = logging.getLogger("detent.workers")

_WAKES: Mapping[str, str] = {RUNS: "runs", INBOX: "inbox", OUTBOX: "outbox", TIMERS: "timeouts"}
_WITHDRAWN = withdrawn("")


class Worker:
    """Advances runs, fires timeouts, delivers inbox and outbox, and applies retention policies, while it is entered.

    It also looks for definitions that others store, where the runtime adopts any.

    Any number may run, in any number of processes, beside an application or alone; `detent worker` is one. It is woken by
    signals where the store carries them, and looks for work every `poll` all the same. Enter the runtime first.

    * `queues`: whose durable commands it runs, names or `Queue` objects with limits; `None` for all. `"*"` among them stands for
      all that are not named.
    * `concurrency`: how many runs it works on at once.
    * `poll`: how often it looks for runs, timeouts and messages of which no signal told, a tenth more or less.
    * `drain`: how long leaving lets work under way go on. Then commands are cancelled and their runs
      given back, within that time.
    * `timeouts`, `inbox`, `outbox`, `retention`: whether it does that work too.
    * `name`: what it is called in the runs it holds; host and process id by default.

    `poll` and `drain` are each a `timedelta`, or text such as `"30s"`.

    Raises `InvalidValue`.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        queues: Iterable[str | Queue] | None = None,
        concurrency: int = 10,
        poll: timedelta | str = timedelta(seconds=1),
        drain: timedelta | str = timedelta(seconds=30),
        timeouts: bool = True,
        inbox: bool = True,
        outbox: bool = True,
        retention: bool = True,
        name: str | None = None,
    ) -> None:
        check_limit(concurrency, most=10_000, path="concurrency")
        poll, drain = check_period(poll, "poll"), check_duration(drain, "drain")
        if drain < timedelta(0):
            raise InvalidValue("drain", "must not be negative")
        self._runtime = runtime
        self._name = name
        self._runs = RunWorker(runtime, served=Served.of(queues), concurrency=concurrency, interval=poll, drain=drain)
        self._loops: dict[str, Loop] = {"runs": self._runs}
        if timeouts:
            self._loops["timeouts"] = TimeoutWorker(runtime, interval=poll, drain=going_on(drain))
        if inbox:
            self._loops["inbox"] = InboxWorker(runtime, interval=poll, drain=going_on(drain))
        if outbox:
            self._loops["outbox"] = OutboxWorker(runtime, interval=poll, drain=going_on(drain))
        if runtime.adopts:
            self._loops["definitions"] = DefinitionWorker(runtime, drain=going_on(drain))
        if retention:
            self._loops["retention"] = RetentionWorker(runtime, drain=going_on(drain))
        self._listener = Listener(lambda: runtime.store.signals, self._hear, self._wake_all)
        self._watch: StallWatch | None = None
        self._around: AsyncExitStack | None = None
        self._ending: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._started_at: datetime | None = None

    async def __aenter__(self) -> Self:
        if self._around is not None:
            raise AlreadyStarted
        running = self._runtime.running()
        if self._name is not None:
            running.runs.worker = self._name
        self._ending = None
        self._watch = StallWatch(running.parts.settings.lease / 3)
        self._around = AsyncExitStack()
        await self._around.enter_async_context(self._watch)
        await self._around.enter_async_context(self._listener)
        for loop in self._loops.values():
            await loop.__aenter__()
        self._started_at = SystemClock().now()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        except asyncio.CancelledError:
            self.abort()
            await self.stop()
            raise

    async def run(self) -> None:
        """Work until it is cancelled or told to stop, and until work under way has ended. Cancelled again, it aborts."""
        async with self:
            await self.asked_to_stop()

    def ask_to_stop(self) -> None:
        """Let `run` end, gracefully; at once, when it has not begun yet."""
        self._asked.set()

    async def asked_to_stop(self) -> None:
        """Wait until somebody wants it to stop."""
        await self._asked.wait()

    async def stop(self) -> None:
        """Take nothing new, let work under way end within `drain`, and answer when that is done. Stopping twice is fine."""
        if self._around is None:
            return
        self._asked.set()
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(self._around), name="Worker.stop")
        await asyncio.shield(self._ending)

    def abort(self) -> None:
        """Cancel all work under way at once; runs are given back to others. `stop` waits for the little that this takes."""
        self._asked.set()
        for loop in self._loops.values():
            loop.abort()

    @property
    def name(self) -> str:
        """What it is called in the runs it holds."""
        return self._name or self._runtime.running().runs.worker

    @property
    def loops(self) -> list[str]:
        """The names of its loops: what it does."""
        return list(self._loops)

    @property
    def running(self) -> list[UUID]:
        """The runs it works on."""
        return self._runs.running

    def health(self) -> WorkerHealth:
        """How it is doing. Asks nothing of the store."""
        if self._around is None:
            return WorkerHealth(ok=False, detail="it has stopped" if self._started_at else "it was not started")
        loops = {name: loop.health() for name, loop in self._loops.items()}
        trouble = trouble_of(loops)
        stopping = self._asked.is_set()
        return WorkerHealth(
            ok=not trouble and not stopping,
            detail="; ".join(trouble) or ("it is stopping" if stopping else "it works"),
            started_at=self._started_at,
            running=tuple(self.running),
            loops=loops,
            listening=self._listener.listening,
            longest_stall=timedelta(0) if self._watch is None else self._watch.longest,
        )

    async def _end(self, around: AsyncExitStack) -> None:
        """Leave all loops at the same time; what hears and keeps alive ends last."""
        leaving: list[Coroutine[Any, Any, None]] = [loop.__aexit__(None, None, None) for loop in self._loops.values()]
        try:
            for name, left in zip(self._loops, await asyncio.gather(*leaving, return_exceptions=True), strict=True):
                if isinstance(left, BaseException):
                    logger.error("the loop %r could not be left", name, exc_info=left)
            await around.aclose()
        finally:
            self._around = None
            self._asked.clear()

    def _wake_all(self) -> None:
        for name in _WAKES.values():
            self._wake(name)

    def _wake(self, name: str) -> None:
        if (loop := self._loops.get(name)) is not None:
            loop.wake()

    def _hear(self, word: str) -> None:
        if (name := _WAKES.get(word)) is not None:
            self._wake(name)
        elif word.startswith(_WITHDRAWN):
            self._runtime.running().runs.leases.doubt(UUID(word.removeprefix(_WITHDRAWN)))
