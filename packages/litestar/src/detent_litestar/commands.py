"""`litestar workflows`: the application's workflows on the command line.

Each command starts the application, without its worker, and so sees what the application sees.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

import click
from litestar import Litestar

from detent.cli.operating.application import application_commands
from detent.cli.operating.connection import mount
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.config import WorkerConfig
from detent_litestar.config import WorkflowConfig


class Host(Protocol):
    """One runtime of an application."""

    @property
    def config(self) -> WorkflowConfig:
        """How it is set up."""
        ...

    def without_worker(self, app: Litestar) -> AbstractAsyncContextManager[WorkflowRuntime]:
        """Starts the application without its workers, and gives the runtime."""
        ...


HostOf: TypeAlias = Callable[[Litestar, str | None], Host]
"""The runtime of that name, or the only one; `ValueError` where there is none."""

_NAME = "detent_litestar.runtime"


def add_commands(cli: click.Group, host_of: HostOf) -> None:
    """Add the group `workflows` to Litestar's command line."""

    def chosen(app: Litestar) -> Host:
        try:
            return host_of(app, click.get_current_context().meta.get(_NAME))
        except ValueError as error:
            raise click.UsageError(f"{error}: litestar workflows --runtime NAME ...") from error

    def started(app: Litestar) -> AbstractAsyncContextManager[WorkflowRuntime]:
        return chosen(app).without_worker(app)

    @cli.group("workflows")
    @click.option("--runtime", metavar="NAME", help="Which runtime, where the application has several.")
    def workflows(app: Litestar, runtime: str | None) -> None:
        """Look at the application's workflows and mend them, fire what is due, and work for them."""
        click.get_current_context().meta[_NAME] = runtime
        mount(lambda: started(app), working=lambda: chosen(app).config.worker_config or WorkerConfig())

    for command in application_commands():
        workflows.add_command(command)
