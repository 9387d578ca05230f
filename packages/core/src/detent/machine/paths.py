"""Which events can be decided in place, and which need the row lock: known once the machine is compiled.

An event needs the lock when anything in its closure (its guards and those of its branches, its commands, and the entry
chain of every state it may lead to) awaits, writes or needs injected objects. Hops without commands stay fast.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.machine.verdicts import GuardStep


@dataclass(frozen=True, slots=True)
class LockedPaths:
    """The events and entries of one machine that need the row lock."""

    events: frozenset[tuple[str, str]]
    entries: frozenset[str]
    asking: frozenset[tuple[str, str]]
    """Of the events, those whose guards alone need it."""
    anywhere: frozenset[str]
    """Event names that need it in at least one state: what is known before the record is read."""

    def event(self, state: str, event: str) -> bool:
        """Whether `event` taken from `state` needs the lock."""
        return (state, event) in self.events

    def guards_of(self, state: str, event: str) -> bool:
        """Whether asking the guards of `event` in `state` needs the lock, whatever its commands do."""
        return (state, event) in self.asking

    def entry(self, state: str) -> bool:
        """Whether entering `state` does."""
        return state in self.entries


def locked_paths(
    definition: WorkflowDefinition,
    guards: Mapping[tuple[str, str], Iterable[GuardStep]],
    needs_worker: Callable[[Iterable[CommandRef]], bool],
) -> LockedPaths:
    """Walks every event's closure; `guards` lists the guards of each (state, event), its branches' included.

    Where commands need a worker the closure ends: what is committed is that a run begins.
    """
    entries = frozenset(
        state for state in definition.states if _entry_is_locked(definition, state, needs_worker, frozenset())
    )
    asking = frozenset(place for place, asked in guards.items() if any(guard.needs_lock for guard in asked))
    working = frozenset(
        (state, name)
        for state, declared in definition.states.items()
        for name, event in declared.events.items()
        if not needs_worker(event.commands) and _works(state, event, entries)
    )
    events = asking | working
    return LockedPaths(events, entries, asking, frozenset(name for _, name in events))


def entered_by(state: str, event: Event) -> set[str]:
    """The states that `event`, taken from `state`, may enter."""
    if event.internal:
        return set()
    targets = {branch.target for branch in event.branches} | {event.target or state}
    return targets | ({event.error} if event.error else set())


def _works(state: str, event: Event, entries: frozenset[str]) -> bool:
    return bool(event.commands) or not entries.isdisjoint(entered_by(state, event))


def _entry_is_locked(
    definition: WorkflowDefinition,
    state: str,
    needs_worker: Callable[[Iterable[CommandRef]], bool],
    seen: frozenset[str],
) -> bool:
    on_enter = definition.states[state].on_enter
    if on_enter is None or state in seen or needs_worker(on_enter.commands):
        return False
    if on_enter.commands:
        return True
    return on_enter.target is not None and _entry_is_locked(definition, on_enter.target, needs_worker, seen | {state})
