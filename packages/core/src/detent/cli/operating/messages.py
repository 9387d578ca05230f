"""`messages`: events that were sent to instances and are kept, the dead ones among them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import rich_click as click

from detent.cli.operating.completion import event_names
from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.mending import Asked, Find, asking, mend
from detent.cli.operating.output import ago, json_option, say_whole, show_json, show_table
from detent.service.operator_schemas import MessageListView, MessageView
from detent.store.messages import InboxMessage

_INSTANCE = click.option("--instance", type=click.UUID, metavar="ID", help="To this instance.")
_EVENT = click.option("--event", metavar="NAME", shell_complete=event_names, help="Of this event.")
_TENANT = click.option("--tenant", metavar="NAME", help="Of this tenant.")
_ALL = click.option("--all", "every", is_flag=True, help="All that are dead.")


@click.group()
def messages() -> None:
    """Events that were sent and are kept until they can be taken; a dead one waits for an operator."""


@messages.command("list")
@click.option("--dead/--not-dead", default=None, help="Only those that were given up, or only those that were not.")
@_INSTANCE
@_EVENT
@_TENANT
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--after", type=int, metavar="N", help="Go on after this one, the last of an earlier page.")
@json_option
def list_messages(
    dead: bool | None,
    instance: UUID | None,
    event: str | None,
    tenant: str | None,
    limit: int,
    after: int | None,
    as_json: bool,
) -> None:
    """List messages in the order of their arrival, and why they were not taken yet."""

    async def find(runtime: Connected) -> tuple[Sequence[InboxMessage], datetime]:
        asked = runtime.of_tenant(tenant).inbox
        return await asked.list(dead=dead, instance=instance, event=event, limit=limit, after=after), runtime.now

    found, now = connected(find)
    more = found[-1].number if len(found) == limit else None
    if as_json:
        show_json(MessageListView(messages=[MessageView.model_validate(each) for each in found], after=more))
        return
    rows = [
        (
            each.id,
            each.instance_id,
            each.event,
            _state(each, now),
            ago(each.created_at, now),
            each.attempts,
            each.reason,
        )
        for each in found
    ]
    show_table(("ID", "TO", "EVENT", "STATE", "SENT", "TRIES", "WHY"), rows, nothing="no message was found")
    if more is not None:
        say_whole(f"there may be more: --after {more}")


@messages.command()
@asking
@_ALL
@_INSTANCE
@_EVENT
@_TENANT
def revive(**given: Any) -> None:
    """Let dead messages be tried again, their attempts forgotten: those with these ids, or the dead ones that options find."""
    find = _dead(given)
    mend(
        Asked(verb="revive", noun="dead messages", **given),
        find,
        lambda runtime, ids: runtime.service().inbox.revive(ids),
    )


@messages.command()
@asking
@_ALL
@_INSTANCE
@_EVENT
@_TENANT
def discard(**given: Any) -> None:
    """Take messages out: those with these ids, dead or not, or the dead ones that options find."""
    find = _dead(given)
    mend(
        Asked(verb="discard", noun="messages", **given), find, lambda runtime, ids: runtime.service().inbox.discard(ids)
    )


def _dead(given: dict[str, Any]) -> Find | None:
    """What finds the dead ones that options mean, if they mean any; these are taken out of `given`."""
    every, tenant, instance, event = (given.pop(name) for name in ("every", "tenant", "instance", "event"))

    async def find(runtime: Connected, limit: int, after: int | None) -> tuple[Sequence[UUID], int | None]:
        asked = runtime.of_tenant(tenant).inbox
        page = await asked.list(dead=True, instance=instance, event=event, limit=limit, after=after)
        return [each.id for each in page], page[-1].number if page else None

    return find if every or tenant or instance or event else None


def _state(message: InboxMessage, now: datetime) -> str:
    if message.dead_at is not None:
        return "dead"
    return "waiting" if message.available_at <= now else f"due {ago(message.available_at, now)}"
