"""What the executions of one runtime share."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from detent.clock import Clock
from detent.errors import InvalidValue, StepRolledBack, StoreUnavailable
from detent.problems import did_you_mean
from detent.retry import Retry
from detent.runtime.calls import Calls
from detent.runtime.injection import Injector
from detent.runtime.machines import Machines
from detent.runtime.observers import Observers
from detent.runtime.retention_policy import RetentionPolicy
from detent.store.protocol import Store

T = TypeVar("T")

Unresolvable: TypeAlias = Literal["withdraw", "warn", "raise"]
"""What becomes of a workflow with live instances that cannot run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of a runtime."""

    max_chain: int = 10
    """How many automatic hops one event may cause in one commit."""
    timeout_retry: Retry = field(default_factory=lambda: Retry(attempts=10, initial=timedelta(minutes=1)))
    """When a refused or failed timeout fires again, and after how many attempts it is parked."""
    step_retry: Retry = field(
        default_factory=lambda: Retry(
            attempts=5, initial=timedelta(milliseconds=20), maximum=timedelta(milliseconds=500), jitter=0.5
        )
    )
    """When a step is repeated that the database rolled back (deadlock, serialisation, lost connection)."""
    step_budget: timedelta = timedelta(seconds=5)
    """After how long, its repetitions included, a step that was rolled back is not repeated any more."""
    keep_receipts: timedelta = timedelta(days=30)
    """How long an idempotency key is answered with what it was answered before."""
    drain: timedelta = timedelta(seconds=30)
    """How long leaving the runtime waits for steps and observers under way."""
    unresolvable: Unresolvable = "withdraw"
    """What entering the runtime does about a workflow of which live instances cannot run here, for want of a command, a
    guard or a state: `withdraw` lets that workflow alone take no step, `warn` only logs it, `raise` refuses to start.
    """

    def __post_init__(self) -> None:
        if self.unresolvable not in get_args(Unresolvable):
            hint = did_you_mean(str(self.unresolvable), get_args(Unresolvable))
            raise InvalidValue("unresolvable", f"is {self.unresolvable!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class Parts:
    """The wired parts of a running runtime."""

    store: Store
    machines: Machines
    calls: Calls
    injector: Injector
    observers: Observers
    clock: Clock | None
    """`None` leaves time to the store: the database's clock, where it has one."""
    settings: Settings
    retention: tuple[RetentionPolicy, ...] = ()
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def now(self) -> datetime | None:
        """The injected clock's time, or `None` for the store's."""
        return None if self.clock is None else self.clock.now()

    async def unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end when the caller is cancelled, so that no step is torn."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def repeated(self, take: Callable[[], Awaitable[T]]) -> T:
        """What `take` answers, taken again while the database rolls it back. Raises `StoreUnavailable` in the end."""
        retry, time = self.settings.step_retry, asyncio.get_running_loop().time
        until = time() + self.settings.step_budget.total_seconds()
        for attempts in count(1):
            try:
                return await take()
            except StepRolledBack as lost:
                if retry.exhausted(attempts) or time() >= until:
                    raise StoreUnavailable(lost.reason) from lost
                await asyncio.sleep(retry.delay(attempts).total_seconds())
        raise AssertionError("counting does not end")

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            # A cancelled caller does not fetch the result; asyncio would complain about an error nobody saw.
            task.exception()

    async def drained(self) -> None:
        """Wait for steps and reports under way, and cancel what is left when the time for it is up."""
        try:
            async with asyncio.timeout(self.settings.drain.total_seconds()):
                while self.tasks:
                    await asyncio.wait(set(self.tasks))
                await self.observers.settled()
        except TimeoutError:
            left = set(self.tasks)
            for task in left:
                task.cancel()
            self.observers.cancel()
            if left:
                await asyncio.wait(left, timeout=1)
