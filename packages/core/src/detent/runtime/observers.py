"""Observers: told after the commit, in order per instance, unable to break or slow the step."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from uuid import UUID

from detent.runtime.attempt import CREATED
from detent.runtime.reentrancy import outside_steps
from detent.store.records import CommandRecord, HistoryEntry, Outcome, Status, WorkflowInstance

logger = logging.getLogger("detent.observers")


class WorkflowObserver:
    """A base with a hook for each thing that can happen; override what you need. An error of yours is logged.

    Hooks are called after the commit, at most once: a process that dies in between calls none. `instance` is the
    instance after the whole step, `entry` the history entry the hook is about.
    """

    async def on_created(self, instance: WorkflowInstance, entry: HistoryEntry) -> None:
        """An instance was created."""

    async def on_transition(self, instance: WorkflowInstance, entry: HistoryEntry) -> None:
        """An event or an automatic hop was taken, with outcome `success` or `failure`."""

    async def on_refused(self, instance: WorkflowInstance, entry: HistoryEntry) -> None:
        """A guard refused an event."""

    async def on_failed(self, instance: WorkflowInstance, entry: HistoryEntry) -> None:
        """An attempt was rolled back."""

    async def on_completed(self, instance: WorkflowInstance, entry: HistoryEntry) -> None:
        """The instance ended: completed, failed or cancelled."""

    async def on_command(self, instance: WorkflowInstance, entry: HistoryEntry, command: CommandRecord) -> None:
        """A command of a committed entry answered."""


class Observers:
    """Calls the observers, each instance's reports one after another, different instances' side by side."""

    def __init__(self, observers: Sequence[WorkflowObserver]) -> None:
        self._observers = tuple(observers)
        self._last: dict[UUID, asyncio.Task[None]] = {}

    def report(self, instance: WorkflowInstance, entries: Iterable[HistoryEntry]) -> None:
        """Let the observers hear of committed `entries`, soon. Called from the event loop."""
        if not self._observers:
            return
        before = self._last.get(instance.id)
        task = asyncio.create_task(self._tell(before, instance, tuple(entries)))
        self._last[instance.id] = task
        task.add_done_callback(lambda done: self._forget(instance.id, done))

    async def settled(self) -> None:
        """Wait until every report made so far, and what those caused, has been heard."""
        while self._last:
            await asyncio.wait(self._last.values())

    def cancel(self) -> None:
        """Give up what has not been heard."""
        for task in self._last.values():
            task.cancel()

    def _forget(self, instance_id: UUID, done: asyncio.Task[None]) -> None:
        if self._last.get(instance_id) is done:
            del self._last[instance_id]

    async def _tell(
        self, before: asyncio.Task[None] | None, instance: WorkflowInstance, entries: tuple[HistoryEntry, ...]
    ) -> None:
        outside_steps()
        if before is not None:
            await asyncio.wait([before])
        for observer in self._observers:
            for call in _calls(observer, instance, entries):
                await _contained(observer, call)


def _calls(
    observer: WorkflowObserver, instance: WorkflowInstance, entries: tuple[HistoryEntry, ...]
) -> Iterator[Callable[[], Awaitable[None]]]:
    for entry in entries:
        hook = _hook(observer, entry)
        yield lambda hook=hook, entry=entry: hook(instance, entry)  # type: ignore[misc]  # bound now, called later
        for record in entry.commands:
            if entry.outcome is not Outcome.FAILED:
                yield lambda entry=entry, record=record: observer.on_command(instance, entry, record)  # type: ignore[misc]
    if instance.status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED) and _moved(entries):
        yield lambda: observer.on_completed(instance, entries[-1])


def _moved(entries: tuple[HistoryEntry, ...]) -> bool:
    return entries[-1].outcome in (Outcome.SUCCESS, Outcome.FAILURE)


def _hook(
    observer: WorkflowObserver, entry: HistoryEntry
) -> Callable[[WorkflowInstance, HistoryEntry], Awaitable[None]]:
    if entry.event == CREATED:
        return observer.on_created
    if entry.outcome is Outcome.REFUSED:
        return observer.on_refused
    return observer.on_failed if entry.outcome is Outcome.FAILED else observer.on_transition


async def _contained(observer: WorkflowObserver, call: Callable[[], Awaitable[None]]) -> None:
    try:
        await call()
    except Exception:
        logger.exception("observer %s failed", type(observer).__name__)
