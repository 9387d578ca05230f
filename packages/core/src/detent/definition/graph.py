"""The states of a definition as a graph: what leads where, what can be reached, and what goes round in circles."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from detent.definition.commands import CommandRef
from detent.definition.state import OnEnter
from detent.definition.walk import each_on_enter, each_target
from detent.definition.workflow import Workflow

Edges: TypeAlias = Mapping[str, tuple[str, ...]]
"""For each state the states it leads to, each once, in the order they are written."""


def edges(definition: Workflow) -> Edges:
    """What leads where by events and hops; targets that do not exist are left out."""
    return _collected(definition, ((source, target) for _, source, target in each_target(definition)))


def hops(definition: Workflow, durable: Collection[str] = ()) -> Edges:
    """What leads where by itself, in the commit of the entry: the targets and errors of `on_enter`, and what it forks to.

    What a fork leads to when it is joined comes later. An entry with a durable command (one that says so, or one named in
    `durable`) goes on in a commit of its own.
    """
    ways = (
        (source, on_enter)
        for _, source, on_enter in each_on_enter(definition)
        if not any(_is_durable(command, durable) for command in on_enter.commands)
    )
    pairs = ((source, target) for source, on_enter in ways for target in _at_once(on_enter))
    return _collected(definition, pairs)


def _at_once(on_enter: OnEnter) -> Iterator[str]:
    yield from on_enter.fork
    if on_enter.target is not None and not on_enter.fork:
        yield on_enter.target
    if on_enter.error is not None:
        yield on_enter.error


def _is_durable(command: CommandRef, durable: Collection[str]) -> bool:
    return command.name in durable if command.durable is None else command.durable


def reversed_edges(forward: Edges) -> Edges:
    """The same edges, walked backwards."""
    backward: dict[str, tuple[str, ...]] = dict.fromkeys(forward, ())
    for source, targets in forward.items():
        for target in targets:
            backward[target] += (source,)
    return backward


def reachable(starts: Iterable[str], along: Edges) -> set[str]:
    """The states that can be reached from `starts`, which are among them."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        fresh = [state for state in along[waiting.pop()] if state not in found]
        found.update(fresh)
        waiting += fresh
    return found


def cycles(along: Edges) -> Iterator[tuple[str, ...]]:
    """For every edge that is part of a cycle the shortest cycle through it, each distinct one once.

    A cycle begins at its state that is written first and does not repeat it at the end. All elementary cycles may be
    exponentially many; these are at most as many as edges, and none is left once they are broken.
    """
    rank = {state: index for index, state in enumerate(along)}
    seen = set()
    for source, targets in along.items():
        for target in targets:
            path = _shortest(target, source, along)
            first = path.index(min(path, key=rank.__getitem__)) if path else 0
            cycle = path[first:] + path[:first]
            if cycle and cycle not in seen:
                seen.add(cycle)
                yield cycle


def _collected(definition: Workflow, pairs: Iterable[tuple[str, str]]) -> Edges:
    found: dict[str, dict[str, None]] = {state: {} for state in definition.states}
    for source, target in pairs:
        if target in found:
            found[source][target] = None
    return {state: tuple(targets) for state, targets in found.items()}


def _shortest(start: str, goal: str, along: Edges) -> tuple[str, ...]:
    """The shortest path from `start` to `goal`, both included; empty where there is none."""
    came_from: dict[str, str | None] = {start: None}
    waiting = [start]
    for state in waiting:
        if state == goal:
            return tuple(reversed(list(_way_back(state, came_from))))
        for following in along[state]:
            if following not in came_from:
                came_from[following] = state
                waiting.append(following)
    return ()


def _way_back(state: str | None, came_from: Mapping[str, str | None]) -> Iterator[str]:
    while state is not None:
        yield state
        state = came_from[state]
