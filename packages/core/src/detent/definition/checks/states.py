"""States: where an instance begins, ends, and cannot get to."""

from collections.abc import Collection, Iterator

from detent.definition.graph import cycles, edges, hops, reachable, reversed_edges
from detent.definition.walk import each_target
from detent.definition.workflow import Workflow
from detent.problems import Problem, near_misses


def initial_state_goes_on(definition: Workflow) -> Iterator[Problem]:
    """A new instance has not ended already."""
    initial = definition.states.get(definition.initial_state)
    if initial is not None and initial.terminal:
        message = f"the initial state {definition.initial_state!r} is terminal, so an instance ends where it begins"
        yield _warning("initial_state", "terminal_initial_state", message)


def outcomes_are_of_ends(definition: Workflow) -> Iterator[Problem]:
    """Only a terminal state has an outcome."""
    for name, state in definition.states.items():
        if state.outcome is not None and not state.terminal:
            message = f"state {name!r} is not terminal, so its outcome {state.outcome!r} is never used"
            yield _warning(f"states.{name}.outcome", "outcome_not_terminal", message)


def states_can_be_reached(definition: Workflow) -> Iterator[Problem]:
    """Every state can be reached from the initial one."""
    if definition.initial_state not in definition.states:
        return
    found = reachable(_starts(definition), edges(definition)) | _meant_by_misspelt_targets(definition)
    for state in definition.states:
        if state not in found:
            message = f"state {state!r} cannot be reached from {definition.initial_state!r}"
            yield _warning(f"states.{state}", "unreachable_state", message, "let an event lead to it, or remove it")


def states_can_end(definition: Workflow) -> Iterator[Problem]:
    """From every state that can be reached, a terminal one can be; one warning where there is no terminal state."""
    terminal = [name for name, state in definition.states.items() if state.terminal]
    if definition.states and not terminal:
        yield _warning("states", "never_ends", "no state is terminal, so an instance never ends")
        return
    ending = reachable({*terminal, *_reported_otherwise(definition)}, reversed_edges(edges(definition)))
    stuck = _possible(definition) - ending
    for state in (name for name in definition.states if name in stuck):
        message = f"no terminal state can be reached from {state!r}"
        yield _warning(f"states.{state}", "no_way_to_end", message, "let an event lead on from it")


def entries_come_to_rest(definition: Workflow, durable: Collection[str] = ()) -> Iterator[Problem]:
    """The hops of `on_enter` never come back to where they began in one commit; commands that are `durable` end one."""
    for cycle in cycles(hops(definition, durable)):
        way = " -> ".join([*cycle, cycle[0]])
        hint = "let an event or a timeout take one of these steps"
        yield Problem(f"states.{cycle[0]}.on_enter", "on_enter_cycle", f"entering goes round in a circle: {way}", hint)


def _possible(definition: Workflow) -> set[str]:
    if definition.initial_state not in definition.states:
        return set(definition.states)
    return reachable(_starts(definition), edges(definition))


def _starts(definition: Workflow) -> list[str]:
    return [state for state in definition.starts if state in definition.states]


def _meant_by_misspelt_targets(definition: Workflow) -> set[str]:
    """States that an unknown target looks like: what is wrong is the target, and that is reported."""
    unknown = {target for _, _, target in each_target(definition) if target not in definition.states}
    meant = {near for target in unknown for near in near_misses(target, definition.states)}
    return reachable(meant, edges(definition))


def _reported_otherwise(definition: Workflow) -> set[str]:
    """States with an unknown target, which may turn out to be a way to the end, and those in a circle of hops."""
    unknown = {source for _, source, target in each_target(definition) if target not in definition.states}
    return unknown.union(*cycles(hops(definition)))


def _warning(path: str, code: str, message: str, hint: str | None = None) -> Problem:
    return Problem(path, code, message, hint, severity="warning")
