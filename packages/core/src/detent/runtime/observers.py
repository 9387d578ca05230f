"""Observers: told after the commit, in order per instance, unable to break or slow the step."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID

from detent.runtime.event_names import CREATED, IN_PLACE, REMOVED
from detent.runtime.reentrancy import outside_steps
from detent.runtime.run_report import Advanced
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import FINISHED, ArchiveEntry, CommandRecord, HistoryEntry, Outcome, WorkflowInstance
from detent.store.run_records import Run

logger = logging.getLogger("detent.observers")


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that happened to an instance, and was committed."""

    instance: WorkflowInstance
    """The instance after the whole step."""
    entry: HistoryEntry
    """The history entry it is about: event, states, outcome, reason, what the commands answered, sequence."""
    duration: timedelta
    """How long the whole step took, from the call to its commit."""


@dataclass(frozen=True, slots=True)
class Removed:
    """An instance that was taken out, and that is committed. History went with it, so there is no entry of this."""

    instance: WorkflowInstance
    """The instance as it was last."""
    archived: ArchiveEntry
    """What is kept of it: who removed it, when and why."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of a run that was worked on in this process."""

    run: Run
    """The run as its last answer was saved here."""
    advanced: Advanced
    duration: timedelta
    """How long it was here, waits for the store included."""


Seen: TypeAlias = Observation | Removed | Worked | InboxMessage | Delivery
"""What a hook is told."""


class WorkflowObserver:
    """A base with a hook for each thing that can happen; override what you need.

    Hooks are called after the commit, at most once: a process that dies in between calls none. An error of yours harms neither
    the step nor other observers: `on_error` hears of it, which logs it unless you override it.
    """

    async def on_created(self, seen: Observation) -> None:
        """An instance was created."""

    async def on_transition(self, seen: Observation) -> None:
        """An event or an automatic hop was taken, with outcome `success` or `failure`; or an operator did something."""

    async def on_refused(self, seen: Observation) -> None:
        """A guard refused an event."""

    async def on_failed(self, seen: Observation) -> None:
        """An attempt was rolled back."""

    async def on_completed(self, seen: Observation) -> None:
        """The instance ended: completed, failed or cancelled."""

    async def on_command(self, seen: Observation, command: CommandRecord) -> None:
        """A command of a committed entry answered."""

    async def on_removed(self, removed: Removed) -> None:
        """An instance was deleted or archived, by an operator or by a retention policy."""

    async def on_run(self, worked: Worked) -> None:
        """A run was advanced here: it ended, is tried again, waits for an operator, or was left to others."""

    async def on_dead_letter(self, message: InboxMessage) -> None:
        """A message can never be taken by its instance, or was tried too often; its `reason` says which."""

    async def on_dead_delivery(self, delivery: Delivery) -> None:
        """A published message was given up for one subscriber; its `error` says why."""

    async def on_error(self, error: Exception, seen: Seen) -> None:
        """Another hook of this observer raised `error`."""
        logger.error("observer %s failed on %r", type(self).__name__, _event_of(seen), exc_info=error)


_Call: TypeAlias = tuple[Seen, Callable[[], Awaitable[None]]]


class Observers:
    """Calls the observers, each instance's reports one after another, different instances' side by side."""

    def __init__(self, observers: Sequence[WorkflowObserver]) -> None:
        self._observers = tuple(observers)
        self._last: dict[UUID, asyncio.Task[None]] = {}

    def report(self, instance: WorkflowInstance, entries: Iterable[HistoryEntry], took: timedelta) -> None:
        """Let the observers hear of committed `entries`, soon. Called from the event loop."""
        if not self._observers:
            return
        seen = tuple(Observation(instance, entry, took) for entry in entries)
        if seen:
            self._soon(instance.id, lambda observer: _calls(observer, seen))

    def report_removal(self, instance: WorkflowInstance, archived: ArchiveEntry) -> None:
        """Let the observers hear, soon, that an instance is gone. Called from the event loop."""
        removed = Removed(instance, archived)
        self._soon(instance.id, lambda observer: [(removed, partial(observer.on_removed, removed))])

    def report_run(self, run: Run, advanced: Advanced, took: timedelta) -> None:
        """Let the observers hear, soon, what became of a run. Called from the event loop."""
        worked = Worked(run, advanced, took)
        self._soon(run.instance_id, lambda observer: [(worked, partial(observer.on_run, worked))])

    def report_dead_letter(self, message: InboxMessage) -> None:
        """Let the observers hear, soon, of a message that will not be taken. Called from the event loop."""
        self._soon(message.instance_id, lambda observer: [(message, partial(observer.on_dead_letter, message))])

    def report_dead_delivery(self, delivery: Delivery) -> None:
        """Let the observers hear, soon, of a delivery that was given up. Called from the event loop."""
        self._soon(delivery.instance_id, lambda observer: [(delivery, partial(observer.on_dead_delivery, delivery))])

    async def have_their_turn(self) -> None:
        """Let the event loop go round if there is anything to hear: whoever takes step after step, and has nothing to wait
        for, would never let it.
        """
        if self._last:
            await asyncio.sleep(0)

    async def settled(self) -> None:
        """Wait until every report made so far, and what those caused, has been heard."""
        while self._last:
            await asyncio.wait(self._last.values())

    def cancel(self) -> None:
        """Give up what has not been heard."""
        for task in self._last.values():
            task.cancel()

    def _soon(self, instance_id: UUID, calls: Callable[[WorkflowObserver], Iterable[_Call]]) -> None:
        if not self._observers:
            return
        task = asyncio.create_task(self._tell(self._last.get(instance_id), calls))
        self._last[instance_id] = task
        task.add_done_callback(lambda done: self._forget(instance_id, done))

    def _forget(self, instance_id: UUID, done: asyncio.Task[None]) -> None:
        if self._last.get(instance_id) is done:
            del self._last[instance_id]

    async def _tell(
        self, before: asyncio.Task[None] | None, calls: Callable[[WorkflowObserver], Iterable[_Call]]
    ) -> None:
        outside_steps()
        if before is not None:
            await asyncio.wait([before])
        for observer in self._observers:
            for about, call in calls(observer):
                await _contained(observer, about, call)


def _calls(observer: WorkflowObserver, seen: tuple[Observation, ...]) -> Iterator[_Call]:
    for one in seen:
        yield one, partial(_hook(observer, one.entry), one)
        if one.entry.outcome is not Outcome.FAILED:
            for command in one.entry.commands:
                yield one, partial(observer.on_command, one, command)
    last = seen[-1]
    ended = last.entry.outcome in (Outcome.SUCCESS, Outcome.FAILURE) and last.entry.event not in IN_PLACE
    if ended and last.instance.status in FINISHED:
        yield last, partial(observer.on_completed, last)


def _event_of(seen: Seen) -> str:
    match seen:
        case Observation():
            return seen.entry.event
        case Removed():
            return REMOVED
        case Worked():
            return seen.run.event
        case InboxMessage():
            return seen.event
        case Delivery():
            return seen.topic


def _hook(observer: WorkflowObserver, entry: HistoryEntry) -> Callable[[Observation], Awaitable[None]]:
    if entry.event == CREATED:
        return observer.on_created
    if entry.outcome is Outcome.REFUSED:
        return observer.on_refused
    return observer.on_failed if entry.outcome is Outcome.FAILED else observer.on_transition


async def _contained(observer: WorkflowObserver, seen: Seen, call: Callable[[], Awaitable[None]]) -> None:
    try:
        await call()
    except Exception as error:
        try:
            await observer.on_error(error, seen)
        except Exception:
            logger.exception("on_error of observer %s failed", type(observer).__name__)
