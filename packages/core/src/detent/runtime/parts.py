"""What the executions of one runtime share."""

import asyncio
import reprlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal, TypeAlias, TypeVar, get_args
from uuid import UUID

from detent.clock import Clock
from detent.definition.duration import duration_text
from detent.errors import InvalidValue, StepRolledBack, StoreUnavailable
from detent.json_values import JsonObject
from detent.problems import did_you_mean
from detent.retry import Retry
from detent.runtime.attempt import Attempt
from detent.runtime.calls import Calls
from detent.runtime.draft import Draft
from detent.runtime.event_names import RESUMED
from detent.runtime.injection import Injector
from detent.runtime.instrument import By, Instrument, Silent
from detent.runtime.last_seen import LastSeen
from detent.runtime.machines import Machines
from detent.runtime.observers import Observers
from detent.runtime.outgoing import Outgoing, words_of
from detent.runtime.retention_policy import RetentionPolicy
from detent.runtime.shared_reads import SharedReads
from detent.runtime.underway import Underway
from detent.store.change import Change, Effect
from detent.store.protocol import Store
from detent.store.records import DefinitionSnapshot, HistoryEntry, WorkflowInstance
from detent.store.signals import INBOX, RUNS, TIMERS

T = TypeVar("T")

Unresolvable: TypeAlias = Literal["withdraw", "warn", "park", "raise"]
"""What becomes of a workflow with live instances that cannot run."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of a runtime. Raises `InvalidValue`."""

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
    run_retry: Retry = field(default_factory=Retry)
    """How a durable command is repeated that says nothing else: 10 attempts, from a second up to an hour apart."""
    command_timeout: timedelta | None = None
    """After what time an attempt of a durable command is cancelled that says nothing else; `None` leaves it to the lease."""
    max_crashes: int = 3
    """After how many attempts that ended with their worker and not with an answer a run is parked."""
    lease: timedelta = timedelta(seconds=30)
    """After what time without a sign of life a worker's runs and deliveries are taken over by others; 100 ms at least."""
    inbox_retry: Retry = field(default_factory=lambda: Retry(attempts=20, initial=timedelta(seconds=1)))
    """When a message to an instance is tried again that was refused or failed, and after how many attempts it is dead."""
    outbox_retry: Retry = field(default_factory=lambda: Retry(attempts=20, initial=timedelta(seconds=1)))
    """When a failed delivery is repeated that says nothing else, and after how many attempts it is dead."""
    keep_receipts: timedelta = timedelta(days=30)
    """How long an idempotency key is answered with what it was answered before."""
    keep_runs: timedelta = timedelta(days=7)
    """How long runs that have ended are kept; history tells of them all the same."""
    keep_delivered: timedelta = timedelta(days=7)
    """How long deliveries that were made are kept, so that they can be replayed."""
    keep_dead: timedelta = timedelta(days=30)
    """How long messages to instances are kept that can never be taken."""
    drain: timedelta = timedelta(seconds=30)
    """How long leaving the runtime waits for steps and observers under way."""
    remember: int = 16 * 1024 * 1024
    """How many bytes of instances, roughly, a runtime remembers as their last commits here left them, some thousands of small
    ones: their next events need not read them. 0 for none.
    """
    unresolvable: Unresolvable = "withdraw"
    """What entering the runtime does about a workflow of which live instances cannot run here, for want of a command, a
    guard or a state: `withdraw` lets that workflow alone take no step, `warn` only logs it, `raise` refuses to start. `park`
    logs it, and has runs that cannot go on here wait for an operator, where the others leave them to other processes.
    """

    record_changes: bool = False
    """Whether each history entry keeps what changed in the context since the one before: paths, and the values before and
    after. Off unless asked for: history is never changed, so what is personal stays there until the history goes, and each
    step compares and writes more. What a process commits is recorded as its own settings say.
    """

    def __post_init__(self) -> None:
        if self.unresolvable not in get_args(Unresolvable):
            hint = did_you_mean(str(self.unresolvable), get_args(Unresolvable))
            raise InvalidValue("unresolvable", f"is {self.unresolvable!r}", hint=hint)
        for setting in fields(self):
            _check(setting.name, setting.type, getattr(self, setting.name))


_MAY_BE_NOTHING = frozenset({"step_budget", "drain", "remember"})
_LEAST_LEASE = timedelta(milliseconds=100)


def _check(name: str, kind: Any, value: object) -> None:
    if kind is Retry and not isinstance(value, Retry):
        raise InvalidValue(
            name, f"is {reprlib.repr(value)}", hint="pass Retry(attempts=5, initial=timedelta(seconds=1))"
        )
    if kind is bool and not isinstance(value, bool):
        raise InvalidValue(name, f"is {reprlib.repr(value)}", hint="pass True or False")
    least = int(name not in _MAY_BE_NOTHING)
    if kind is int and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise InvalidValue(name, f"is {reprlib.repr(value)}", hint=f"pass a whole number from {least}")
    if kind == timedelta or (kind == timedelta | None and value is not None):
        _check_length(name, value)


def _check_length(name: str, value: object) -> None:
    if not isinstance(value, timedelta):
        raise InvalidValue(name, f"is {reprlib.repr(value)}", hint="pass a timedelta such as timedelta(seconds=30)")
    if value < timedelta(0) or (value == timedelta(0) and name not in _MAY_BE_NOTHING):
        raise InvalidValue(name, f"is {duration_text(value)}, and must be longer than nothing")
    if name == "lease" and value < _LEAST_LEASE:
        # Heartbeats come three in a lease: shorter ones are lost to any pause of the process.
        raise InvalidValue(name, f"is {duration_text(value)}", hint=f"pass {duration_text(_LEAST_LEASE)} or longer")


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
    outgoing: Outgoing = field(default_factory=Outgoing)
    instrument: Instrument = field(default_factory=Silent)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    underway: Underway = field(default_factory=Underway)
    watchers: list[Callable[[UUID], None]] = field(default_factory=list)
    """Called with the id of each instance that was written here, after the commit."""
    last_seen: LastSeen = field(init=False)
    stored: SharedReads[str, Sequence[DefinitionSnapshot]] = field(init=False)
    """Every stored version of a workflow, by its name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stored", SharedReads(lambda name: self.store.list_definitions([name])))
        object.__setattr__(self, "last_seen", LastSeen(self.settings.remember))

    @property
    def now(self) -> datetime | None:
        """The injected clock's time, or `None` for the store's."""
        return None if self.clock is None else self.clock.now()

    @property
    def present(self) -> datetime:
        """The injected clock's time, else the store's as far as this process knows it."""
        return self.now or self.store.now()

    @contextmanager
    def traced(self, attempt: Attempt, record: WorkflowInstance, by: By) -> Iterator[None]:
        """A span around an attempt that nobody waits for; those of verbs open their own."""
        instrument, workflow = self.instrument, record.workflow
        with instrument.transition(workflow=workflow, event=attempt.event, instance_id=record.id, by=by) as span:
            attempt.within(span, instrument.carrier())
            span.began(workflow=workflow, from_state=record.state)
            yield

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

    def concluded(self, draft: Draft) -> Change:
        """What a decided step wants written, with what goes out in the same commit."""
        change = self.outgoing.completed(draft.change(), draft)
        draft.effects = change.effects
        return change

    def reported(self, draft: Draft) -> None:
        """Tell of a committed step; see `committed`."""
        self._heard(draft.instance, draft.all_entries, draft.all_effects, draft.attempt.took)

    def completed(self, change: Change, trace: JsonObject) -> Change:
        """A change that no step made, with what goes out in the same commit, and the trace context it goes out with."""
        return self.outgoing.completed(change, trace=trace)

    def committed(self, change: Change, took: timedelta) -> None:
        """Tell of a committed change: observers, and by signals whoever may have something to do because of it. Its instance is
        remembered.
        """
        self._heard(change.instance, change.entries, change.effects, took)

    def tell(
        self,
        instance: WorkflowInstance,
        entries: tuple[HistoryEntry, ...],
        effects: tuple[Effect, ...],
        took: timedelta,
    ) -> None:
        """Tell of what was committed: observers, and by signals whoever may have something to do because of it."""
        self.observers.report(instance, entries, took)
        for watch in self.watchers:
            watch(instance.id)
        words = words_of(instance, effects)
        if entries and entries[-1].event == RESUMED:
            # What waited for it to be resumed may go on.
            words |= {RUNS, INBOX, TIMERS}
        if words:
            self.store.signals.announce(words)

    def _heard(
        self,
        instance: WorkflowInstance,
        entries: tuple[HistoryEntry, ...],
        effects: tuple[Effect, ...],
        took: timedelta,
    ) -> None:
        if entries:
            # Before anybody is told of the instance, who might edit it.
            self.last_seen.keep(instance, entries[0].sequence - 1)
        self.tell(instance, entries, effects, took)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            # A cancelled caller does not fetch the result; asyncio would complain about an error nobody saw.
            task.exception()

    async def drained(self) -> None:
        """Wait for steps and reports under way, and cancel what is left when the time for it is up."""
        try:
            async with asyncio.timeout(self.settings.drain.total_seconds()):
                while self.tasks or self.underway:
                    if self.tasks:
                        await asyncio.wait(set(self.tasks))
                    await self.underway.left()
                await self.observers.settled()
        except TimeoutError:
            left = set(self.tasks)
            for task in left:
                task.cancel()
            self.observers.cancel()
            if left:
                await asyncio.wait(left, timeout=1)

    async def heard(self) -> None:
        """Wait for reports of steps whose callers went away, which the store has ended since, as long as there is time."""
        try:
            async with asyncio.timeout(self.settings.drain.total_seconds()):
                await self.observers.settled()
        except TimeoutError:
            self.observers.cancel()
