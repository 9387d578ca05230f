"""`list`, `parked`, `definitions`: which instances and versions there are."""

from datetime import datetime
from typing import Any
from uuid import UUID

import rich_click as click

from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.filters import filtering, filtering_parked, where_of
from detent.cli.operating.output import ago, json_option, say_whole, show_json, show_table
from detent.runtime.finding_verbs import InstancePage
from detent.service.operator_schemas import DefinitionListView, InstanceListView, VersionView
from detent.service.service import WorkflowService
from detent.store.records import WorkflowInstance

_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
_CURSOR = click.option("--cursor", metavar="TEXT", help="Go on where an earlier page ended.")


@click.command("list")
@filtering
@click.option(
    "--order", default="-created_at", show_default=True, metavar="KEY", help="Sort by this; - is latest first."
)
@_LIMIT
@_CURSOR
@json_option
def list_instances(order: str, limit: int, cursor: str | None, as_json: bool, **given: Any) -> None:
    """List instances, the newest first.

    KEY is id, created_at, updated_at, entered_at, due_at, finished_at or parked_at.
    """
    where = where_of(given)

    async def find(runtime: Connected) -> tuple[InstancePage, datetime]:
        page = await runtime.service().find_instances(order=order, limit=limit, cursor=cursor, **where)
        return page, runtime.now

    page, now = connected(find)
    columns = ("INSTANCE", "WORKFLOW", "STATE", "STATUS", "UPDATED", "DUE")
    _show(page, as_json, columns, lambda each: _row(each, now), "no instance was found")


@click.command()
@filtering_parked
@_LIMIT
@_CURSOR
@json_option
def parked(limit: int, cursor: str | None, as_json: bool, **given: Any) -> None:
    """List instances that wait for an operator, the longest waiting first, and why."""
    where = where_of(given)

    async def find(runtime: Connected) -> tuple[InstancePage, dict[UUID, str], datetime]:
        service = runtime.service()
        page = await service.find_parked(limit=limit, cursor=cursor, **where)
        told = () if as_json else page
        return page, {each.id: await _why_parked(service, each) for each in told}, runtime.now

    page, reasons, now = connected(find)
    columns = ("INSTANCE", "WORKFLOW", "STATE", "SINCE", "WHY")
    _show(
        page,
        as_json,
        columns,
        lambda each: (each.id, each.workflow, each.state, ago(each.parked_at, now), reasons[each.id]),
        "nothing is parked",
    )


@click.command()
@json_option
def definitions(as_json: bool) -> None:
    """List the stored versions of all workflows, and how many instances are on them."""
    view = connected(_definitions)
    if as_json:
        show_json(view)
        return
    rows = [
        (each.workflow, each.version, each.live, each.total, "yes" if each.registered else "no", each.registered_at)
        for each in view.definitions
    ]
    show_table(("WORKFLOW", "VERSION", "LIVE", "TOTAL", "REGISTERED", "SINCE"), rows, nothing="no definition is stored")


async def _definitions(runtime: Connected) -> DefinitionListView:
    service = runtime.service()
    stored = await runtime.runtime.store.list_definitions(None)
    found = []
    for workflow in sorted({snapshot.workflow for snapshot in stored}):
        for version in await service.list_versions(workflow):
            fields = {name: getattr(version, name) for name in VersionView.model_fields if name != "workflow"}
            found.append(VersionView(workflow=workflow, **fields))
    return DefinitionListView(definitions=found)


async def _why_parked(service: WorkflowService, instance: WorkflowInstance) -> str:
    timers = [f"{timer.event}: {timer.reason or 'tried in vain'}" for timer in instance.timers if timer.parked]
    if timers or instance.run_id is None:
        return "; ".join(timers)
    run = await service.runs.get(instance.run_id)
    return f"run of {run.event}: {run.reason or 'no reason was given'}"


def _row(each: WorkflowInstance, now: datetime) -> tuple[object, ...]:
    status = "parked" if each.parked_at else each.status.value
    return each.id, each.workflow, each.state, status, ago(each.updated_at, now), ago(each.due_at, now)


def _show(page: InstancePage, as_json: bool, columns: tuple[str, ...], row: Any, nothing: str) -> None:
    if as_json:
        show_json(InstanceListView.model_validate(page))
        return
    show_table(columns, [row(each) for each in page], nothing=nothing)
    if page.cursor is not None:
        say_whole(f"there are more: --cursor {page.cursor}")
