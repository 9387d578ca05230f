"""Claims runs and works on several of them at once, for as long as it is entered."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from uuid import UUID

from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.runtime.runs import Runs
from detent.runtime.runtime import WorkflowRuntime
from detent.store.run_records import ClaimedRun, Release, Run
from detent.workers.loop import Loop, going_on
from detent.workers.queues import Queue, Served
from detent.workers.unclaimed import Unclaimed

logger = logging.getLogger("detent.workers")

_LEAST = 0.5
"""For how many seconds runs that were cancelled are waited for at least."""
_CLAIM = timedelta(seconds=5)
"""How long a claim under way is waited for at least: what it claimed and nobody heard of would be left to its lease."""
_SOON = timedelta(minutes=1)
"""Up to what time it is told when to look again."""
_GRACE = 0.001
"""How many seconds later it looks: a look just before the time would find nothing."""


@dataclass(eq=False, slots=True)
class _Slot:
    """One run that is worked on here."""

    run_id: UUID
    queue: str
    """The queue whose limits it counts for."""
    task: asyncio.Task[None] | None = None


class RunWorker(Loop):
    """Claims as many runs as it has room for, every `interval`, when it is woken, and when a run leaves room for more.

    Any number may run, in any number of processes: each run is held by one of them. Leaving claims no more, lets runs
    under way go on within `drain`, and cancels what is left and gives it back to others; `drain` includes that.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        served: Served | None = None,
        concurrency: int = 10,
        interval: timedelta = timedelta(seconds=1),
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=max(drain, _CLAIM))
        self._time = drain
        self._runtime = runtime
        self._served = served or Served()
        self._concurrency = concurrency
        self._unclaimed = Unclaimed(runtime, self._served.covers)
        self._slots: list[_Slot] = []
        self._alarms: set[asyncio.TimerHandle] = set()
        self._turn = 0
        self._more = False

    @property
    def running(self) -> list[UUID]:
        """The runs it works on."""
        return [slot.run_id for slot in self._slots]

    async def round(self) -> bool:
        """Claim what there is room for, from each share of the queues in turn."""
        full = [share for share in self._shares() if not await self._exhausted(share)]
        self._more = bool(full)
        await self._unclaimed.look()
        # A run may have ended while another share was claimed from.
        return any(self._room_for(share) > 0 for share in full)

    def abort(self) -> None:
        """Cancel what is under way, and give it back at once. A claim that was just asked for is waited for, and given back."""
        self._stop()
        self._cancel_runs()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time = asyncio.get_running_loop().time
        began = time()
        await super().__aexit__(kind, error, trace)
        self._cancel_alarms()
        await self._ended(began + going_on(self._time).total_seconds() - time())
        if self._slots:
            logger.warning("still under way after %s, and given back: runs %s", self._time, self.running)
            self._cancel_runs()
            await self._ended(max(began + self._time.total_seconds() - time(), _LEAST))
        if self._slots:
            logger.error("runs %s do not end although they were cancelled", self.running)

    def _shares(self) -> list[Queue | None]:
        """The limited queues one by one, and `None` for all others together; another one first each time."""
        shares: list[Queue | None] = [*self._served.limited]
        if self._served.names != ():
            shares.append(None)
        start = self._turn % len(shares)
        self._turn += 1
        return [*shares[start:], *shares[:start]]

    async def _exhausted(self, share: Queue | None) -> bool:
        """Claim what there is room for; whether that was everything."""
        room = self._room_for(share)
        if room <= 0:
            return False
        if self._stopping.is_set():
            return True
        claimed = await self._claim(share, room)
        await self._begin(claimed)
        return len(claimed) < room

    def _room_for(self, share: Queue | None) -> int:
        room = self._concurrency - len(self._slots)
        if share is None or share.concurrency is None:
            return room
        return min(room, share.concurrency - sum(slot.queue == share.name for slot in self._slots))

    @property
    def _advancing(self) -> Runs:
        return self._runtime.running().runs

    async def _claim(self, share: Queue | None, room: int) -> Sequence[ClaimedRun]:
        tenant = self._runtime.tenant
        if share is None:
            return await self._advancing.claim(
                room, queues=self._served.names, except_queues=self._served.limited_names, tenant=tenant
            )
        claimed = await self._advancing.claim(room, queues=[share.name], throttle=share.throttle, tenant=tenant)
        if claimed and share.rate is not None:
            # When as much time has passed, as many may be claimed again; nobody will say so.
            self._wake_in(share.period)
        return claimed

    async def _begin(self, claimed: Sequence[ClaimedRun]) -> None:
        if self._stopping.is_set():
            await self._return(claimed)
            return
        for one in claimed:
            slot = _Slot(one.run.id, one.run.queue)
            self._slots.append(slot)
            slot.task = asyncio.create_task(self._work_on(one, slot), name=f"detent-run-{one.run.id}")

    async def _return(self, claimed: Sequence[ClaimedRun]) -> None:
        """Give back what was claimed while the worker was told to stop."""
        if claimed:
            parts = self._runtime.running().parts
            releases = [Release(one.lease, uncount=True) for one in claimed]
            await parts.store.runs.release(releases, now=parts.now)

    async def _work_on(self, claimed: ClaimedRun, slot: _Slot) -> None:
        def serves(queue: str) -> bool:
            stays = self._served.keeps(queue)
            if stays:
                slot.queue = queue
            return stays

        def begins(queue: str) -> bool:
            return not self._stopping.is_set() and serves(queue)

        def begun(run: Run) -> None:
            slot.run_id = run.id

        limited = slot.queue in self._served.limited_names
        try:
            await self._advancing.work_through(claimed, serves=serves, begins=begins, begun=begun, due=self._wake_in)
        except (StoreUnavailable, OutcomeUnknown) as error:
            logger.warning("run %s is left to whoever claims it when its lease has ended: %s", slot.run_id, error)
        except Exception:
            logger.exception("run %s could not be worked on; its lease will end", slot.run_id)
        finally:
            self._slots.remove(slot)
            if self._more or limited:
                self.wake()

    def _wake_in(self, time: timedelta) -> None:
        """Look again when this time has passed; where it is long, the next look after it is soon enough."""
        if time > _SOON or self._stopping.is_set():
            return

        def wake() -> None:
            self._alarms.discard(alarm)
            self.wake()

        alarm = asyncio.get_running_loop().call_later(time.total_seconds() + _GRACE, wake)
        self._alarms.add(alarm)

    def _cancel_alarms(self) -> None:
        for alarm in self._alarms:
            alarm.cancel()
        self._alarms.clear()

    def _cancel_runs(self) -> None:
        for slot in self._slots:
            if slot.task is not None:
                # Soon and not at once: a task that is cancelled before it began could give nothing back.
                asyncio.get_running_loop().call_soon(slot.task.cancel)

    async def _ended(self, seconds: float) -> None:
        tasks = [slot.task for slot in self._slots if slot.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=max(seconds, 0))
