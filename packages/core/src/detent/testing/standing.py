"""A harness as it stands: entered or not, and what is known of its current instance."""

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import NoReturn, Self
from uuid import UUID

from detent.json_values import JsonObject
from detent.runtime.runtime import WorkflowRuntime
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.bench import Bench
from detent.testing.clock import FakeClock
from detent.testing.coverage import LISTENERS, TransitionCoverage
from detent.testing.misuse import HarnessMisused
from detent.testing.published import Published


class HarnessStanding:
    """What a harness is entered for, and what it knows."""

    def __init__(self, bench: Bench) -> None:
        self.clock: FakeClock = bench.clock
        self._bench = bench
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise HarnessMisused("the harness was entered before", hint="make a new one for each test")
        await self._bench.open()
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bench.close()
        for listener in LISTENERS:
            for coverage in self._reported:
                listener.add(coverage)

    def __enter__(self) -> NoReturn:
        raise HarnessMisused("the harness was entered with a plain `with`", hint=self._enter)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Never reached; it is there so that `with` gets as far as the error that says what to write."""

    @property
    def runtime(self) -> WorkflowRuntime:
        """The runtime, for everything that the harness has no word for."""
        return self._running().runtime

    @property
    def instance(self) -> WorkflowInstance:
        """The current instance. Raises `HarnessMisused` before one was started."""
        current = self._bench.current
        if current is None:
            self._running()
            raise HarnessMisused("no instance was started", hint="write `await harness.start()` first")
        return self._bench.journal.instance(current)

    @property
    def state(self) -> str:
        """The state of the current instance."""
        return self.instance.state

    @property
    def context(self) -> JsonObject:
        """The context of the current instance."""
        return self.instance.context

    @property
    def history(self) -> Sequence[HistoryEntry]:
        """The history of the current instance, the oldest entry first."""
        return self._bench.journal.entries(self.instance.id)

    @property
    def now(self) -> datetime:
        """The instant that the clock shows."""
        return self.clock.now()

    @property
    def coverage(self) -> TransitionCoverage:
        """Which ways of the definition were taken so far. Raises `HarnessMisused` for several; see `coverages`."""
        self._was_entered()
        if len(self.coverages) > 1:
            raise HarnessMisused("the harness has several definitions", hint="use harness.coverages")
        return self.coverages[0]

    @property
    def coverages(self) -> Sequence[TransitionCoverage]:
        """The coverage of each definition, in the order they were given."""
        return self._bench.coverages

    async def use(self, instance: WorkflowInstance | UUID | str) -> WorkflowInstance:
        """Make an instance that was created by other means, by a command for one, the current one.

        Its timeouts are then followed by `advance` like those of instances that were started here.
        """
        found = await self._running().runtime.get_instance(instance)
        await self._bench.look_at(found.id)
        self._bench.current = found.id
        return found

    async def refresh(self) -> WorkflowInstance:
        """The current instance, read anew; for when something else than the harness has moved it."""
        instance = self.instance
        await self._running().look_at(instance.id)
        return self.instance

    def published(self, topic: str | None = None) -> Sequence[Published]:
        """The messages that were published so far, by any instance: all, or those of a topic, in which `*` stands for anything.

        They are there as soon as their transition is committed, delivered or not.
        """
        self._was_entered()
        return self._bench.published.matching(topic)

    # -- what is not said aloud

    @property
    def _enter(self) -> str:
        return f"write `async with {type(self).__name__}(...) as harness:` and use it inside"

    @property
    def _reported(self) -> Sequence[TransitionCoverage]:
        """What the report of all tests counts."""
        return self._bench.coverages

    async def _meant(self, instance: WorkflowInstance | UUID | str | None) -> WorkflowInstance:
        bench = self._running()
        if instance is None:
            return self.instance
        found = await bench.runtime.get_instance(instance)
        await bench.look_at(found.id)
        return found

    def _running(self) -> Bench:
        self._was_entered()
        if not self._bench.runtime.is_running:
            raise HarnessMisused("the harness was left already", hint=self._enter)
        return self._bench

    def _was_entered(self) -> None:
        if not self._entered:
            raise HarnessMisused("the harness was not entered", hint=self._enter)
