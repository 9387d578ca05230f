"""`detent fastapi`: a FastAPI application's workflows on the command line.

Each command starts the application, without its worker, and so sees what the application sees.
"""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import rich_click as click
from fastapi import FastAPI

from detent.cli.modules import attribute_at, called, kind_of
from detent.cli.operating.application import application_commands
from detent.cli.operating.connection import mount
from detent.cli.terminal import one_line
from detent.errors import NotStarted
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.config import WorkerConfig
from detent_fastapi.lifespan import Workflows, setup_of

_PROJECT = Path("pyproject.toml")

_which = click.option("--runtime", metavar="NAME", help="Which runtime, where the application has several.")


@click.group()
@click.option(
    "--entrypoint",
    "-e",
    metavar="MODULE:APP",
    envvar="DETENT_FASTAPI",
    show_envvar=True,
    help="The application, or a function that makes it; else the entrypoint in [tool.fastapi] of pyproject.toml.",
)
@_which
def fastapi(entrypoint: str | None, runtime: str | None) -> None:
    """A FastAPI application's workflows: look at them and mend them, fire what is due, and work for them."""

    @cache
    def app() -> FastAPI:
        return _app_at(entrypoint or _configured())

    mount(lambda: _started(app(), runtime), working=lambda: _working(app(), runtime))


def workflow_commands(app: FastAPI) -> click.Group:
    """The same commands for one application, as a click group `workflows`, for a command line of the application's own."""

    @click.group()
    @_which
    def workflows(runtime: str | None) -> None:
        """Look at the application's workflows and mend them, fire what is due, and work for them."""
        mount(lambda: _started(app, runtime), working=lambda: _working(app, runtime))

    return _filled(workflows)


def _filled(group: click.Group) -> click.Group:
    for command in application_commands():
        group.add_command(command)
    return group


@asynccontextmanager
async def _started(app: FastAPI, name: str | None) -> AsyncIterator[WorkflowRuntime]:
    async with _set_up(app, name).without_worker(app) as runtime:
        yield runtime


def _working(app: FastAPI, name: str | None) -> WorkerConfig:
    return _set_up(app, name).config.worker_config or WorkerConfig()


def _set_up(app: FastAPI, name: str | None) -> Workflows:
    try:
        return setup_of(app, name)
    except NotStarted:
        raise click.ClickException("the application has no workflows: call setup_workflows(app, config)") from None
    except ValueError as error:
        raise click.UsageError(f"{error}: --runtime NAME before the command says which") from error


def _app_at(source: str) -> FastAPI:
    if ":" not in source:
        raise click.ClickException(one_line(f"{source} is no MODULE:APP, such as shop.main:app"))
    found = attribute_at(source)
    # An application can be called, too, and is what is called here only where it is not one already.
    app: Any = found if isinstance(found, FastAPI) else called(found, source)
    if isinstance(app, FastAPI):
        return app
    raise click.ClickException(one_line(f"{source} is {kind_of(app)} and not a FastAPI application"))


def _configured() -> str:
    """What pyproject.toml says, as `fastapi dev` and `fastapi run` read it."""
    try:
        written = tomllib.loads(_PROJECT.read_text("utf-8"))
    except FileNotFoundError:
        written = {}
    except (OSError, ValueError) as error:
        raise click.ClickException(one_line(f"{_PROJECT} cannot be read: {error}")) from error
    entrypoint = written.get("tool", {}).get("fastapi", {}).get("entrypoint")
    if isinstance(entrypoint, str):
        return entrypoint
    raise click.UsageError("which application? --entrypoint MODULE:APP, or [tool.fastapi] in pyproject.toml, says so")


_filled(fastapi)
