"""Waiting until instances are where callers want them: one question to the store for all who wait, asked while anybody does."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from detent.errors import (
    InstanceFinished,
    InstanceNotFound,
    InvalidValue,
    NotStarted,
    RunParked,
    StoreError,
    StoreUnavailable,
    WaitTimeout,
)
from detent.problems import did_you_mean
from detent.retry import Retry
from detent.runtime.listener import Listener
from detent.runtime.standstill import Standstill
from detent.store.protocol import Store
from detent.store.query import InstanceQuery, Order
from detent.store.records import FINISHED, WorkflowInstance
from detent.store.run_records import RunStatus
from detent.store.signals import moved

logger = logging.getLogger("detent.waiting")

_PAUSE = Retry(
    initial=timedelta(milliseconds=50), factor=1.5, maximum=timedelta(seconds=1), jitter=0.1, attempts=1_000_000
)
"""How long until the next look at those of whom nobody said that they moved."""
_AT_ONCE = 500
"""How many instances are looked at by one query."""
_PATIENCE = 1.0
"""For how many seconds it asks at most what holds an instance that is not where it is waited for."""
_LINGER = 5.0
"""For how many seconds it goes on to listen when nobody waits."""
_MOVED = moved("")


@dataclass(frozen=True, slots=True)
class Goal:
    """Where an instance is to be."""

    states: frozenset[str] | None = None
    """In one of these; in any for `None`."""
    ended: bool = False
    """Whether it has to be completed, failed or cancelled."""

    def reached_by(self, instance: WorkflowInstance) -> bool:
        """Whether it is there, and no run is under way that would take it elsewhere."""
        there = self.states is None or instance.state in self.states
        return there and instance.run_id is None and (not self.ended or instance.status in FINISHED)


@dataclass(eq=False, slots=True)
class Waiter:
    """One caller that waits for one instance."""

    instance_id: UUID
    goal: Goal
    tenant: str | None
    arrived: asyncio.Future[WorkflowInstance]
    seen: WorkflowInstance | None = None
    """The instance as it was last."""


@dataclass(slots=True)
class _Waiters:
    """Those who wait, by the instance they wait for."""

    by_instance: dict[UUID, list[Waiter]] = field(default_factory=dict)

    def add(self, waiter: Waiter) -> None:
        self.by_instance.setdefault(waiter.instance_id, []).append(waiter)

    def remove(self, waiter: Waiter) -> None:
        left = self.by_instance[waiter.instance_id]
        left.remove(waiter)
        if not left:
            del self.by_instance[waiter.instance_id]


class Waiting:
    """Serves all who wait in one runtime.

    It looks at an instance when this process moved it or a signal says that another one did, and at all of them from time to
    time, less and less often. While nobody waits it does nothing.
    """

    def __init__(self, store: Store, standstill: Standstill) -> None:
        self._store = store
        self._standstill = standstill
        self._waiters = _Waiters()
        self._moved: set[UUID] = set()
        self._wake = asyncio.Event()
        self._looks = 0
        self._due = 0.0
        self._failed: StoreError | None = None
        self._serving: asyncio.Task[None] | None = None
        self._closed = False

    async def until(self, instance_id: UUID, goal: Goal, *, tenant: str | None, timeout: timedelta) -> WorkflowInstance:
        """The instance once it is where `goal` says.

        Raises `InstanceNotFound`, `InvalidValue` for a state that the instance's version does not have, `RunParked`,
        `InstanceFinished`, `WaitTimeout`, and `StoreError` when the store could not be asked at the end.
        """
        if self._closed:
            raise NotStarted
        with self._waiter(instance_id, goal, tenant) as waiter:
            await asyncio.wait([waiter.arrived], timeout=timeout.total_seconds())
            if not waiter.arrived.done() and waiter.seen is None and self._failed is None:
                # There was no time for a first look, and the caller is owed one.
                await self._look([instance_id])
            if waiter.arrived.done():
                return waiter.arrived.result()
            raise self._failed or await self._too_late(waiter, timeout)

    def look(self, instance_id: UUID) -> None:
        """This instance was written: look at it soon, if anybody waits for it."""
        if instance_id in self._waiters.by_instance:
            self._moved.add(instance_id)
            self._wake.set()

    async def close(self) -> None:
        """Tell all who still wait that nothing will come: `NotStarted`."""
        self._closed = True
        self._fail(self._waiters.by_instance, NotStarted())
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.cancel()
            await asyncio.wait([serving])

    @contextmanager
    def _waiter(self, instance_id: UUID, goal: Goal, tenant: str | None) -> Iterator[Waiter]:
        waiter = Waiter(instance_id, goal, tenant, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self._hurry()
        self.look(instance_id)
        if self._serving is None:
            self._failed = None
            self._serving = asyncio.create_task(self._serve(), name="detent-waiting")
        try:
            yield waiter
        finally:
            self._waiters.remove(waiter)
            if not waiter.arrived.cancel() and not waiter.arrived.cancelled():
                # Fetched, so that asyncio does not complain about an error that a cancelled caller never saw.
                waiter.arrived.exception()

    async def _serve(self) -> None:
        """Look, until nobody has waited for a while. It ends by itself, so that no question to the store is broken off."""
        async with Listener(lambda: self._store.signals, self._hear, self._look_at_all):
            while await self._is_wanted():
                await self._look_contained()
                await self._pause()
            self._serving = None

    async def _is_wanted(self) -> bool:
        """Whether anybody waits, or will do so soon: beginning to listen may cost a connection."""
        if not self._waiters.by_instance:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    await self._wake.wait()
        return bool(self._waiters.by_instance)

    def _look_at_all(self) -> None:
        """What was said until now, nobody heard."""
        self._moved |= set(self._waiters.by_instance)
        self._wake.set()

    def _hear(self, word: str) -> None:
        if word.startswith(_MOVED):
            with suppress(ValueError):
                self.look(UUID(word.removeprefix(_MOVED)))

    def _hurry(self) -> None:
        """Somebody new waits: begin anew to look often."""
        self._looks = 1
        self._due = min(self._due, asyncio.get_running_loop().time() + _PAUSE.initial.total_seconds())

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._due):
                await self._wake.wait()

    def _wanted(self) -> list[UUID]:
        """Whom to look at now: those that moved, and when it is time, all."""
        now, wanted = asyncio.get_running_loop().time(), self._moved
        self._moved = set()
        self._wake.clear()
        if now >= self._due:
            wanted = set(self._waiters.by_instance)
            self._due = now + _PAUSE.delay(self._looks).total_seconds()
            self._looks += 1
        return list(wanted)

    async def _look_contained(self) -> None:
        wanted = self._wanted()
        try:
            await self._look(wanted)
        except (StoreError, OSError) as error:
            level = logging.WARNING if self._failed is None else logging.DEBUG
            logger.log(level, "%d instances that are waited for could not be looked at: %s", len(wanted), error)
            self._failed = error if isinstance(error, StoreError) else StoreUnavailable(str(error))
        except Exception as error:
            self._fail(wanted, error)
        else:
            self._failed = None

    async def _look(self, wanted: list[UUID]) -> None:
        for start in range(0, len(wanted), _AT_ONCE):
            ids = tuple(wanted[start : start + _AT_ONCE])
            found = await self._store.find(InstanceQuery(ids=ids), order=Order("id"), limit=len(ids))
            by_id = {instance.id: instance for instance in found}
            for instance in found:
                await self._refuse_unknown(instance)
            parked = await self._parked(by_id)
            for instance_id in ids:
                for waiter in self._waiters.by_instance.get(instance_id, ()):
                    _tell(waiter, by_id.get(instance_id), parked.get(instance_id))

    async def _refuse_unknown(self, instance: WorkflowInstance) -> None:
        """Tell those who see the instance for the first time, and wait for a state that it can never be in."""
        fresh = [waiter for waiter in self._waiters.by_instance.get(instance.id, ()) if _asks_anew(waiter, instance)]
        states = await self._standstill.states(instance) if fresh else None
        for waiter in fresh:
            unknown = sorted((waiter.goal.states or frozenset()) - set(states)) if states is not None else []
            if unknown and not waiter.arrived.done():
                reason = f"is {unknown[0]!r}, which {instance.workflow!r} does not have"
                waiter.arrived.set_exception(InvalidValue("state", reason, hint=did_you_mean(unknown[0], states or ())))

    async def _too_late(self, waiter: Waiter, timeout: timedelta) -> WaitTimeout:
        held_by = None
        if waiter.seen is not None:
            with suppress(StoreError, OSError):
                async with asyncio.timeout(_PATIENCE):
                    held_by = await self._standstill.reason(waiter.seen)
        state = "" if waiter.seen is None else waiter.seen.state
        return WaitTimeout(waiter.instance_id, state, timeout.total_seconds(), held_by)

    async def _parked(self, found: Mapping[UUID, WorkflowInstance]) -> Mapping[UUID, RunParked]:
        """For the instances whose run is parked, what to say of that. A parked timer parks an instance too."""
        parked: dict[UUID, RunParked] = {}
        for instance in found.values():
            if instance.run_id is None or instance.parked_at is None:
                continue
            run = await self._store.runs.load(instance.run_id)
            if run is not None and run.status is RunStatus.PARKED:
                parked[instance.id] = RunParked(instance.id, run.id, run.reason)
        return parked

    def _fail(self, wanted: Iterable[UUID], error: Exception) -> None:
        for instance_id in wanted:
            for waiter in self._waiters.by_instance.get(instance_id, ()):
                if not waiter.arrived.done():
                    waiter.arrived.set_exception(error)


def _tell(waiter: Waiter, instance: WorkflowInstance | None, parked: RunParked | None) -> None:
    """End the wait, when there is nothing left to wait for."""
    if waiter.arrived.done():
        return
    if instance is None or waiter.tenant not in (None, instance.tenant):
        waiter.arrived.set_exception(InstanceNotFound(waiter.instance_id))
        return
    waiter.seen = instance
    if waiter.goal.reached_by(instance):
        waiter.arrived.set_result(instance)
    elif parked is not None:
        waiter.arrived.set_exception(parked)
    elif instance.status in FINISHED:
        waiter.arrived.set_exception(InstanceFinished(instance.id, instance.status.value))


def _asks_anew(waiter: Waiter, instance: WorkflowInstance) -> bool:
    mine = waiter.tenant in (None, instance.tenant)
    return mine and waiter.seen is None and bool(waiter.goal.states) and not waiter.arrived.done()
