"""Targets: every state that is named exists."""

from collections.abc import Iterator

from detent.definition.walk import each_target
from detent.definition.workflow import Workflow
from detent.problems import Problem, did_you_mean


def states_exist(definition: Workflow) -> Iterator[Problem]:
    """There is at least one state."""
    if not definition.states:
        yield Problem("states", "no_states", "a workflow needs at least one state")


def initial_state_exists(definition: Workflow) -> Iterator[Problem]:
    """The initial state is among the states."""
    if definition.states and definition.initial_state not in definition.states:
        yield _unknown("initial_state", definition.initial_state, definition)


def entries_lead_to_states(definition: Workflow) -> Iterator[Problem]:
    """Every entry leads to a state."""
    for name, state in definition.entries.items():
        if state not in definition.states:
            yield _unknown(f"entries.{name}", state, definition)


def targets_exist(definition: Workflow) -> Iterator[Problem]:
    """Every target, error and branch leads to a state."""
    for path, _, target in each_target(definition):
        if target not in definition.states:
            yield _unknown(path, target, definition)


def _unknown(path: str, state: str, definition: Workflow) -> Problem:
    return Problem(path, "unknown_state", f"there is no state {state!r}", did_you_mean(state, definition.states))
