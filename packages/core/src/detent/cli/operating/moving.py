"""`cancel`, `pause`, `resume`, `force`, `retry`: the verbs of operators, on some instances or on all that options find."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import rich_click as click
from click.exceptions import Exit

from detent.cli.operating.completion import state_names
from detent.cli.operating.connection import NAME_THE_APPLICATION, Connected, connected
from detent.cli.operating.filters import filtering, where_of
from detent.cli.operating.hearers import require_hearers
from detent.cli.operating.json_values import JsonValueType
from detent.cli.operating.output import json_option, say, say_whole, show_json, show_table
from detent.cli.operating.selection import Selection, select
from detent.cli.progress import progress
from detent.cli.terminal import one_line
from detent.errors import DefinitionInvalid
from detent.json_values import JsonObject
from detent.runtime.bulk_verbs import BulkReport, BulkWhere
from detent.runtime.finding_verbs import Where
from detent.service.operator_schemas import BulkView, FailureView
from detent.service.service import WorkflowService

_AT_ONCE = 100
"""How many are done before progress is told."""

Act: TypeAlias = Callable[[WorkflowService, BulkWhere], Awaitable[BulkReport]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What all of these commands take, as click hands it over."""

    verb: str
    ids: tuple[UUID, ...]
    where: Where
    limit: int
    cursor: str | None
    dry_run: bool
    yes: bool
    actor: str | None
    reason: str | None
    as_json: bool


_ASKED = (
    click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID),
    filtering,
    click.option(
        "--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="At most this many."
    ),
    click.option("--cursor", metavar="TEXT", help="Go on where an earlier command stopped."),
    click.option("--dry-run", is_flag=True, help="Only say which instances it would be."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--actor", metavar="NAME", help="Who does it, for history."),
    click.option("--reason", metavar="TEXT", help="Why, for history."),
    json_option,
)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_ASKED):
        command = option(command)
    return command


@click.command()
@_asking
def cancel(**given: Any) -> None:
    """End instances where they stand, and their descendants with them."""
    asked = _asked("cancel", given)
    _do(asked, lambda service, where: service.cancel_instances(reason=asked.reason, **where))


@click.command()
@_asking
def pause(**given: Any) -> None:
    """Stop instances: until they are resumed they take no event and no timeout fires."""
    asked = _asked("pause", given)
    _do(asked, lambda service, where: service.pause_instances(reason=asked.reason, **where))


@click.command()
@_asking
def resume(**given: Any) -> None:
    """Let paused instances go on."""
    asked = _asked("resume", given)
    _do(asked, lambda service, where: service.resume_instances(reason=asked.reason, **where))


@click.command()
@_asking
@click.option(
    "--to", "state", required=True, metavar="STATE", shell_complete=state_names, help="The state that is entered."
)
@click.option("--context", type=JsonValueType(), metavar="JSON", help="Written to the context: JSON, @FILE, or -.")
def force(state: str, context: JsonObject | None, **given: Any) -> None:
    """Put instances into a state, whatever their definition allows; no guard is asked."""
    asked = _asked("force", given)
    _do(
        asked,
        lambda service, where: service.force_instances(state, put=context, reason=asked.reason, **where),
        steps=True,
    )


@click.command()
@_asking
def retry(**given: Any) -> None:
    """Let instances take again what went wrong last: a parked run, a timeout tried in vain, a refused or failed event."""
    asked = _asked("retry", given)
    _do(asked, lambda service, where: service.retry_instances(**where), steps=True)


def _asked(verb: str, given: dict[str, Any]) -> Asked:
    asked = Asked(verb=verb, where=where_of(given), **given)
    if not asked.ids and not asked.where:
        raise click.UsageError(f"{verb} which instances? Give their ids, or options such as --workflow and --state.")
    return asked


def _do(asked: Asked, act: Act, *, steps: bool = False) -> None:
    view = connected(lambda runtime: _done(runtime, asked, act, steps=steps))
    if asked.as_json:
        show_json(view)
    else:
        _show(view)
    if view.failed:
        raise Exit(1)


async def _done(runtime: Connected, asked: Asked, act: Act, *, steps: bool) -> BulkView:
    service = runtime.service(actor=asked.actor, reason=asked.reason if asked.verb == "retry" else None)
    selected = await select(service, asked.ids, asked.where, limit=asked.limit, cursor=asked.cursor)
    failed = [
        FailureView(instance_id=each, code="instance_not_found", message="there is no such instance among those meant")
        for each in selected.missing
    ]
    view = BulkView(
        verb=asked.verb, dry_run=asked.dry_run, changed=[], unchanged=[], failed=failed, cursor=selected.cursor
    )
    if asked.dry_run:
        view.changed = [each.id for each in selected.instances]
        return view
    if not selected.instances:
        return view
    if steps:
        # A parked run goes on without a step here.
        await require_hearers(
            runtime, [each for each in selected.instances if asked.verb != "retry" or not each.run_id]
        )
    if not asked.yes:
        click.echo(one_line(f"{asked.verb} {selected}"), err=True)
        click.confirm("Go on?", abort=True, err=True)
    await _perform(service, asked, act, selected, view, database_alone=runtime.database_alone)
    return view


async def _perform(
    service: WorkflowService, asked: Asked, act: Act, selected: Selection, view: BulkView, *, database_alone: bool
) -> None:
    ids = [each.id for each in selected.instances]
    with progress(asked.verb, len(ids), quiet=asked.as_json) as advance:
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            where: dict[str, Any] = {**asked.where, "ids": part, "limit": len(part)}
            _add(view, await act(service, BulkWhere(**where)), part, database_alone=database_alone)  # type: ignore[typeddict-item]
            advance(len(part))


def _add(view: BulkView, report: BulkReport, part: Sequence[UUID], *, database_alone: bool) -> None:
    view.changed += report.changed
    view.unchanged += report.unchanged
    for failure in report.failed:
        unknown_here = database_alone and failure.code == DefinitionInvalid.code
        message = f"{failure.message} ({NAME_THE_APPLICATION})" if unknown_here else failure.message
        view.failed.append(FailureView(instance_id=failure.instance_id, code=failure.code, message=message))
    told = {*report.changed, *report.unchanged, *(failure.instance_id for failure in report.failed)}
    view.failed += [
        FailureView(instance_id=each, code="moved_on", message="it has moved on and is not among those meant any more")
        for each in part
        if each not in told
    ]


def _show(view: BulkView) -> None:
    done = f"would {view.verb}" if view.dry_run else "done"
    rows: list[tuple[object, ...]] = [(each, done, "") for each in view.changed]
    rows += [(each, "was so already", "") for each in view.unchanged]
    rows += [(failure.instance_id, "failed", f"{failure.code}: {failure.message}") for failure in view.failed]
    show_table(("INSTANCE", "WHAT", "WHY"), rows, nothing="no instance was found")
    if len(rows) > 1:
        counts = (f"{len(view.changed)} {done}", f"{len(view.unchanged)} so already", f"{len(view.failed)} failed")
        say(f"{view.verb}: {', '.join(counts)}")
    if view.cursor is not None:
        say_whole(f"there are more: --cursor {view.cursor}")
