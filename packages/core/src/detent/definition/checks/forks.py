"""Forks: that branches can be told apart, that something follows them, and that somebody takes their failure."""

from collections.abc import Iterator

from detent.definition.graph import edges, reachable
from detent.definition.walk import each_on_enter
from detent.definition.workflow import Workflow
from detent.problems import Problem


def branches_begin_apart(definition: Workflow) -> Iterator[Problem]:
    """Each branch of a fork begins in a state of its own, which is its name."""
    for path, _, on_enter in each_on_enter(definition):
        for index, branch in enumerate(on_enter.fork):
            if branch in on_enter.fork[:index]:
                message = f"a branch that begins in {branch!r} is there already"
                hint = "let each begin in a state of its own: a branch is known by it"
                yield Problem(f"{path}.fork[{index}]", "branch_twice", message, hint)


def forks_lead_on(definition: Workflow) -> Iterator[Problem]:
    """When all branches have ended, something follows."""
    for path, state, on_enter in each_on_enter(definition):
        if not on_enter.fork or on_enter.target is not None:
            continue
        if on_enter.error is not None or not definition.states[state].events:
            message = f"nothing follows in {state!r} when its branches have ended"
            yield Problem(path, "fork_without_target", message, "name the state to go on to as `target`")


def failed_branches_lead_somewhere(definition: Workflow) -> Iterator[Problem]:
    """A branch that may end badly has an error target to take."""
    along = edges(definition)
    for path, state, on_enter in each_on_enter(definition):
        if on_enter.error is not None:
            continue
        for index, branch in enumerate(on_enter.fork):
            if branch not in along:
                continue
            bad = [name for name in reachable([branch], along) if _ends_badly(definition, name)]
            if bad:
                message = f"branch {branch!r} may end in {min(bad)!r}, and then {state!r} cannot go on"
                hint = "name the state to go on to then as `error`"
                yield Problem(f"{path}.fork[{index}]", "branch_may_fail", message, hint, severity="warning")


def _ends_badly(definition: Workflow, state: str) -> bool:
    found = definition.states[state]
    return found.terminal and (found.outcome or "success") != "success"
