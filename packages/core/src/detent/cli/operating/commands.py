"""All commands of operators, as one list: the console script and the command lines of frameworks mount it."""

import copy

import rich_click as click

from detent.cli.operating.bench import bench
from detent.cli.operating.connection import connection_options
from detent.cli.operating.deliveries import deliveries
from detent.cli.operating.doctor import doctor
from detent.cli.operating.finding import definitions, list_instances, parked
from detent.cli.operating.looking import events, history, show
from detent.cli.operating.messages import messages
from detent.cli.operating.moving import cancel, force, pause, resume, retry
from detent.cli.operating.running import runs
from detent.cli.operating.schedules import schedules
from detent.cli.operating.tokens import tokens
from detent.cli.operating.triggering import send, trigger

_COMMANDS: tuple[click.Command, ...] = (
    list_instances,
    show,
    history,
    events,
    trigger,
    send,
    cancel,
    pause,
    resume,
    force,
    retry,
    parked,
    runs,
    definitions,
    schedules,
    tokens,
    messages,
    deliveries,
    doctor,
    bench,
)


def operator_commands(*, mounted: bool) -> list[click.Command]:
    """The commands, made anew for each caller; mounted ones take no option for the runtime: the framework calls `mount`."""
    made = [_copied(command) for command in _COMMANDS]
    if not mounted:
        for command in made:
            _connect(command)
    return made


def _copied(command: click.Command) -> click.Command:
    made = copy.copy(command)
    if isinstance(made, click.Group):
        made.commands = {name: _copied(below) for name, below in made.commands.items()}
    return made


def _connect(command: click.Command) -> None:
    """Give a command, or those of a group, the options that say which runtime."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _connect(below)
    else:
        command.params = [*command.params, *connection_options()]
