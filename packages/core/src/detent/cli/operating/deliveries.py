"""`deliveries`: published messages on their way to subscribers, the dead ones among them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import rich_click as click

from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.mending import Asked, asking, mend
from detent.cli.operating.output import ago, json_option, say_whole, show_json, show_table
from detent.service.operator_schemas import DeliveryListView, DeliveryView
from detent.store.messages import Delivery, DeliveryStatus

_SUBSCRIBER = click.option("--subscriber", metavar="NAME", help="To this subscriber.")
_TOPIC = click.option("--topic", metavar="NAME", help="Of this topic.")
_INSTANCE = click.option("--instance", type=click.UUID, metavar="ID", help="Published by this instance.")
_TENANT = click.option("--tenant", metavar="NAME", help="Of this tenant.")


@click.group()
def deliveries() -> None:
    """Published messages on their way to subscribers; a dead one waits for an operator."""


@deliveries.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in DeliveryStatus]),
    help="Of this status. May be repeated.",
)
@_SUBSCRIBER
@_TOPIC
@_INSTANCE
@_TENANT
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@click.option("--after", type=int, metavar="N", help="Go on after this one, the last of an earlier page.")
@json_option
def list_deliveries(
    statuses: tuple[str, ...], tenant: str | None, limit: int, after: int | None, as_json: bool, **where: Any
) -> None:
    """List deliveries in the order they were written, and why they failed."""

    async def find(runtime: Connected) -> tuple[Sequence[Delivery], datetime]:
        asked = runtime.of_tenant(tenant).outbox
        return await asked.list(status=statuses or None, limit=limit, after=after, **where), runtime.now

    found, now = connected(find)
    more = found[-1].number if len(found) == limit else None
    if as_json:
        show_json(DeliveryListView(deliveries=[DeliveryView.model_validate(each) for each in found], after=more))
        return
    rows = [
        (
            each.id,
            each.subscriber,
            each.topic,
            each.status.value,
            ago(each.created_at, now),
            each.attempts,
            (each.error or {}).get("message"),
        )
        for each in found
    ]
    show_table(("ID", "SUBSCRIBER", "TOPIC", "STATE", "WRITTEN", "TRIES", "WHY"), rows, nothing="no delivery was found")
    if more is not None:
        say_whole(f"there may be more: --after {more}")


@deliveries.command()
@asking
@click.option("--all", "every", is_flag=True, help="All that are dead.")
@_SUBSCRIBER
@_TOPIC
@_INSTANCE
@_TENANT
@click.option(
    "--status",
    type=click.Choice([DeliveryStatus.DEAD.value, DeliveryStatus.DELIVERED.value]),
    default=DeliveryStatus.DEAD.value,
    show_default=True,
    help="Of what options find, those of this status.",
)
def replay(
    every: bool,
    subscriber: str | None,
    topic: str | None,
    instance: UUID | None,
    tenant: str | None,
    status: str,
    **given: Any,
) -> None:
    """Make deliveries again, their attempts forgotten: those with these ids, or those that options find."""

    async def find(runtime: Connected, limit: int, after: int | None) -> tuple[Sequence[UUID], int | None]:
        page = await runtime.of_tenant(tenant).outbox.list(
            status=status, subscriber=subscriber, topic=topic, instance=instance, limit=limit, after=after
        )
        return [each.id for each in page], page[-1].number if page else None

    meant = find if every or subscriber or topic or instance or tenant else None
    mend(
        Asked(verb="replay", noun="deliveries", **given),
        meant,
        lambda runtime, ids: runtime.service().outbox.replay(ids),
    )
