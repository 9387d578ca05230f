"""A definition as a picture before any notation: boxes, and the arrows between them, in a stable order.

What is drawn follows from the rules of a definition, so that every notation tells the same story:

* an internal event stays where it is: a line in its box, and no arrow but the one to its `error` target
* any other event without a target enters its own state again: an arrow from the box to itself
* branches come first, in their order; the target is what is left over when none of them holds
* a state that something names and nothing declares is drawn as well, and says so

Nothing here knows instances: what one of them has been through comes in as `Marks`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.guards import GuardExpression
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, Outcome, State
from detent.definition.timeout import Timeout

Kind: TypeAlias = Literal["taken", "failed", "hop"]
"""Why an arrow is followed: its event was taken, a command failed, or by itself after the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What one instance adds to the picture of its definition."""

    current: str | None = None
    """The state it is in."""
    visited: tuple[str, ...] = ()
    """The states it entered, in order, the current one included; a state it came back to stands here again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An event of a state, and what is asked and done on the way to its targets."""

    event: str
    timeout: Timeout | None = None
    guard: GuardExpression | None = None
    commands: tuple[str, ...] = ()
    internal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One of several ways an event may lead: the branches in order, then what is left over."""

    first: bool
    guard: GuardExpression | None
    """What must hold; `None` where everything before it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A way from one state to another, or back to the same."""

    kind: Kind
    source: str
    target: str
    step: Step | None = None
    """The event it belongs to; `None` for what happens by itself after the entry."""
    way: Way | None = None
    """Where its event may lead elsewhere, when it leads here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One state."""

    name: str
    entry: tuple[str, ...] = ()
    """The commands that run when it is entered."""
    steps: tuple[Step, ...] = ()
    """Its events, as they are declared."""
    arrows: tuple[Arrow, ...] = ()
    """The ways out of it, in the order of its events."""
    declared: bool = True
    terminal: bool = False
    outcome: Outcome | None = None
    """How an instance that ends here has ended, where the definition says it."""
    faulty: bool = False
    """Whether only failures lead here."""
    current: bool = False
    visits: tuple[int, ...] = ()
    """Which entries of the marked path were into this state, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a notation prints."""

    name: str
    version: str
    initial: str
    boxes: tuple[Box, ...]


def chart(definition: WorkflowDefinition, *, marks: Marks | None = None, show_commands: bool = True) -> Chart:
    """The picture of `definition`: its states as declared, then those that are only named."""
    marks = marks or Marks()
    arrows = {name: tuple(_arrows(name, state, show_commands)) for name, state in definition.states.items()}
    faulty = _only_failed_into(arrow for out in arrows.values() for arrow in out) - {definition.initial_state}
    boxes = [
        Box(
            name=name,
            entry=_commands(state.on_enter, show_commands),
            steps=tuple(_steps(state, show_commands)),
            arrows=arrows[name],
            terminal=state.terminal,
            outcome=state.outcome,
            faulty=name in faulty,
            current=name == marks.current,
            visits=_visits(name, marks),
        )
        for name, state in definition.states.items()
    ]
    boxes += [
        Box(name=name, declared=False, current=name == marks.current, visits=_visits(name, marks))
        for name in _undeclared(definition, marks, arrows)
    ]
    return Chart(name=definition.name, version=definition.version, initial=definition.initial_state, boxes=tuple(boxes))


def _arrows(source: str, state: State, show_commands: bool) -> Iterator[Arrow]:
    hops = state.on_enter
    if hops is not None and hops.target is not None:
        yield Arrow(kind="hop", source=source, target=hops.target)
    if hops is not None and hops.error is not None:
        yield Arrow(kind="failed", source=source, target=hops.error)
    for step in _steps(state, show_commands):
        yield from _ways(source, state.events[step.event], step)


def _ways(source: str, event: Event, step: Step) -> Iterator[Arrow]:
    if not event.internal:
        for index, branch in enumerate(event.branches):
            way = Way(first=index == 0, guard=branch.guard)
            yield Arrow(kind="taken", source=source, target=branch.target, step=step, way=way)
        left_over = Way(first=False, guard=None) if event.branches else None
        target = source if event.target is None else event.target
        yield Arrow(kind="taken", source=source, target=target, step=step, way=left_over)
    if event.error is not None:
        yield Arrow(kind="failed", source=source, target=event.error, step=step)


def _steps(state: State, show_commands: bool) -> Iterator[Step]:
    for name, event in state.events.items():
        yield Step(
            event=name,
            timeout=event.timeout,
            guard=event.guard,
            commands=_commands(event, show_commands),
            internal=event.internal,
        )


def _commands(part: Event | OnEnter | None, show_commands: bool) -> tuple[str, ...]:
    commands: tuple[CommandRef, ...] = part.commands if part is not None and show_commands else ()
    return tuple(command.name for command in commands)


def _only_failed_into(arrows: Iterable[Arrow]) -> set[str]:
    entered: dict[str, set[Kind]] = {}
    for arrow in arrows:
        if arrow.target != arrow.source:
            entered.setdefault(arrow.target, set()).add(arrow.kind)
    return {name for name, kinds in entered.items() if kinds == {"failed"}}


def _undeclared(definition: WorkflowDefinition, marks: Marks, arrows: dict[str, tuple[Arrow, ...]]) -> list[str]:
    targets = [arrow.target for out in arrows.values() for arrow in out]
    named = [definition.initial_state, *targets, *marks.visited, *filter(None, [marks.current])]
    return [name for name in dict.fromkeys(named) if name not in definition.states]


def _visits(name: str, marks: Marks) -> tuple[int, ...]:
    return tuple(number for number, visited in enumerate(marks.visited, start=1) if visited == name)
