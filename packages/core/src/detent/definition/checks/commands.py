"""Commands: that what is said about undoing one can come true."""

from collections.abc import Collection, Iterator

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.state import OnEnter
from detent.definition.walk import commands_among, each_command, each_event, each_on_enter, each_series
from detent.definition.workflow import Workflow
from detent.problems import Problem


def compensations_can_happen(definition: Workflow) -> Iterator[Problem]:
    """What undoes a command runs on the way to the error target, so there is one."""
    parts: list[tuple[str, Event | OnEnter]] = [(path, event) for path, _, _, event in each_event(definition)]
    parts += [(path, on_enter) for path, _, on_enter in each_on_enter(definition)]
    for path, part in parts:
        for index, command in enumerate(part.commands):
            if command.compensate and part.error is None:
                message = f"command {command.name!r} is never undone, because no failure leads anywhere"
                hint = "declare an `error` target: compensations run on the way to it"
                yield Problem(f"{path}.commands[{index}].compensate", "compensation_never_runs", message, hint)


def compensations_stand_alone(definition: Workflow) -> Iterator[Problem]:
    """A command that undoes another is not undone itself."""
    for path, command in each_command(definition):
        if command.compensate and ".compensate[" in path:
            message = f"command {command.name!r} undoes another one and cannot be undone itself"
            yield Problem(f"{path}.compensate", "nested_compensation", message, "leave `compensate` out here")


_OF_WORKERS = ("retry", "timeout", "queue")
"""What is said of a command for the worker that runs it."""


def options_can_matter(
    definition: Workflow, commands: Collection[str] | None, durable: Collection[str]
) -> Iterator[Problem]:
    """Only a worker takes, repeats and times a command, and it has to do with those beside a durable one.

    `commands` are the registered ones, `None` where nobody knows, and `durable` those registered as durable.
    """
    for place, series in each_series(definition):
        placed = list(commands_among(place, series))
        if any(_may_be_durable(command, commands, durable) for _, command in placed):
            continue
        for path, command in placed:
            for option in _OF_WORKERS:
                if getattr(command, option) is not None:
                    yield _without_effect(f"{path}.{option}", command.name, option)


def ends_do_no_work(definition: Workflow, durable: Collection[str]) -> Iterator[Problem]:
    """An instance that has ended does no work: what is durable needs a state to go on to. `durable` are those registered so."""
    for path, state, on_enter in each_on_enter(definition):
        if not definition.states[state].terminal:
            continue
        for index, command in enumerate(on_enter.commands):
            if command.name in durable if command.durable is None else command.durable:
                message = f"state {state!r} ends the workflow, so its durable command {command.name!r} would never run"
                hint = "give `on_enter` a target: a state to end in when the work is done"
                yield Problem(f"{path}.commands[{index}]", "work_at_the_end", message, hint)


def _without_effect(path: str, command: str, option: str) -> Problem:
    message = f"the {option} of command {command!r} is without effect, because no command here is durable"
    hint = f"make the command durable, or leave `{option}` out"
    return Problem(path, "option_without_durable", message, hint, severity="warning")


def _may_be_durable(command: CommandRef, commands: Collection[str] | None, durable: Collection[str]) -> bool:
    if command.durable is not None:
        return command.durable
    return commands is None or command.name in durable or command.name not in commands
