"""Which payload a way through a definition carries: that of the state it leads to, or what a branch ends with."""

from collections.abc import Mapping
from dataclasses import dataclass

from detent.definition.graph import edges, reachable
from detent.definition.model import WorkflowDefinition
from detent.notation.python_class.canonical import work_of


@dataclass(frozen=True, slots=True)
class Carried:
    """What is carried: the payload of a state, or the result of the branch that begins there."""

    state: str
    is_result: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """What is there behind a fork: what there was at it, and what each branch ended with."""

    fork: str
    branches: tuple[str, ...]
    """Those that leave something."""


def carried(definition: WorkflowDefinition, source: str, target: str) -> Carried | None:
    """What a way from `source` to `target` carries; `None` where it leads to an end at which nothing is left."""
    state = carrier(definition, target)
    if state is not None:
        return Carried(state)
    branch = branches(definition).get(source)
    return Carried(branch, is_result=True) if branch is not None and _ends_well(definition, target) else None


def carrier(definition: WorkflowDefinition, name: str) -> str | None:
    """The state whose payload a step leaves that leads to `name`: itself, unless it only passes on; `None` at an end."""
    end = _passed(definition, name)
    return None if end is None or definition.states[end].terminal else end


def joined(definition: WorkflowDefinition) -> Mapping[str, Joined]:
    """What comes together in the states that follow forks, by state."""
    found = {}
    for name, state in definition.states.items():
        if state.fork and state.on_enter is not None and state.on_enter.target is not None:
            following = carrier(definition, state.on_enter.target)
            if following is not None and following != name:
                found[following] = Joined(name, state.fork)
    return found


def branches(definition: WorkflowDefinition) -> Mapping[str, str]:
    """The branch that a state is part of, by its first state; of nested ones the innermost."""
    along = edges(definition)
    found: dict[str, tuple[int, str]] = {}
    for branch in (branch for state in definition.states.values() for branch in state.fork if branch in along):
        inside = reachable([branch], along)
        for name in inside:
            if not definition.states[name].terminal and (name not in found or len(inside) < found[name][0]):
                found[name] = len(inside), branch
    return {name: branch for name, (_, branch) in found.items()}


def _passed(definition: WorkflowDefinition, name: str) -> str | None:
    """The state at which one comes to rest, or begins to work, who is led to `name`; `None` where there is none."""
    seen = set()
    while name not in seen:
        state = definition.states[name]
        hop = None if state.on_enter is None else state.on_enter.target
        if hop is None or state.fork or work_of(state):
            return name
        seen.add(name)
        name = hop
    return None


def _ends_well(definition: WorkflowDefinition, target: str) -> bool:
    end = _passed(definition, target)
    return end is not None and definition.states[end].outcome in (None, "success")
