"""The `detent` command: what is in core, and what other packages add."""

import rich_click as click

from detent.cli.check import check
from detent.cli.diagram import diagram
from detent.cli.generate import generate
from detent.cli.operating.commands import operator_commands
from detent.cli.plugins import Commands
from detent.cli.starter.new import new
from detent.cli.upgrade import upgrade
from detent.cli.validate import validate
from detent.cli.worker import worker


@click.group("detent", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.command_panel("Operating", commands=[str(command.name) for command in operator_commands(mounted=False)])
@click.version_option(package_name="detent", message="detent %(version)s")
def main() -> None:
    """Durable workflows and state machines for Python web applications."""


main.add_command(validate)
main.add_command(check)
main.add_command(diagram)
main.add_command(generate)
main.add_command(upgrade)
main.add_command(worker)
main.add_command(new)
for command in operator_commands(mounted=False):
    main.add_command(command)
