"""`detent worker`: a process that advances runs, fires timeouts and delivers messages until it is told to stop."""

import json
import logging
from datetime import timedelta

import rich_click as click

from detent.cli.runtimes import with_runtime
from detent.cli.terminal import one_line
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.until_signal import run_until_signal
from detent.workers.worker import Worker


@click.command()
@click.argument("source", metavar="MODULE:RUNTIME", envvar="DETENT_RUNTIME")
@click.option(
    "--queue", "queues", multiple=True, metavar="NAME", help="Only durable commands of this queue. May be repeated."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="How many runs it works on at once.",
)
@click.option(
    "--poll",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often it looks for work of which no signal told.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0, 86400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long stopping lets work under way go on.",
)
@click.option("--no-timeouts", is_flag=True, help="Leave due timeouts to others.")
@click.option("--no-inbox", is_flag=True, help="Leave events that were sent to others.")
@click.option("--no-outbox", is_flag=True, help="Leave deliveries to subscribers to others.")
@click.option("--no-retention", is_flag=True, help="Leave retention policies and expired keys to others.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is logged to stderr, from this level on; info, unless the application has set up its logging itself.",
)
@click.option("--name", metavar="TEXT", help="What it is called in the runs it holds; else its host and process id.")
@click.option("--json", "as_json", is_flag=True, help="Answer JSON, a line at the start and one at the end.")
def worker(
    source: str,
    queues: tuple[str, ...],
    concurrency: int,
    poll: float,
    drain: float,
    no_timeouts: bool,
    no_inbox: bool,
    no_outbox: bool,
    no_retention: bool,
    log_level: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Work for the WorkflowRuntime at MODULE:RUNTIME until SIGINT or SIGTERM.

    MODULE:RUNTIME may also name a function that returns a runtime or, as an async context manager, opens one. Told to stop,
    it takes nothing new and lets work under way end; a second signal cancels that and gives it back to others; a third kills.
    """

    async def work(runtime: WorkflowRuntime) -> None:
        _log(log_level)
        working = Worker(
            runtime,
            queues=queues or None,
            concurrency=concurrency,
            poll=timedelta(seconds=poll),
            drain=timedelta(seconds=drain),
            timeouts=not no_timeouts,
            inbox=not no_inbox,
            outbox=not no_outbox,
            retention=not no_retention,
            name=name,
        )
        await run_until_signal(working, lambda: _tell("started", working, as_json=as_json), _tell_people)
        _tell("stopped", working, as_json=as_json)

    with_runtime(source, work)


def _log(level: str | None) -> None:
    """Log to stderr, unless the application has set up its logging, which it has by now: its modules are imported."""
    logging.basicConfig(level=(level or "info").upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level is not None:
        logging.getLogger().setLevel(level.upper())


def _tell(what: str, working: Worker, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"worker": what, "name": working.name, "loops": working.loops}))
    else:
        click.echo(one_line(f"worker {working.name} {what}: {', '.join(working.loops)}"))


def _tell_people(sentence: str) -> None:
    # Beside the output, which programs read.
    click.echo(sentence, err=True)
