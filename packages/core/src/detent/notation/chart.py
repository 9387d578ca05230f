"""A definition as a picture before any notation: boxes, and the arrows between them, in a stable order.

What is drawn follows from the rules of a definition, so that every notation tells the same story:

* an internal event stays where it is: a line in its box, and no arrow but the one to its `error` target
* any other event without a target enters its own state again: an arrow from the box to itself
* branches come first, in their order; the target is what is left over when none of them holds
* a state that something names and nothing declares is drawn as well, and says so

Nothing here knows instances: what one of them has been through comes in as `Marks`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, TypeAlias

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.guards import GuardExpression
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, Outcome, State
from detent.definition.timeout import Timeout

Kind: TypeAlias = Literal["taken", "failed", "hop", "branch"]
"""Why an arrow is followed: its event was taken, a command failed, or by itself after the entry, as a branch may begin."""


JOINED = "when joined"
"""What is said in place of *on enter* where a state goes on when its branches have ended."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A way that an instance went."""

    source: str
    target: str
    event: str | None = None
    """The event that was taken; `None` for a hop of `on_enter`."""
    failed: bool = False
    """Whether a command failed on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What one instance adds to the picture of its definition."""

    current: str | None = None
    """The state it is in."""
    visited: tuple[str, ...] = ()
    """The states it entered, in order, the current one included; a state it came back to stands here again."""
    passages: Mapping[Passage, int] = field(default_factory=dict)
    """How often it went each way, internal events included, whose passage ends where it begins."""
    stays: Mapping[str, timedelta] = field(default_factory=dict)
    """How long it has been in each state altogether, until now where it still is."""
    left: Mapping[str, timedelta | None] = field(default_factory=dict)
    """For each timeout of the current state the time until it fires, negative where it is late; `None` where it is parked."""
    earlier: int = 0
    """How many entries of its history are older than what is counted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An event of a state, and what is asked and done on the way to its targets."""

    event: str
    timeout: Timeout | None = None
    guard: GuardExpression | None = None
    commands: tuple[str, ...] = ()
    internal: bool = False
    taken: int = 0
    """How often the marked instance took it, if it is internal; otherwise its arrows say so."""


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
    label: str = ""
    """What is said on it in place of *on enter*, where it belongs to no event."""
    passed: int = 0
    """How often the marked instance went along it; ways of one event to one target share what history does not tell apart."""


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
    told: tuple[str, ...] = ()
    """What else is said in it, line by line."""
    waits: bool = False
    """Whether it is waited in."""
    declared: bool = True
    ends: bool = False
    """Whether the end may follow although it is no state to stay in."""
    terminal: bool = False
    outcome: Outcome | None = None
    """How an instance that ends here has ended, where the definition says it."""
    faulty: bool = False
    """Whether only failures lead here."""
    current: bool = False
    visits: tuple[int, ...] = ()
    """Which entries of the marked path were into this state, counted from 1."""
    stayed: timedelta | None = None
    """How long the marked instance has been here altogether."""
    left: Mapping[str, timedelta | None] = field(default_factory=dict)
    """For each timeout the time until it fires, as `Marks.left` says; empty where the marked instance is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a notation prints."""

    name: str
    version: str
    initial: str
    boxes: tuple[Box, ...]
    entries: Mapping[str, str] = field(default_factory=dict)
    """Other boxes to begin in, by the name of the entry."""
    kind: Literal["workflow", "flow"] = "workflow"
    """What its boxes are: states, or the steps of a flow."""
    earlier: int = 0
    """How many entries of the marked instance's history are not counted."""


def chart(definition: WorkflowDefinition, *, marks: Marks | None = None, show_commands: bool = True) -> Chart:
    """The picture of `definition`: its states as declared, then those that are only named."""
    marks = marks or Marks()
    arrows = {name: tuple(_arrows(name, state, show_commands)) for name, state in definition.states.items()}
    faulty = only_failed_into(arrow for out in arrows.values() for arrow in out) - {*definition.starts}
    boxes = [
        Box(
            name=name,
            entry=_commands(state.on_enter, show_commands),
            steps=tuple(_steps(state, show_commands)),
            arrows=arrows[name],
            terminal=state.terminal,
            outcome=state.outcome,
            faulty=name in faulty,
        )
        for name, state in definition.states.items()
    ]
    boxes += [Box(name=name, declared=False) for name in _undeclared(definition, marks, arrows)]
    return Chart(
        name=definition.name,
        version=definition.version,
        initial=definition.initial_state,
        entries=definition.entries,
        boxes=tuple(_with_ways_gone(marked(box, marks), marks) for box in boxes),
        earlier=marks.earlier,
    )


def marked(box: Box, marks: Marks) -> Box:
    """The box as the marked instance has been in it."""
    return replace(
        box,
        current=box.name == marks.current,
        visits=tuple(number for number, visited in enumerate(marks.visited, start=1) if visited == box.name),
        stayed=marks.stays.get(box.name),
        left=marks.left if box.name == marks.current else {},
    )


def _with_ways_gone(box: Box, marks: Marks) -> Box:
    """The box, whose arrows and internal events say how often the marked instance took them."""
    steps = {step.event: replace(step, taken=_taken(box.name, step, marks)) for step in box.steps}
    arrows = [replace(arrow, step=steps[arrow.step.event] if arrow.step else None) for arrow in box.arrows]
    return replace(
        box,
        steps=tuple(steps.values()),
        arrows=tuple(replace(arrow, passed=_passed(arrow, marks)) for arrow in arrows),
    )


def _taken(state: str, step: Step, marks: Marks) -> int:
    return marks.passages.get(Passage(state, state, step.event), 0) if step.internal else 0


def _passed(arrow: Arrow, marks: Marks) -> int:
    event = arrow.step.event if arrow.step else None
    return marks.passages.get(Passage(arrow.source, arrow.target, event, arrow.kind == "failed"), 0)


def _arrows(source: str, state: State, show_commands: bool) -> Iterator[Arrow]:
    hops = state.on_enter
    for branch in state.fork:
        yield Arrow(kind="branch", source=source, target=branch)
    if hops is not None and hops.target is not None:
        yield Arrow(kind="hop", source=source, target=hops.target, label=JOINED if state.fork else "")
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


def only_failed_into(arrows: Iterable[Arrow]) -> set[str]:
    """The boxes that are entered by failures alone."""
    entered: dict[str, set[Kind]] = {}
    for arrow in arrows:
        if arrow.target != arrow.source:
            entered.setdefault(arrow.target, set()).add(arrow.kind)
    return {name for name, kinds in entered.items() if kinds == {"failed"}}


def _undeclared(definition: WorkflowDefinition, marks: Marks, arrows: dict[str, tuple[Arrow, ...]]) -> list[str]:
    targets = [arrow.target for out in arrows.values() for arrow in out]
    named = [*definition.starts, *targets, *marks.visited, *filter(None, [marks.current])]
    return [name for name in dict.fromkeys(named) if name not in definition.states]
