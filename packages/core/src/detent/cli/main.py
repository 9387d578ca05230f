"""The `detent` command: what is in core, and what other packages add."""

import rich_click as click

from detent.cli.check import check
from detent.cli.diagram import diagram
from detent.cli.plugins import Commands
from detent.cli.upgrade import upgrade
from detent.cli.validate import validate
from detent.cli.worker import worker


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="detent", message="detent %(version)s")
def main() -> None:
    """Durable workflows and state machines for Python web applications."""


main.add_command(validate)
main.add_command(check)
main.add_command(diagram)
main.add_command(upgrade)
main.add_command(worker)
