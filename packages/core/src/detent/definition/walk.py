"""Walks through a definition: every event, target, command and guard, each with its path."""

from collections.abc import Iterator
from typing import NamedTuple

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.guards import GuardExpression, GuardRef, guard_refs
from detent.definition.state import OnEnter
from detent.definition.workflow import Workflow


class PlacedEvent(NamedTuple):
    """An event and where it is declared."""

    path: str
    state: str
    name: str
    event: Event


def each_event(definition: Workflow) -> Iterator[PlacedEvent]:
    """Every event, in the order it was written."""
    for state_name, state in definition.states.items():
        for name, event in state.events.items():
            yield PlacedEvent(f"states.{state_name}.events.{name}", state_name, name, event)


def each_on_enter(definition: Workflow) -> Iterator[tuple[str, str, OnEnter]]:
    """The path, the state and the `on_enter` of every state that has one."""
    for name, state in definition.states.items():
        if state.on_enter is not None:
            yield f"states.{name}.on_enter", name, state.on_enter


def each_target(definition: Workflow) -> Iterator[tuple[str, str, str]]:
    """The path, the state it leads from and the state it leads to, of every target, error and branch, those of forks included."""
    for path, source, _, event in each_event(definition):
        for index, branch in enumerate(event.branches):
            yield f"{path}.branches[{index}].target", source, branch.target
        yield from _ways(path, source, event)
    for path, source, on_enter in each_on_enter(definition):
        yield from _ways(path, source, on_enter)
        for index, forked in enumerate(on_enter.fork):
            yield f"{path}.fork[{index}]", source, forked


def each_command(definition: Workflow) -> Iterator[tuple[str, CommandRef]]:
    """The path and the reference of every command, those that compensate for another included."""
    for path, _, _, event in each_event(definition):
        yield from commands_among(f"{path}.commands", event.commands)
    for path, _, on_enter in each_on_enter(definition):
        yield from commands_among(f"{path}.commands", on_enter.commands)


def each_series(definition: Workflow) -> Iterator[tuple[str, tuple[CommandRef, ...]]]:
    """The path and the commands of every event and entry that has some: what runs one after another."""
    for path, _, _, event in each_event(definition):
        if event.commands:
            yield f"{path}.commands", event.commands
    for path, _, on_enter in each_on_enter(definition):
        if on_enter.commands:
            yield f"{path}.commands", on_enter.commands


def commands_among(path: str, commands: tuple[CommandRef, ...]) -> Iterator[tuple[str, CommandRef]]:
    """The path and the reference of each of these commands, those that compensate for another included."""
    for index, command in enumerate(commands):
        yield f"{path}[{index}]", command
        yield from commands_among(f"{path}[{index}].compensate", command.compensate)


def each_guard(definition: Workflow) -> Iterator[tuple[str, GuardRef]]:
    """The path of the expression and the reference of every guard named in it."""
    for path, expression in _expressions(definition):
        for guard in guard_refs(expression):
            yield path, guard


def _expressions(definition: Workflow) -> Iterator[tuple[str, GuardExpression | None]]:
    for path, _, _, event in each_event(definition):
        yield f"{path}.guard", event.guard
        for index, branch in enumerate(event.branches):
            yield f"{path}.branches[{index}].guard", branch.guard


def _ways(path: str, source: str, part: Event | OnEnter) -> Iterator[tuple[str, str, str]]:
    if part.target is not None:
        yield f"{path}.target", source, part.target
    if part.error is not None:
        yield f"{path}.error", source, part.error
