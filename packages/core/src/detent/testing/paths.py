"""Simple paths: every way through a definition that visits no state twice, as steps that a harness can take.

The idea is that of XState's test paths (`getSimplePaths` in `@xstate/graph`): the definition is a graph, and its paths
are test cases that nobody has to write. Where XState searches states by the events it tries, guards are solved here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from detent.definition.answers import Answers, answers_for
from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.json_values import JsonObject
from detent.testing.misuse import HarnessMisused, check_known
from detent.testing.ways import ON_ENTER, Route, Way, check_sound, passed_through, ways_from


class How(StrEnum):
    """What makes a step happen."""

    EVENT = "event"
    """Somebody triggers the event."""
    TIMEOUT = "timeout"
    """The clock is moved to its deadline."""
    ON_ENTER = "on_enter"
    """It follows the entry by itself: in its commit, or by a worker where commands are durable."""
    GOTO = "goto"
    """A command of the entry answers `Goto(event)`."""


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What one guard has to answer."""

    guard: str
    """Its name."""
    passes: bool
    metadata: JsonObject
    """The metadata of the reference that is meant, where the name is used more than once."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: from where to where, what makes it happen, and what guards and commands have to answer."""

    source: str
    target: str
    event: str
    """The event to take; `$on_enter` for a hop."""
    how: How
    route: Route
    """Whether the event's target, a branch or the error target leads there."""
    guards: tuple[GuardVerdict, ...] = ()
    """What guards have to answer; those that are not listed do not matter."""
    commands: tuple[str, ...] = ()
    """The commands of the event or entry, in their order."""
    fails: bool = False
    """Whether one of `commands` has to answer `Fail`: the first that is not best-effort."""
    chooses: str | None = None
    """The command of the entry that has to answer `Goto(event)`."""
    said: str = ""
    """The step in words: `pay if is_large`, `Export fails`."""

    @property
    def is_automatic(self) -> bool:
        """Whether it follows the step before it by itself."""
        return self.how in (How.ON_ENTER, How.GOTO)

    def __str__(self) -> str:
        return f"{self.source} -{self.said}-> {self.target}"


@dataclass(frozen=True, slots=True)
class SimplePath:
    """A way from the initial state to the end that visits no state twice. `str(path)` serves as the id of a test."""

    workflow: str
    states: tuple[str, ...]
    """The states on the way, the first and the last included."""
    steps: tuple[Step, ...]
    """One for each pair of neighbours in `states`."""

    @property
    def end(self) -> str:
        """The state it leads to."""
        return self.states[-1]

    @property
    def events(self) -> tuple[str, ...]:
        """The events from outside, timeouts included, in order."""
        return tuple(step.event for step in self.steps if not step.is_automatic)

    def __str__(self) -> str:
        said = [step.said for step in self.steps if step.said != "on enter"]
        return f"{', '.join(said) or 'start'}: {self.end}"


def simple_paths(definition: WorkflowDefinition, *, to: str | None = None, limit: int = 1000) -> list[SimplePath]:
    """Every simple path from the initial state to a terminal one, or to the state `to`, in the order things are written.

    ```python
    @pytest.mark.parametrize("path", simple_paths(ORDER), ids=str)
    async def test_every_path_can_be_taken(path, workflow_harness):
        async with workflow_harness(ORDER) as harness:
            await harness.run(path)
    ```

    A path goes on at each event, branch, error target, timeout and hop of `on_enter`; two ways between the same two
    states make two paths. A timeout is a step of the clock unless an earlier one would leave the state before it, and then
    somebody triggers it. Branches that no answers of the guards can lead to are left out.

    Raises `DefinitionInvalid` for a definition with errors, and `HarnessMisused` for an unknown `to`, where there is no
    path, and where there are more than `limit`.
    """
    found = list(islice(each_simple_path(definition, to=to), limit + 1))
    if len(found) > limit:
        hint = f"pass a larger limit, or to=... for one goal of {', '.join(sorted(_goals(definition, to)))}"
        raise HarnessMisused(f"workflow {definition.name!r} has more than {limit} simple paths", hint=hint)
    if not found:
        goal = "a terminal state" if to is None else f"state {to!r}"
        raise HarnessMisused(
            f"workflow {definition.name!r} has no path from {definition.initial_state!r} to {goal}",
            hint="name a state that can be reached: simple_paths(definition, to=...)",
        )
    return found


def each_simple_path(definition: WorkflowDefinition, *, to: str | None = None) -> Iterator[SimplePath]:
    """The simple paths one by one, as `simple_paths` answers them, however many there are; there may be none.

    Raises `DefinitionInvalid` for a definition with errors, and `HarnessMisused` for an unknown `to`.
    """
    check_sound(definition)
    if to is not None:
        check_known("state", to, definition.states, f"workflow {definition.name!r}")
    return _Search(definition, _goals(definition, to)).paths()


def _goals(definition: WorkflowDefinition, to: str | None) -> set[str]:
    return {name for name, state in definition.states.items() if name == to or (to is None and state.terminal)}


class _Search:
    """Depth first, and only into states from which a goal can still be reached: no branch of the search is in vain."""

    def __init__(self, definition: WorkflowDefinition, goals: set[str]) -> None:
        self._definition = definition
        self._goals = goals
        self._steps = {name: tuple(_steps_from(definition, name)) for name in definition.states}

    def paths(self) -> Iterator[SimplePath]:
        yield from self._onward(self._definition.initial_state, ())

    def _onward(self, state: str, taken: tuple[Step, ...]) -> Iterator[SimplePath]:
        visited = (*(step.source for step in taken), state)
        if state in self._goals:
            yield SimplePath(self._definition.name, visited, taken)
            return
        promising = self._leading_to_a_goal(set(visited))
        for step in self._steps[state]:
            if step.target in promising:
                yield from self._onward(step.target, (*taken, step))

    def _leading_to_a_goal(self, visited: set[str]) -> set[str]:
        """The states outside `visited` from which a goal can be reached without touching `visited`."""
        found = self._goals - visited
        while True:
            fresh = {
                source
                for source, steps in self._steps.items()
                if source not in visited | found and any(step.target in found for step in steps)
            }
            if not fresh:
                return found
            found |= fresh


def _steps_from(definition: WorkflowDefinition, name: str) -> Iterator[Step]:
    """The steps that leave a state, in the order of its ways."""
    state = definition.states[name]
    for way in ways_from(definition, name):
        if way.route is not Route.TIMEOUT and way.target != name:
            yield _hop(way, state) if way.event == ON_ENTER else _event_step(way, state)


def _hop(way: Way, state: State) -> Step:
    commands = tuple(ref.name for ref in state.on_enter.commands) if state.on_enter else ()
    fails = way.route is Route.ERROR
    return Step(way.source, way.target, way.event, How.ON_ENTER, way.route, (), commands, fails, None, way.said)


def _event_step(way: Way, state: State) -> Step:
    event = state.events[way.event]
    return Step(
        source=way.source,
        target=way.target,
        event=way.event,
        how=_how(way.event, state),
        route=way.route,
        guards=_verdicts(_answers(way, event)),
        commands=tuple(ref.name for ref in event.commands),
        fails=way.route is Route.ERROR,
        chooses=_chooser(state),
        said=_said(way, event, state),
    )


def _answers(way: Way, event: Event) -> Answers:
    """What guards answer on this way; one that fails takes the first way that its guards allow."""
    choices = [way.branch] if way.route is not Route.ERROR else [*range(len(event.branches)), None]
    if way.route is Route.ERROR and event.target is not None:
        choices.insert(0, None)
    possible = (answers_for(event, branch) for branch in choices)
    return next(answers for answers in possible if answers is not None)


def _verdicts(answers: Answers) -> tuple[GuardVerdict, ...]:
    return tuple(GuardVerdict(name, passes, json.loads(metadata)) for (name, metadata), passes in answers.items())


def _chooser(state: State) -> str | None:
    """The command that has to choose an event, where a hop would leave the state otherwise."""
    if state.on_enter is None or state.on_enter.target is None or passed_through(state):
        return None
    return state.on_enter.commands[0].name


def _how(name: str, state: State) -> How:
    if _chooser(state) is not None:
        return How.GOTO
    return How.TIMEOUT if _fires_first(name, state) else How.EVENT


def _fires_first(name: str, state: State) -> bool:
    """Whether the event fires by itself before any other timeout leaves the state, or enters it again."""
    timeout = state.events[name].timeout
    if timeout is None:
        return False
    others = [
        other.timeout
        for other_name, other in state.events.items()
        if other_name != name and other.timeout is not None and not other.internal
    ]
    if timeout.after is None:
        return not others
    return all(other.after is not None and other.after > timeout.after for other in others)


def _said(way: Way, event: Event, state: State) -> str:
    how = _how(way.event, state)
    if how is How.GOTO:
        return f"goto {way.said}"
    if how is How.TIMEOUT and event.timeout is not None:
        return f"{way.said} after {event.timeout.spoken}"
    return way.said
