"""`litestar workflows`: the application's workflows on the command line.

Each command starts the application, without its worker, and so sees what the application sees.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from typing import Protocol, TypeAlias, TypeVar, get_args

import click
from litestar import Litestar
from pydantic_core import to_json

from detent.cli.operating.commands import operator_commands
from detent.cli.operating.connection import mount
from detent.errors import DetentError
from detent.notation.mermaid import Style, to_mermaid
from detent.notation.symbols import SymbolsName
from detent.runtime.firing import SweepReport
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.config import WorkerConfig
from detent.workers.until_signal import run_until_signal
from detent.workers.worker import Worker
from detent_litestar.config import WorkflowConfig

T = TypeVar("T")


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

_as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


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
        mount(lambda: started(app))

    for command in operator_commands(mounted=True):
        workflows.add_command(command)

    @workflows.command("diagram")
    @click.argument("workflow")
    @click.option("--style", type=click.Choice(get_args(Style)), default="state", show_default=True)
    @click.option("--symbols", type=click.Choice(get_args(SymbolsName)), default="unicode", show_default=True)
    def diagram(app: Litestar, workflow: str, style: Style, symbols: SymbolsName) -> None:
        """Draw the newest version of WORKFLOW as a Mermaid diagram."""
        click.echo(_ask(started(app), lambda runtime: _drawn(runtime, workflow, style, symbols)), nl=False)

    @workflows.command("sweep")
    @click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="How many at most.")
    @_as_json
    def sweep(app: Litestar, limit: int, as_json: bool) -> None:
        """Fire the timeouts that are due, once."""
        report = _ask(started(app), lambda runtime: runtime.process_timeouts(limit=limit))
        click.echo(to_json(asdict(report), indent=2) if as_json else _told(report))

    @workflows.command("worker")
    @click.option("--queue", "queues", multiple=True, metavar="NAME", help="Only this queue. May be repeated.")
    @click.option("--concurrency", type=click.IntRange(min=1), help="How many runs it works on at once.")
    def work(app: Litestar, queues: tuple[str, ...], concurrency: int | None) -> None:
        """Work for the application's runtime until SIGINT or SIGTERM.

        Told to stop, it takes nothing new and lets work under way end; a second signal cancels that and gives it back to others.
        """
        working = chosen(app).config.worker_config or WorkerConfig()
        said = replace(working, queues=queues or working.queues, concurrency=concurrency or working.concurrency)
        _ask(started(app), lambda runtime: _worked(said.worker(runtime)))


def _ask(
    started: AbstractAsyncContextManager[WorkflowRuntime], question: Callable[[WorkflowRuntime], Awaitable[T]]
) -> T:
    async def answer() -> T:
        async with started as runtime:
            return await question(runtime)

    try:
        return asyncio.run(answer())
    except ExceptionGroup as group:
        raise _for_people(group) from group


def _for_people(error: Exception) -> Exception:
    """An error of ours as one line, and any other as it is; a lifespan wraps both in groups."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return click.ClickException(str(error)) if isinstance(error, DetentError) else error


async def _worked(worker: Worker) -> None:
    await run_until_signal(
        worker,
        lambda: click.echo(f"worker {worker.name} started: {', '.join(worker.loops)}"),
        lambda sentence: click.echo(sentence, err=True),
    )
    click.echo(f"worker {worker.name} stopped")


async def _drawn(runtime: WorkflowRuntime, workflow: str, style: Style, symbols: SymbolsName) -> str:
    return to_mermaid(runtime.definition(workflow), style=style, symbols=symbols)


def _told(report: SweepReport) -> str:
    return ", ".join(f"{count} {what}" for what, count in asdict(report).items())
