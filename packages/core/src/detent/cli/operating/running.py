"""`runs`: durable transitions in progress, and those that ended."""

from collections.abc import Sequence
from uuid import UUID

import rich_click as click

from detent.cli.operating.completion import state_names, workflow_names
from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.output import json_option, say_whole, show_json, show_table
from detent.service.operator_schemas import RunListView, RunView
from detent.store.run_records import Run, RunStatus


@click.command()
@click.option(
    "--instance", type=click.UUID, metavar="ID", help="Only those of this instance; then nothing else counts."
)
@click.option(
    "--workflow",
    "workflows",
    multiple=True,
    metavar="NAME",
    shell_complete=workflow_names,
    help="Of this workflow. May be repeated.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="NAME",
    shell_complete=state_names,
    help="Begun in this state. May be repeated.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in RunStatus]),
    help="Of this status. May be repeated.",
)
@click.option("--queue", metavar="NAME", help="Whose next command is of this queue.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--after", type=click.UUID, metavar="RUN", help="Go on after this one, the last of an earlier page.")
@json_option
def runs(
    instance: UUID | None,
    workflows: tuple[str, ...],
    states: tuple[str, ...],
    statuses: tuple[str, ...],
    queue: str | None,
    limit: int,
    after: UUID | None,
    as_json: bool,
) -> None:
    """List runs, the newest first: what workers do, with how far it came."""

    async def find(runtime: Connected) -> Sequence[Run]:
        asked = runtime.service().runs
        if instance is not None:
            return await asked.for_instance(instance, limit=limit)
        return await asked.list(
            status=statuses or None,
            workflow=workflows or None,
            state=states or None,
            queue=queue,
            limit=limit,
            after=after,
        )

    found = connected(find)
    more = found[-1].id if instance is None and len(found) == limit else None
    if as_json:
        show_json(RunListView(runs=[RunView.model_validate(run) for run in found], after=more))
        return
    rows = [(run.id, run.workflow, run.event, run.status.value, run.command, run.attempts, _told(run)) for run in found]
    show_table(
        ("RUN", "WORKFLOW", "EVENT", "STATUS", "NEXT", "TRIES", "PROGRESS OR WHY"), rows, nothing="no run was found"
    )
    if more is not None:
        say_whole(f"there may be more: --after {more}")


def _told(run: Run) -> str:
    progress = run.progress or {}
    fraction = progress.get("fraction")
    done = f"{fraction:.0%}" if isinstance(fraction, int | float) else None
    error = None if run.error is None else run.error.get("message")
    return " ".join(str(part) for part in (done, progress.get("message"), run.reason or error) if part)
