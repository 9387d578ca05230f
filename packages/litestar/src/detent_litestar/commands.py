"""`litestar workflows`: the application's workflows on the command line.

Each command starts the application, without its worker, and so sees what the application sees.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import click
from litestar import Litestar

from detent.cli.operating.application import application_commands
from detent.cli.operating.connection import mount
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.config import WorkerConfig

Started: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[WorkflowRuntime]]
"""Starts an application without its worker, and gives its runtime."""


def add_commands(cli: click.Group, started: Started, working: WorkerConfig) -> None:
    """Add the group `workflows` to Litestar's command line; `working` says how its worker runs unless options say otherwise."""

    @cli.group("workflows")
    def workflows(app: Litestar) -> None:
        """Look at the application's workflows and mend them, fire what is due, and work for them."""
        mount(lambda: started(app), working=lambda: working)

    for command in application_commands():
        workflows.add_command(command)
