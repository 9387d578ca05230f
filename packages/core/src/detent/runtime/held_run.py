"""A run in the hands of this process: what it is so far, and what may be written about it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import TypeVar

from detent.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from detent.json_values import JsonObject
from detent.retry import Retry
from detent.runtime.draft import NextCommand
from detent.runtime.parts import Parts
from detent.store.protocol import Unit
from detent.store.records import Status, WorkflowInstance
from detent.store.run_records import Checkpoint, ClaimedRun, Lease, Release, Run

logger = logging.getLogger("detent.runs")

T = TypeVar("T")

_STORAGE_RETRY = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=2), jitter=0.5)


class HeldRun:
    """One claimed run. Every write of it names its lease, and raises `LeaseLost` once that is another's.

    What a command has answered is not thrown away for want of a database: a write that the store surely refused, or may
    have refused, is repeated for as long as the lease can hold.
    """

    def __init__(self, parts: Parts, claimed: ClaimedRun) -> None:
        self._parts = parts
        self.run = claimed.run
        self.instance: WorkflowInstance = claimed.instance
        self.lease: Lease = claimed.lease
        self._started = perf_counter()
        self.only_once = False
        """Whether an attempt is under way that must not be made again."""
        self.due_in: timedelta | None = None
        """After what time it may be claimed again, once it was given back with a delay."""

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
