"""The commands that a framework's own command line has: those of operators, and those that need an application."""

import copy
from dataclasses import asdict
from typing import Any, get_args

import rich_click as click
from pydantic_core import to_json

from detent.cli.operating.commands import operator_commands
from detent.cli.operating.connection import Connected, connected, mounted
from detent.cli.operating.output import json_option
from detent.cli.worker import said, work_until_told, working
from detent.notation.mermaid import Style, to_mermaid
from detent.notation.symbols import SymbolsName
from detent.runtime.firing import SweepReport
from detent.workers.config import WorkerConfig


@click.command()
@click.argument("workflow")
@click.option("--style", type=click.Choice(get_args(Style)), default="state", show_default=True)
@click.option("--symbols", type=click.Choice(get_args(SymbolsName)), default="unicode", show_default=True)
def diagram(workflow: str, style: Style, symbols: SymbolsName) -> None:
    """Draw the newest version of WORKFLOW as a Mermaid diagram."""

    async def draw(reached: Connected) -> str:
        return to_mermaid(reached.runtime.definition(workflow), style=style, symbols=symbols)

    click.echo(connected(draw), nl=False)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="How many at most.")
@json_option
def sweep(limit: int, as_json: bool) -> None:
    """Fire the timeouts that are due, once."""

    async def fire(reached: Connected) -> SweepReport:
        return await reached.runtime.process_timeouts(limit=limit)

    report = asdict(connected(fire))
    click.echo(to_json(report, indent=2) if as_json else ", ".join(f"{count} {what}" for what, count in report.items()))


@click.command("worker")
@working(None)
def work(log_level: str | None, as_json: bool, **given: Any) -> None:
    """Work for the application's runtime until SIGINT or SIGTERM.

    Told to stop, it takes nothing new and lets work under way end; a second signal cancels that and gives it back to others;
    a third kills.
    """
    framework = mounted()
    config = said(WorkerConfig() if framework is None else framework.working(), given)
    connected(lambda reached: work_until_told(reached.runtime, config, log_level, as_json=as_json))


def application_commands() -> list[click.Command]:
    """The commands, made anew for each caller; the group that they are added to calls `mount`."""
    return [*operator_commands(mounted=True), *map(copy.copy, (diagram, sweep, work))]
