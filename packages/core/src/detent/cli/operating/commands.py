"""All commands of operators, as one list: the console script and the command lines of frameworks mount it."""

import copy

import rich_click as click

from detent.cli.operating.connection import connection_options
from detent.cli.operating.doctor import doctor
from detent.cli.operating.finding import definitions, list_instances, parked
from detent.cli.operating.looking import events, history, show
from detent.cli.operating.moving import cancel, force, pause, resume, retry
from detent.cli.operating.running import runs
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
    doctor,
)


def operator_commands(*, mounted: bool) -> list[click.Command]:
    """The commands, made anew for each caller; mounted ones take no option for the runtime: the framework calls `mount`."""
    made = [copy.copy(command) for command in _COMMANDS]
    if not mounted:
        for command in made:
            command.params = [*command.params, *connection_options()]
    return made
