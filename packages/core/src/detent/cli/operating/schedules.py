"""`schedules`: what starts flows by the clock, by a call, or by a message; and its switches."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import rich_click as click

from detent.cli.operating.completion import trigger_names
from detent.cli.operating.connection import Connected
from detent.cli.operating.json_values import JsonValueType
from detent.cli.operating.output import (
    ago,
    in_json,
    instant,
    json_option,
    say,
    say_whole,
    show_fields,
    show_json,
    show_table,
)
from detent.cli.operating.triggers import (
    over_triggers,
    require_application,
    require_triggers,
    triggers_of,
    view_of,
    when_told,
)
from detent.json_values import JsonValue
from detent.service.http.trigger_views import FiredView, InvocationView
from detent.service.operator_schemas import ScheduleDetailView, ScheduleHistoryView, ScheduleListView, ScheduleView
from detent.service.registered_trigger import RegisteredTrigger
from detent.service.trigger_firing import Fired
from detent.service.trigger_log import Invocation
from detent.service.triggers import TriggerService

_NAME = click.argument("name", metavar="NAME", shell_complete=trigger_names)
_TENANT = click.option("--tenant", metavar="NAME", help="Whose trigger it is.")
_SWITCHING = (
    _NAME,
    click.option("--actor", metavar="NAME", help="Who does it, for history."),
    click.option("--reason", metavar="TEXT", help="Why, for history."),
    _TENANT,
    json_option,
)


@click.group()
def schedules() -> None:
    """Look at triggers and switch them: what starts flows by the clock, by a call, or by a message.

    NAME is a trigger's name, or its id.
    """


@schedules.command("list")
@click.option("--kind", type=click.Choice(["cron", "http", "event"]), help="Only of this kind.")
@click.option("--flow", metavar="NAME", help="Only those that start this flow.")
@click.option(
    "--state",
    type=click.Choice(["enabled", "disabled", "paused", "deleted"]),
    help="Only those in this state; deleted ones are listed by it alone.",
)
@_TENANT
@json_option
def list_schedules(tenant: str | None, as_json: bool, **wanted: str | None) -> None:
    """List triggers: when each fires, in which state it is, and how often it failed."""

    async def find(runtime: Connected) -> tuple[list[ScheduleView], datetime]:
        asked = triggers_of(runtime, tenant)
        return [view_of(each, await asked.statistics(each.id)) for each in await asked.list(**wanted)], runtime.now

    found, now = over_triggers(find)
    if as_json:
        show_json(ScheduleListView(schedules=found))
        return
    rows: list[tuple[object, ...]] = [
        (
            each.name,
            when_told(each),
            "parked" if each.parked else each.state,
            ago(each.last_at, now),
            ago(each.next_at, now),
            each.failures or None,
        )
        for each in found
    ]
    columns = ["NAME", "FIRES", "STATE", "LAST", "NEXT", "FAILURES"]
    if any(each.tenant for each in found):
        # Names are of one tenant, so that only both tell one from another.
        columns.append("TENANT")
        rows = [(*row, each.tenant) for row, each in zip(rows, found, strict=True)]
    show_table(columns, rows, nothing="no trigger was found")


@schedules.command()
@_NAME
@_TENANT
@json_option
def show(name: str, tenant: str | None, as_json: bool) -> None:
    """Show a trigger as it was written, and what came of it."""

    async def look(runtime: Connected) -> ScheduleDetailView:
        asked = triggers_of(runtime, tenant)
        found = await asked.get(name)
        counted = await asked.statistics(found.id)
        written = found.trigger.model_dump(mode="json", exclude_defaults=True)
        seen = view_of(found, counted).model_dump()
        return ScheduleDetailView(**seen, by_status=dict(counted.by_status), written=written)

    view = over_triggers(look)
    if as_json:
        show_json(view)
        return
    show_fields(
        [
            ("trigger", view.name),
            ("id", view.id),
            ("fires", when_told(view)),
            ("flow", view.flow + (f" v{view.flow_version}" if view.flow_version else "")),
            ("state", view.state),
            ("parked", view.parked),
            ("last", view.last_at),
            ("next", view.next_at),
            ("invocations", ", ".join(f"{count} {status}" for status, count in view.by_status.items())),
            ("executions", view.executions),
            ("tenant", view.tenant),
            ("created", view.created_at),
            ("written", in_json(view.written)),
        ]
    )


@schedules.command()
@_NAME
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--before", type=click.IntRange(min=1), metavar="N", help="Only invocations before this one.")
@_TENANT
@json_option
def history(name: str, limit: int, before: int | None, tenant: str | None, as_json: bool) -> None:
    """Show when a trigger was fired or called, and what came of it, the newest first."""

    async def look(runtime: Connected) -> Sequence[Invocation]:
        return await triggers_of(runtime, tenant).history(name, limit=limit, before=before)

    found = over_triggers(look)
    more = found[-1].sequence if len(found) == limit else None
    if as_json:
        show_json(ScheduleHistoryView(invocations=[InvocationView.model_validate(each) for each in found], before=more))
        return
    rows = [(each.sequence, each.at, each.source, each.status, _told(each)) for each in found]
    show_table(("#", "WHEN", "SOURCE", "STATUS", "EXECUTIONS OR WHY"), rows, nothing="it was never invoked")
    if more is not None:
        say_whole(f"there may be more: --before {more}")


def _switching(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_SWITCHING):
        command = option(command)
    return command


@schedules.command()
@_switching
def enable(**given: Any) -> None:
    """Let a trigger work from now on; what fell due while it did not is not made up for."""
    _switch(lambda triggers: triggers.enable(given["name"]), **given)


@schedules.command()
@_switching
def disable(**given: Any) -> None:
    """Switch a trigger off: calls are turned away, messages and instants pass by."""
    _switch(lambda triggers: triggers.disable(given["name"]), **given)


@schedules.command()
@_switching
def pause(**given: Any) -> None:
    """Hold a trigger; for what it misses until it is resumed, its misfire policy says what becomes of it."""
    _switch(lambda triggers: triggers.pause(given["name"], given["reason"]), **given)


@schedules.command()
@_switching
def resume(**given: Any) -> None:
    """Let a paused trigger go on."""
    _switch(lambda triggers: triggers.resume(given["name"]), **given)


@schedules.command()
@_switching
@click.option("--payload", type=JsonValueType(), metavar="JSON", help="What it is called with: JSON, @FILE, or -.")
@click.option(
    "--idempotency-key", metavar="TEXT", help="Under this key it starts one execution, however often it is asked."
)
def fire(
    name: str,
    payload: JsonValue,
    idempotency_key: str | None,
    actor: str | None,
    reason: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    """Start a trigger's flow now, whatever kind it is; the application has to be there."""

    async def start(runtime: Connected) -> Fired:
        require_application(runtime)
        require_triggers(runtime)
        asked = triggers_of(runtime, tenant, actor=actor, reason=reason)
        return await asked.fire(name, payload, idempotency_key=idempotency_key)

    fired = over_triggers(start)
    if as_json:
        show_json(FiredView.model_validate(fired))
    else:
        say(f"{name} {'started' if fired.created else 'had started'} execution {fired.execution_id}")


def _switch(
    act: Callable[[TriggerService], Awaitable[RegisteredTrigger]],
    *,
    name: str,
    actor: str | None,
    reason: str | None,
    tenant: str | None,
    as_json: bool,
) -> None:
    async def done(runtime: Connected) -> ScheduleView:
        require_triggers(runtime)
        asked = triggers_of(runtime, tenant, actor=actor, reason=reason)
        switched = await act(asked)
        return view_of(switched, await asked.statistics(switched.id))

    view = over_triggers(done)
    if as_json:
        show_json(view)
    else:
        say(f"{name} is {view.state}" + (f", next at {instant(view.next_at)}" if view.next_at else ""))


def _told(each: Invocation) -> str:
    """What it started, or why it started nothing."""
    if each.executions:
        return ", ".join(map(str, each.executions))
    wrong = "; ".join(f"{error.path}: {error.message}" if error.path else error.message for error in each.errors)
    return wrong or str((each.error or {}).get("message", ""))
