"""`show`, `history`, `events`: one instance, what happened to it, and what it could do now."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import rich_click as click

from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.output import ago, in_json, json_option, say, say_whole, show_fields, show_json, show_table
from detent.runtime.availability import AvailableEvent
from detent.runtime.explanation import Explanation
from detent.service.operator_schemas import EventListView, ExplainedView, HistoryView
from detent.service.schemas import EventView, HistoryEntryView, InstanceView
from detent.store.records import HistoryEntry

_SIGNS = {"add": "+", "replace": "", "remove": "-"}
_PATHS = 5
"""How many changed paths a row of the history names."""
_INSTANCE = click.argument("instance", metavar="ID", type=click.UUID)


@click.command()
@_INSTANCE
@json_option
def show(instance: UUID, as_json: bool) -> None:
    """Show an instance: what it is, where it stands and why, and what holds it up."""

    async def look(runtime: Connected) -> Explanation:
        return await runtime.service().explain(instance)

    explained = connected(look)
    if as_json:
        fields = InstanceView.model_validate(explained.instance).model_dump()
        show_json(ExplainedView(**fields, explanation=list(explained.sentences), problems=list(explained.problems)))
        return
    _show(explained)


@click.command()
@_INSTANCE
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many entries.")
@click.option("--before", type=click.IntRange(min=1), metavar="N", help="Only entries before this one.")
@json_option
def history(instance: UUID, limit: int, before: int | None, as_json: bool) -> None:
    """Show what happened to an instance, the newest first."""

    async def look(runtime: Connected) -> Sequence[HistoryEntry]:
        return await runtime.service().get_history(instance, limit=limit, before=before)

    entries = connected(look)
    more = entries[-1].sequence if entries and entries[-1].sequence > 1 and len(entries) == limit else None
    if as_json:
        show_json(HistoryView(entries=[HistoryEntryView.model_validate(entry) for entry in entries], before=more))
        return
    _show_entries(entries)
    if more is not None:
        say_whole(f"there are more: --before {more}")


@click.command()
@_INSTANCE
@json_option
def events(instance: UUID, as_json: bool) -> None:
    """Show the events that an instance could take now, each with what its guards say."""

    async def look(runtime: Connected) -> tuple[list[AvailableEvent], datetime]:
        return await runtime.service().get_available_events(instance), runtime.now

    found, now = connected(look)
    if as_json:
        show_json(EventListView(events=[EventView.model_validate(event) for event in found]))
        return
    rows = [
        (event.name, "yes" if event.available else "no", _leads_to(event), ago(event.due_at, now), event.reason)
        for event in found
    ]
    show_table(
        ("EVENT", "POSSIBLE", "TO", "BY ITSELF", "WHY NOT"),
        rows,
        nothing="it takes no event: its state declares none, or it is not active",
    )


def _show(explained: Explanation) -> None:
    instance = explained.instance
    show_fields(
        [
            ("instance", instance.id),
            ("workflow", f"{instance.workflow} v{instance.definition_version}"),
            ("state", instance.state),
            ("status", instance.status.value),
            ("version", instance.version),
            ("tenant", instance.tenant),
            ("parent", instance.parent_id),
            ("run", instance.run_id),
            ("created", instance.created_at),
            ("updated", instance.updated_at),
            ("due", instance.due_at),
            ("parked", instance.parked_at),
            ("finished", instance.finished_at),
            ("metadata", in_json(instance.metadata) if instance.metadata else None),
            ("context", in_json(instance.context) if instance.context else None),
        ]
    )
    click.echo()
    for sentence in explained.sentences:
        say(sentence)


def _show_entries(entries: Sequence[HistoryEntry]) -> None:
    columns: tuple[str, ...] = ("#", "WHEN", "EVENT", "STATE", "OUTCOME", "BY AND WHY")
    rows: list[tuple[object, ...]] = [
        (entry.sequence, entry.created_at, entry.event, _way(entry), entry.outcome.value, _told(entry))
        for entry in entries
    ]
    if any(entry.changes for entry in entries):
        columns = (*columns, "CHANGED")
        rows = [(*row, _changed(entry)) for row, entry in zip(rows, entries, strict=True)]
    show_table(columns, rows, nothing="no entry is left")


def _changed(entry: HistoryEntry) -> str:
    """The paths that changed, with a sign before what was added or removed."""
    changes = entry.changes or ()
    paths = [_SIGNS[change.op] + (change.path or "too many paths to tell") for change in changes[:_PATHS]]
    left = len(changes) - len(paths)
    return " ".join([*paths, f"and {left} more"] if left else paths)


def _way(entry: HistoryEntry) -> str:
    moved = entry.from_state not in (None, entry.to_state)
    return f"{entry.from_state} → {entry.to_state}" if moved else entry.to_state


def _told(entry: HistoryEntry) -> str:
    said = entry.trigger_metadata
    by = said.get("actor") or said.get("source")
    error = None if entry.error is None else entry.error.get("message")
    reason = entry.reason or error or said.get("reason")
    return ": ".join(str(part) for part in (by, reason) if part)


def _leads_to(event: AvailableEvent) -> str:
    targets = [*event.branches, *([] if event.target is None else [event.target])]
    return " or ".join(dict.fromkeys(targets)) or "stays"
