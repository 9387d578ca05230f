"""A run in the hands of this process: what it is so far, and what may be written about it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import TypeAlias, TypeVar
from uuid import uuid4

from detent.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from detent.json_values import JsonObject
from detent.retry import Retry
from detent.runtime.draft import Draft, NextCommand
from detent.runtime.parts import Parts
from detent.store.change import AddRun, Effect, SaveStep
from detent.store.copies import copy_instance, copy_run
from detent.store.protocol import Unit
from detent.store.records import Status, WorkflowInstance
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Release, Run, RunStatus

logger = logging.getLogger("detent.runs")

T = TypeVar("T")

Serves: TypeAlias = Callable[[str], bool]
"""Whether the next command may be taken here without being claimed anew, by its queue."""

_STORAGE_RETRY = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=2), jitter=0.5)


class HeldRun:
    """One claimed run. Every write of it names its lease, and raises `LeaseLost` once that is another's.

    What a command has answered is not thrown away for want of a database: a write that the store surely refused, or may
    have refused, is repeated for as long as the lease can hold.
    """

    def __init__(self, parts: Parts, claimed: ClaimedRun, begins: Serves | None = None) -> None:
        self._parts = parts
        self._begins = begins
        self.run = claimed.run
        self.instance: WorkflowInstance = claimed.instance
        self.lease: Lease = claimed.lease
        self._started = perf_counter()
        self.only_once = False
        """Whether an attempt is under way that must not be made again."""
        self.due_in: timedelta | None = None
        """After what time it may be claimed again, once it was given back with a delay."""
        self.unsaved: Checkpoint | None = None
        """The answer that is to be saved with the end of the run."""
        self.trace: JsonObject = {}
        """The trace context of the attempt that was made last."""
        self.following: ClaimedRun | None = None
        """The run that its end has begun, if that is held here."""
        self._upcoming: Run | None = None

    @property
    def attempts(self) -> int:
        """Which attempt of the next command this is."""
        return self.run.attempts

    @property
    def took(self) -> timedelta:
        """How long it has been here."""
        return timedelta(seconds=perf_counter() - self._started)

    async def keep(self, *, kept: JsonObject | None = None, progress: JsonObject | None = None) -> None:
        """Write down what a command says while it works; see `Keeper`."""
        runs, length = self._parts.store.runs, self._parts.settings.lease
        held = await self.persistently(
            lambda: runs.keep(self.lease, kept=kept, progress=progress, extend=length, now=self._parts.now)
        )
        self._require(held)

    def checkpoint(
        self, entry: JsonObject, following: NextCommand, *, stays: bool, took: timedelta = timedelta(0)
    ) -> Checkpoint:
        """What is saved of an answer; the lease is kept where the next command `stays` here.

        `took` is how long the step has held the run that saves it: its instant is when that began, and the lease is to hold
        as long from its end.
        """
        return Checkpoint(
            lease=self.lease,
            entry=entry,
            position=len(self.run.journal),
            command=following["command"],
            queue=following["queue"],
            priority=following["priority"],
            release=None if stays else timedelta(0),
            extend=self._parts.settings.lease + took,
        )

    def checkpoint_saved_in(self, run: Run) -> Checkpoint:
        """What was saved last in `run`, which is one entry ahead of what is known here."""
        following = NextCommand(command=run.command, queue=run.queue, priority=run.priority)
        return self.checkpoint(run.journal[len(self.run.journal)], following, stays=True)

    async def save(self, checkpoint: Checkpoint) -> Status:
        """Save a checkpoint; answers how the instance stands."""
        runs = self._parts.store.runs
        status = await self.persistently(lambda: runs.checkpoint(checkpoint, now=self._parts.now))
        if status is None:
            raise LeaseLost(self.run.id)
        self.saved(checkpoint)
        return status

    def saved(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint that was committed."""
        self.only_once = False
        self.run = replace(
            self.run,
            journal=(*self.run.journal, checkpoint.entry),
            command=checkpoint.command,
            queue=checkpoint.queue,
            priority=checkpoint.priority,
            attempts=1,
            crashes=0,
            kept={},
            progress=None,
            error=None,
        )

    @property
    def upcoming(self) -> Lease | None:
        """What the run is held by that its end begins, once that was decided."""
        return None if self._upcoming is None else self._upcoming.lease

    @property
    def is_fresh(self) -> bool:
        """Whether more than half of the lease is left of the run that its end has begun."""
        run = None if self.following is None else self.following.run
        if run is None or run.lease_until is None:
            return False
        return run.lease_until - self._parts.present > self._parts.settings.lease / 2

    async def save_left(self) -> bool:
        """Save the answer that was not saved with the end of the run, if there is one; whether the run may go on."""
        if self.unsaved is None:
            return True
        status = await self.save(self.unsaved)
        # Not before: where the store is away, whoever gives the run back tries once more.
        self.unsaved = None
        return status is Status.ACTIVE

    @property
    def journal(self) -> Sequence[JsonObject]:
        """The run's journal, with the answer that is not saved yet."""
        return self.run.journal if self.unsaved is None else (*self.run.journal, self.unsaved.entry)

    def take_along(self, draft: Draft) -> None:
        """Let the end in `draft` save the answer before it; and where it begins a run that may be done here, begin that held."""
        saved = () if self.unsaved is None else (SaveStep(self.unsaved),)
        draft.effects = (*saved, *(self._begun(draft, effect) for effect in draft.effects))

    def _begun(self, draft: Draft, effect: Effect) -> Effect:
        if not isinstance(effect, AddRun) or draft.upcoming is None or self._begins is None:
            return effect
        retry = draft.upcoming.retry or self._parts.settings.run_retry
        # Of an attempt that may be made once, nobody could tell that it was not made where this process ends first.
        if retry.at_most_once or effect.run.priority < self.run.priority or not self._begins(effect.run.queue):
            return effect
        self._upcoming = replace(
            effect.run,
            status=RunStatus.RUNNING,
            attempts=1,
            lease_token=uuid4(),
            lease_until=draft.now + self._parts.settings.lease,
            worker=self.run.worker,
        )
        return AddRun(self._upcoming)

    def ended(self, instance: WorkflowInstance) -> None:
        """Its end is committed, which left `instance` behind."""
        if self.unsaved is not None:
            self.saved(self.unsaved)
            self.unsaved = None
        if self._upcoming is not None:
            # Copies: callers and observers get the others, and may edit them.
            self.following = ClaimedRun(copy_run(self._upcoming), copy_instance(instance))

    def has_begun(self, record: WorkflowInstance) -> bool:
        """Whether `record` is as the end of this run left it: somebody missed the answer."""
        return self._upcoming is not None and record.run_id == self._upcoming.id

    async def give_back(self) -> None:
        """Let others go on at once, also with the run that its end may have begun. An attempt that was broken off does not count,
        unless it was the only one allowed; an answer that waited for the end is kept.
        """
        runs, now = self._parts.store.runs, self._parts.now
        if self.unsaved is not None and await runs.checkpoint(self.unsaved, now=now) is not None:
            self.saved(self.unsaved)
        given = [Release(self.lease, uncount=not self.only_once)]
        if self.upcoming is not None:
            given.append(Release(self.upcoming, uncount=True))
        back = await runs.release(given, now=now)
        if not back and self.upcoming is not None:
            # The end was under way: the first look has waited for it, and saw nothing yet of what it began.
            await runs.release(given, now=now)

    async def release(
        self, delay: timedelta = timedelta(0), *, error: JsonObject | None = None, uncount: bool = False
    ) -> None:
        """Give the run back."""
        runs, given = self._parts.store.runs, Release(self.lease, delay, error, uncount)
        back: Collection[object] = await self.persistently(lambda: runs.release([given], now=self._parts.now))
        self._require(bool(back))
        self.due_in = delay or None

    async def locked(self, unit: Unit) -> Run:
        """The run as it is, held with its instance until the end of the step."""
        run = await unit.lock_run(self.run.id)
        if run is None or not run.held_under(self.lease.token, unit.now):
            raise LeaseLost(self.run.id)
        return run

    async def persistently(self, write: Callable[[], Awaitable[T]]) -> T:
        """What `write` answers, tried again while the store cannot be reached and the lease may hold."""
        time, attempts = asyncio.get_running_loop().time, 0
        until = time() + self._parts.settings.lease.total_seconds()
        while True:
            try:
                return await write()
            except (StoreUnavailable, OutcomeUnknown):
                attempts += 1
                if time() >= until:
                    raise
                logger.warning("run %s could not be written, and is tried again", self.run.id, exc_info=attempts == 1)
                await asyncio.sleep(_STORAGE_RETRY.delay(attempts).total_seconds())

    def _require(self, held: bool) -> None:
        if not held:
            raise LeaseLost(self.run.id)
