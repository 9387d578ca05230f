"""The ways of a definition: each thing that may move or touch an instance, and which one a history entry tells of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from detent.definition.answers import Answers, answers_for, holds
from detent.definition.event import Event
from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, State
from detent.definition.validate import validate
from detent.definition.walk import each_command
from detent.errors import DefinitionInvalid
from detent.store.records import HistoryEntry, Outcome

ON_ENTER = "$on_enter"
"""The event of an automatic hop, as history names it."""


class Route(StrEnum):
    """What decided where an event or a hop led."""

    TARGET = "target"
    """Its own target, or staying where it has none."""
    BRANCH = "branch"
    """The guard of a branch."""
    ERROR = "error"
    """A command that answered `Fail`."""
    TIMEOUT = "timeout"
    """Nothing yet: that the event fired by itself, wherever it then led."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a state, or back into it."""

    source: str
    """The state it leads from."""
    event: str
    """The event; `$on_enter` for a hop."""
    route: Route
    target: str
    """The state it leads to; the source itself for an internal event, and for `TIMEOUT`."""
    branch: int | None = None
    """Which branch of the event."""
    said: str = ""
    """The event with what decides, in words: `pay if is_large`."""

    def __str__(self) -> str:
        arrow = f"{self.source} -{self.said}"
        return f"{arrow}, by itself" if self.route is Route.TIMEOUT else f"{arrow}-> {self.target}"


def ways_of(definition: WorkflowDefinition) -> tuple[Way, ...]:
    """Every way that can be taken, state by state as they are written.

    Left out is what no instance can do: states that are never reached, events of a state that is left at once, error
    targets without a command to fail, and branches whose guards contradict each other. Raises `DefinitionInvalid`.
    """
    check_sound(definition)
    ways = {state: tuple(ways_from(definition, state)) for state in definition.states}
    reached = {definition.initial_state}
    waiting = [definition.initial_state]
    while waiting:
        fresh = {way.target for way in ways[waiting.pop()]} - reached
        reached |= fresh
        waiting += fresh
    return tuple(way for state in definition.states if state in reached for way in ways[state])


def check_sound(definition: WorkflowDefinition) -> None:
    """Raise `DefinitionInvalid` where the definition has errors; warnings are let pass.

    Entries with commands may lead round in a circle: which commands are registered as durable is not known here.
    """
    commands = {ref.name for _, ref in each_command(definition)}
    errors = [problem for problem in validate(definition, durable=commands) if problem.severity == "error"]
    if errors:
        raise DefinitionInvalid(definition.name, errors, version=definition.version)


def ways_from(definition: WorkflowDefinition, state: str) -> Iterator[Way]:
    """The ways out of one state: those of its entry, then its events in their order."""
    declared = definition.states[state]
    yield from _hops(state, declared.on_enter)
    if not passed_through(declared):
        for name, event in declared.events.items():
            yield from _ways_of_event(state, name, event)


def passed_through(state: State) -> bool:
    """Whether a state is always left as soon as it is entered, so that its events never happen."""
    return state.on_enter is not None and state.on_enter.target is not None and not state.on_enter.commands


def way_taken(event: Event | None, ways: Sequence[Way], entry: HistoryEntry, answers: Answers) -> Way | None:
    """Which of `ways`, those out of its state, `entry` tells of; `None` for an attempt that led nowhere.

    `event` is what the state declares under its name, `answers` are those of its guards: two branches may lead to one state.
    """
    if not _led_somewhere(entry):
        return None
    failed = entry.outcome is Outcome.FAILURE
    candidates = [
        way
        for way in ways
        if (way.event, way.target) == (entry.event, entry.to_state)
        and way.route is not Route.TIMEOUT
        and (way.route is Route.ERROR) == failed
    ]
    chosen = None if event is None or failed else _branch_taken(event, answers)
    return next((way for way in candidates if way.branch == chosen), next(iter(candidates), None))


def firing_of(ways: Sequence[Way], entry: HistoryEntry) -> Way | None:
    """Which of `ways` is that `entry` fired by itself; `None` where it was triggered, or led nowhere."""
    if not _led_somewhere(entry) or entry.trigger_metadata.get("source") != "timeout":
        return None
    return next((way for way in ways if (way.event, way.route) == (entry.event, Route.TIMEOUT)), None)


def _led_somewhere(entry: HistoryEntry) -> bool:
    return entry.from_state is not None and entry.outcome in (Outcome.SUCCESS, Outcome.FAILURE)


def _hops(state: str, on_enter: OnEnter | None) -> Iterator[Way]:
    if on_enter is None:
        return
    if on_enter.target is not None:
        yield Way(state, ON_ENTER, Route.TARGET, on_enter.target, said="on enter")
    if on_enter.error is not None and on_enter.commands:
        yield Way(state, ON_ENTER, Route.ERROR, on_enter.error, said="on enter fails")


def _ways_of_event(state: str, name: str, event: Event) -> Iterator[Way]:
    chosen = [*_branch_ways(state, name, event), *_own_way(state, name, event)]
    yield from chosen
    if not chosen:
        return
    if event.error is not None and event.commands:
        yield Way(state, name, Route.ERROR, event.error, said=f"{name} fails")
    if event.timeout is not None:
        yield Way(state, name, Route.TIMEOUT, state, said=f"{name} after {event.timeout.spoken}")


def _branch_ways(state: str, name: str, event: Event) -> Iterator[Way]:
    for index, branch in enumerate(event.branches):
        if answers_for(event, index) is not None:
            said = f"{name} if {spoken(branch.guard)}"
            yield Way(state, name, Route.BRANCH, branch.target, branch=index, said=said)


def _own_way(state: str, name: str, event: Event) -> Iterator[Way]:
    only_branches = event.target is None and event.branches
    if not only_branches and answers_for(event, None) is not None:
        said = f"{name} otherwise" if event.branches else name
        yield Way(state, name, Route.TARGET, event.target or state, said=said)


def _branch_taken(event: Event, answers: Answers) -> int | None:
    passing = (
        index
        for index, branch in enumerate(event.branches)
        if holds(branch.guard, lambda question: answers.get(question, False))
    )
    return next(passing, None)


def spoken(expression: GuardExpression) -> str:
    """The expression in words, for labels."""
    match expression:
        case GuardRef():
            return expression.name
        case AllOf(all_of=parts):
            return " and ".join(spoken(part) for part in parts)
        case AnyOf(any_of=parts):
            return " or ".join(spoken(part) for part in parts)
        case Not(not_=part):
            return f"not {spoken(part)}"
