"""A definition as a list: what a diagram shows, for those who cannot see it, and where none can be drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.notation.chart import Marks


@dataclass(frozen=True, slots=True)
class Lead:
    """One way out of a state."""

    event: str | None
    """`None` for what happens by itself after the entry."""
    target: str
    kind: str
    """`""`, or in a word why it is followed: `branch`, `error`, `fork`."""
    taken: int
    """How often the instance went it."""
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One state, and the ways out of it."""

    name: str
    current: bool
    visits: int
    stayed: timedelta | None
    end: str | None
    """How an instance that is here has ended; `None` where it has not."""
    leads: Sequence[Lead]
    description: str | None


def outline_of(definition: WorkflowDefinition, marks: Marks | None = None) -> Sequence[Place]:
    """The states in the order they are written, marked with what one instance went through."""
    known = marks or Marks()
    return [_place(name, state, known) for name, state in definition.states.items()]


def _place(name: str, state: State, marks: Marks) -> Place:
    return Place(
        name=name,
        current=marks.current == name,
        visits=marks.visited.count(name),
        stayed=marks.stays.get(name),
        end=(state.outcome or "success") if state.terminal else None,
        leads=[*_by_itself(name, state, marks), *_by_events(name, state, marks)],
        description=state.description,
    )


def _by_itself(name: str, state: State, marks: Marks) -> Iterator[Lead]:
    entry = state.on_enter
    if entry is None:
        return
    for first in entry.fork:
        yield Lead(None, first, "fork", 0)
    for target, kind in ((entry.target, ""), (entry.error, "error")):
        if target is not None:
            yield Lead(None, target, kind, _taken(marks, name, target, None, failed=kind == "error"))


def _by_events(name: str, state: State, marks: Marks) -> Iterator[Lead]:
    for event, written in state.events.items():
        for target, kind in _targets(name, written):
            taken = _taken(marks, name, target, event, failed=kind == "error")
            yield Lead(event, target, kind, taken, timed=written.timeout is not None)


def _targets(name: str, event: Event) -> Iterator[tuple[str, str]]:
    yield from ((branch.target, "branch") for branch in event.branches)
    if event.internal:
        yield name, "internal"
    elif event.target is not None or not event.branches:
        yield event.target or name, ""
    if event.error is not None:
        yield event.error, "error"


def _taken(marks: Marks, source: str, target: str, event: str | None, *, failed: bool) -> int:
    return sum(
        often
        for passage, often in marks.passages.items()
        if (passage.source, passage.target, passage.event, passage.failed) == (source, target, event, failed)
    )
