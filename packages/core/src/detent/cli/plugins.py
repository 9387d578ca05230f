"""Commands that other packages add, by an entry point in the group `detent.commands`.

Only names are looked up until one of them is asked for, so a slow or broken package costs nothing to those who do not
use it. A broken one stays in the list and says in one line why it does not work.
"""

from importlib.metadata import EntryPoint, entry_points

import rich_click as click
from click import Command, Context

from detent.cli.terminal import one_line

ENTRY_POINT_GROUP = "detent.commands"
"""The entry point group under which packages name their commands."""


class Commands(click.RichGroup):
    """A group that has its own commands and those of other packages; its own come first where names clash."""

    def list_commands(self, ctx: Context) -> list[str]:
        """The names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *_offered()})

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command of that name, loaded now if another package has it."""
        own = super().get_command(ctx, cmd_name)
        offered = _offered().get(cmd_name)
        return _loaded(offered) if own is None and offered is not None else own


def _offered() -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}


def _loaded(entry_point: EntryPoint) -> Command:
    try:
        command = entry_point.load()
    except (Exception, SystemExit) as error:  # a package may fail in any way while it is imported
        return _broken(entry_point, f"{type(error).__name__}: {error}")
    if not isinstance(command, Command):
        return _broken(entry_point, f"{entry_point.value} is a {type(command).__name__} and no click command")
    return command


def _broken(entry_point: EntryPoint, reason: str) -> Command:
    """A command that does nothing but say why it is not there."""
    package = f" of {entry_point.dist.name}" if entry_point.dist else ""
    message = one_line(f"the command {entry_point.name!r}{package} cannot be loaded: {reason}")

    def refuse() -> None:
        raise click.ClickException(message)

    return click.RichCommand(
        name=entry_point.name,
        callback=refuse,
        short_help=one_line(f"(cannot be loaded: {reason})"),
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
    )
