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


def retries_can_happen(
    definition: Workflow, commands: Collection[str] | None, durable: Collection[str]
) -> Iterator[Problem]:
    """Only a worker repeats a command, and it has to do with those beside a durable one.

    `commands` are the registered ones, `None` where nobody knows, and `durable` those registered as durable.
    """
    for place, series in each_series(definition):
        placed = list(commands_among(place, series))
        if any(_may_be_durable(command, commands, durable) for _, command in placed):
            continue
        for path, command in placed:
            if command.retry is not None:
                message = f"the retry of command {command.name!r} is without effect, because no command here is durable"
                hint = "make the command durable, or leave `retry` out"
                yield Problem(f"{path}.retry", "option_without_durable", message, hint, severity="warning")


def _may_be_durable(command: CommandRef, commands: Collection[str] | None, durable: Collection[str]) -> bool:
    if command.durable is not None:
        return command.durable
    return commands is None or command.name in durable or command.name not in commands
