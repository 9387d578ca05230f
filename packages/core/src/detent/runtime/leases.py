"""The runs that this process holds: kept alive by one statement for all of them, and stopped when they are lost."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from detent.clock import Clock
from detent.errors import LeaseLost
from detent.store.protocol import Store
from detent.store.run_records import Lease

logger = logging.getLogger("detent.runs")

T = TypeVar("T")


class Leases:
    """Extends the leases of runs under way every third of their length. One per runtime.

    A run whose lease is lost is cancelled. When the store cannot be reached for two thirds of a lease, all are: by then
    others may soon take them over, and nobody would hear what is still done here.
    """

    def __init__(self, store: Store, clock: Clock | None, length: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._length = length
        self._held: dict[Lease, asyncio.Task[Any]] = {}
        self._lost: set[Lease] = set()
        self._locked: set[Lease] = set()
        self._ending: set[Lease] = set()
        self._beating: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._heard = 0.0

    async def under(self, lease: Lease, work: Coroutine[Any, Any, T]) -> T:
        """What `work` answers, done while the lease is kept. Raises `LeaseLost` when that fails; then `work` was cancelled."""
        task = asyncio.create_task(work)
        self._held[lease] = task
        self._begin()
        try:
            return await task
        except asyncio.CancelledError:
            if lease in self._lost and not _is_cancelled():
                raise LeaseLost(lease.run_id) from None
            await _ended(task)
            raise
        finally:
            self._lost.discard(lease)
            self._held.pop(lease, None)
            self._rest_if_idle()

    @contextmanager
    def locked(self, lease: Lease) -> Iterator[None]:
        """While a step of ours holds the run's row: nobody can claim it, and a sign of life would wait for that very step."""
        self._locked.add(lease)
        try:
            yield
        finally:
            self._locked.discard(lease)

    @contextmanager
    def ending(self, lease: Lease) -> Iterator[None]:
        """While the end of the run is committed, which finds out by itself whether it may: that the lease is gone may mean that
        it just was.
        """
        self._ending.add(lease)
        try:
            yield
        finally:
            self._ending.discard(lease)

    def doubt(self, run_id: UUID) -> None:
        """Somebody says that this run was cancelled: find out soon, if it is held here."""
        if any(lease.run_id == run_id for lease in self._held):
            self._look.set()

    @property
    def held(self) -> list[UUID]:
        """The runs that are held."""
        return [lease.run_id for lease in self._held]

    def _begin(self) -> None:
        if self._beating is None:
            self._heard = asyncio.get_running_loop().time()
            self._beating = asyncio.create_task(self._beat(), name="detent-leases")

    def _rest_if_idle(self) -> None:
        if not self._held and self._beating is not None:
            self._beating.cancel()
            self._beating = None

    async def _beat(self) -> None:
        while True:
            await self._pause()
            free = [lease for lease in self._held if lease not in self._locked]
            if free:
                await self._extend(free)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._length.total_seconds() / 3):
                await self._look.wait()
        # Cleared behind the wait: a doubt that came while the last answer was under way is looked into now.
        self._look.clear()

    async def _extend(self, leases: list[Lease]) -> None:
        loop, third = asyncio.get_running_loop(), self._length.total_seconds() / 3
        asked, given_up = loop.time(), self._heard + 2 * third
        try:
            # No answer is waited for beyond that, but for a moment: a loop that stood still may ask once more.
            async with asyncio.timeout_at(min(asked + third, max(given_up, asked + third / 4))):
                kept = await self._store.runs.heartbeat(
                    leases, extend=self._length, now=None if self._clock is None else self._clock.now()
                )
        except Exception:
            # Whatever it was: were this task to end, the leases of all runs here would.
            logger.warning("the leases of %d runs could not be extended", len(leases), exc_info=True)
            # A timer may go off a little early, and the next look comes too late.
            if loop.time() >= given_up - third / 100:
                self._drop(leases)
            return
        self._heard = asked
        self._drop([lease for lease in leases if lease.run_id not in kept and lease not in self._ending])

    def _drop(self, leases: list[Lease]) -> None:
        for lease in leases:
            task = self._held.get(lease)
            if task is not None and not task.done():
                self._lost.add(lease)
                task.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
