"""`doctor`: whether all is well, and what to do where it is not."""

from collections.abc import Iterator
from datetime import timedelta

import rich_click as click
from click import get_current_context
from click.exceptions import Exit

from detent.cli.operating import findings
from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.output import json_option, say, show_json, show_table
from detent.clock import SystemClock
from detent.runtime.running import Running
from detent.service.operator_schemas import ExaminationView, FindingView
from detent.store.health import Health, Measured
from detent.store.query import InstanceQuery, Order

_NEWEST = Order("created_at", descending=True)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say whether all is well, and what to do where it is not. Exit code 1 when something is to be done."""
    try:
        view = connected(lambda runtime: _examined(runtime, _program()))
    except click.UsageError:
        raise
    except click.ClickException as error:
        view = ExaminationView(ok=False, findings=[findings.of_no_connection(error.message)])
    if as_json:
        show_json(view)
    else:
        show_table(("CHECK", "STATUS", "WHAT"), list(_rows(view)), nothing="nothing was checked")
        say("all is well" if view.ok else "not all is well")
    if not view.ok:
        raise Exit(1)


async def _examined(reached: Connected, program: str) -> ExaminationView:
    running = reached.runtime.running()
    store = running.parts.store
    found = [
        findings.of_health(await store.health() if isinstance(store, Measured) else Health(True, type(store).__name__)),
        await _clocks(running),
    ]
    problems = await reached.runtime.check_versions()
    registered = len(reached.runtime.workflows)
    found += findings.of_versions(problems, registered, database_alone=reached.database_alone)
    found += findings.of_backlog(await store.backlog(now=running.parts.now), running.parts.present, program)
    return ExaminationView(ok=all(each.status == "ok" for each in found), findings=found)


async def _clocks(running: Running) -> FindingView:
    parts = running.parts
    newest: timedelta | None = None
    page = await parts.store.find(InstanceQuery(), order=_NEWEST, limit=1)
    for record in page:
        # A store whose clock is elsewhere learns it from what it reads.
        await parts.store.load(record.id)
        newest = parts.present - record.created_at
    return findings.of_clocks(parts.store.now() - SystemClock().now(), newest)


def _program() -> str:
    """What the user calls to get here: `detent`, or `litestar workflows`."""
    parent = get_current_context().parent
    return "detent" if parent is None else parent.command_path


def _rows(view: ExaminationView) -> Iterator[tuple[object, ...]]:
    for finding in view.findings:
        yield finding.check, finding.status, finding.detail
        if finding.fix is not None:
            yield "", "", f"→ {finding.fix}"
