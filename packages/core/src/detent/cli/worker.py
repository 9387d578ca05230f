"""`detent worker`: a process that advances runs, fires timeouts and delivers messages until it is told to stop."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import rich_click as click

from detent.cli.runtimes import with_runtime
from detent.cli.terminal import one_line
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.config import WorkerConfig
from detent.workers.until_signal import run_until_signal
from detent.workers.worker import Worker

_LEFT = {
    "timeouts": "Leave due timeouts to others.",
    "inbox": "Leave events that were sent to others.",
    "outbox": "Leave deliveries to subscribers to others.",
    "retention": "Leave retention policies and expired keys to others.",
}
"""What a worker may leave to others."""


def _numbers(config: WorkerConfig) -> dict[str, float]:
    return {
        "concurrency": config.concurrency,
        "poll": config.poll.total_seconds(),
        "drain": config.drain.total_seconds(),
    }


def working(default: WorkerConfig | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """With the options that say how a worker runs, which `said` reads; what they are by default is told, if it is known."""
    shown: dict[str, dict[str, Any]] = {
        name: {"show_default": "the application's"} if default is None else {"default": number, "show_default": True}
        for name, number in _numbers(default or WorkerConfig()).items()
    }
    options = (
        click.option(
            "--queue",
            "queues",
            multiple=True,
            metavar="NAME",
            help="Only durable commands of this queue. May be repeated.",
        ),
        click.option(
            "--concurrency",
            type=click.IntRange(1, 10_000),
            **shown["concurrency"],
            help="How many runs it works on at once.",
        ),
        click.option(
            "--poll",
            type=click.FloatRange(0.01, 3600),
            **shown["poll"],
            metavar="SECONDS",
            help="How often it looks for work of which no signal told.",
        ),
        click.option(
            "--drain",
            type=click.FloatRange(0, 86400),
            **shown["drain"],
            metavar="SECONDS",
            help="How long stopping lets work under way go on.",
        ),
        *(click.option(f"--no-{name}", is_flag=True, help=told) for name, told in _LEFT.items()),
        click.option(
            "--log-level",
            type=click.Choice(["debug", "info", "warning", "error"]),
            help="What is logged to stderr, from this level on; info, unless the application has set up its logging itself.",
        ),
        click.option(
            "--name", metavar="TEXT", help="What it is called in the runs it holds; else its host and process id."
        ),
        click.option("--json", "as_json", is_flag=True, help="Answer JSON, a line at the start and one at the end."),
    )

    def added(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return added


def said(default: WorkerConfig, given: dict[str, Any]) -> WorkerConfig:
    """How the worker runs: as options say, and else as `default` does."""
    changes: dict[str, Any] = {name: getattr(default, name) and not given[f"no_{name}"] for name in _LEFT}
    changes |= {name: given[name] for name in ("concurrency", "name") if given[name] is not None}
    changes |= {name: timedelta(seconds=given[name]) for name in ("poll", "drain") if given[name] is not None}
    return replace(default, queues=given["queues"] or default.queues, **changes)


@click.command()
@click.argument("source", metavar="MODULE:RUNTIME", envvar="DETENT_RUNTIME")
@working(WorkerConfig())
def worker(source: str, log_level: str | None, as_json: bool, **given: Any) -> None:
    """Work for the WorkflowRuntime at MODULE:RUNTIME until SIGINT or SIGTERM.

    MODULE:RUNTIME may also name a function that returns a runtime or, as an async context manager, opens one. Told to stop,
    it takes nothing new and lets work under way end; a second signal cancels that and gives it back to others; a third kills.
    """
    config = said(WorkerConfig(), given)
    with_runtime(source, lambda runtime: work_until_told(runtime, config, log_level, as_json=as_json))


async def work_until_told(
    runtime: WorkflowRuntime, config: WorkerConfig, log_level: str | None, *, as_json: bool
) -> None:
    """Work for a runtime until a signal, and tell of the start and of the end."""
    _log(log_level)
    working_here = config.worker(runtime)
    await run_until_signal(working_here, lambda: _tell("started", working_here, as_json=as_json), _tell_people)
    _tell("stopped", working_here, as_json=as_json)


def _log(level: str | None) -> None:
    """Log to stderr, unless the application has set up its logging, which it has by now: its modules are imported."""
    logging.basicConfig(level=(level or "info").upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level is not None:
        logging.getLogger().setLevel(level.upper())


def _tell(what: str, working_here: Worker, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"worker": what, "name": working_here.name, "loops": working_here.loops}))
    else:
        click.echo(one_line(f"worker {working_here.name} {what}: {', '.join(working_here.loops)}"))


def _tell_people(sentence: str) -> None:
    # Beside the output, which programs read.
    click.echo(sentence, err=True)
