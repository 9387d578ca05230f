"""What a sound definition may still do to its instances: wait for ever, go round for ever, or leave it to chance.

`validate` says what is wrong; this looks at everything that could happen, with guards as questions that may be answered
either way. Nothing here refuses a definition.
"""

from collections.abc import Iterator
from itertools import combinations

from detent.definition.answers import answers_for, satisfiable
from detent.definition.event import Event
from detent.definition.graph import cycles, edges, reachable
from detent.definition.state import State
from detent.definition.walk import each_event
from detent.definition.workflow import Workflow
from detent.problems import Problem, Severity


def model_check(definition: Workflow) -> list[Problem]:
    """What can happen to instances of `definition` that its author may not want: warnings, and notes on what is fine but unclear.

    They come with the problems of `validate`, which are not repeated. What cannot be reached is not looked at.
    """
    checks = (
        states_are_left_by_themselves,
        cycles_end,
        guards_can_pass,
        branches_are_told_apart,
        timeouts_are_told_apart,
    )
    return [problem for check in checks for problem in check(definition)]


def states_are_left_by_themselves(definition: Workflow) -> Iterator[Problem]:
    """Every state that can be reached ends the instance, goes on by itself, or has a timeout that leads out of it."""
    for name in _reached(definition):
        state = definition.states[name]
        if state.terminal or _goes_on(state):
            continue
        reminds = any(event.timeout for event in state.events.values())
        why = "its timeouts only remind" if reminds else "it has no timeout and no automatic way out"
        message = f"state {name!r} may last for ever: {why}"
        yield _found(f"states.{name}", "state_without_timeout", message, "give an event that leads out of it a timeout")


def cycles_end(definition: Workflow) -> Iterator[Problem]:
    """No circle of states is without a timeout."""
    reached = set(_reached(definition))
    for cycle in cycles(edges(definition)):
        states = [definition.states[name] for name in cycle]
        waits = any(state.on_enter is None or state.on_enter.target is None or state.fork for state in states)
        timed = any(_leaves_in_time(state) for state in states)
        if len(cycle) > 1 and waits and not timed and reached.issuperset(cycle):
            way = " -> ".join([*cycle, cycle[0]])
            message = f"an instance may go round and round, and no timeout ever acts on it: {way}"
            hint = "give one of these states a timeout"
            yield _found(f"states.{cycle[0]}", "cycle_without_timeout", message, hint)


def guards_can_pass(definition: Workflow) -> Iterator[Problem]:
    """For every event, branch and default target there are answers of the guards that lead there."""
    reached = set(_reached(definition))
    for path, state, name, event in each_event(definition):
        if state not in reached:
            continue
        if not satisfiable([(event.guard, True)]):
            yield _found(f"{path}.guard", "guard_never_passes", f"the guard of event {name!r} contradicts itself")
            continue
        yield from _branches_that_never_pass(path, event)


def branches_are_told_apart(definition: Workflow) -> Iterator[Problem]:
    """No two branches of an event that lead to different states can both be right; otherwise their order decides."""
    for path, _, name, event in each_event(definition):
        for (first, one), (second, other) in combinations(enumerate(event.branches), 2):
            both = [(event.guard, True), (one.guard, True), (other.guard, True)]
            if one.target != other.target and answers_for(event, second) is not None and satisfiable(both):
                message = f"branches {first} and {second} of event {name!r} may both hold; the first is taken"
                hint = "let their guards exclude each other, if the order is not meant"
                yield _found(f"{path}.branches[{second}]", "overlapping_branches", message, hint, severity="note")
                break


def timeouts_are_told_apart(definition: Workflow) -> Iterator[Problem]:
    """No two timeouts of a state fire at one instant, those included that differ in what they interrupt."""
    for name, state in definition.states.items():
        timed = [(event_name, event.timeout) for event_name, event in state.events.items() if event.timeout]
        for (one, first), (other, second) in combinations(timed, 2):
            if first != second and (first.after, first.at) == (second.after, second.at):
                message = (
                    f"events {one!r} and {other!r} fire at one instant ({first.spoken}); which is first is not said"
                )
                yield _found(
                    f"states.{name}.events.{other}.timeout", "timeouts_at_one_instant", message, "set them apart"
                )


def _branches_that_never_pass(path: str, event: Event) -> Iterator[Problem]:
    guards = [branch.guard for branch in event.branches]
    for index, guard in enumerate(guards):
        # The same guard twice is what `validate` finds.
        if guard not in guards[:index] and answers_for(event, index) is None:
            message = "this branch is never taken: its guard cannot pass where the guards before it did not decide"
            yield _found(f"{path}.branches[{index}]", "branch_never_taken", message)
    if event.branches and event.target is not None and answers_for(event, None) is None:
        message = f"the target {event.target!r} is never taken: one of the branches always is"
        yield _found(f"{path}.target", "target_never_taken", message, "leave it out, or look at the guards")


def _reached(definition: Workflow) -> list[str]:
    """The states that can be reached, as they are written."""
    if definition.initial_state not in definition.states:
        return []
    found = reachable([state for state in definition.starts if state in definition.states], edges(definition))
    return [name for name in definition.states if name in found]


def _goes_on(state: State) -> bool:
    return (state.on_enter is not None and state.on_enter.target is not None) or _leaves_in_time(state)


def _leaves_in_time(state: State) -> bool:
    return any(event.timeout and not event.internal for event in state.events.values())


def _found(path: str, code: str, message: str, hint: str | None = None, *, severity: Severity = "warning") -> Problem:
    return Problem(path, code, message, hint, severity=severity)
