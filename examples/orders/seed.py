"""Orders for a shop to look at, in several states; they were placed two weeks ago."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from detent.testing.clock import FakeClock
from examples.orders.app import create_app
from examples.orders.client import Shop, shop_inside
from examples.orders.storage import Storage

LEFT = timedelta(seconds=30)
"""How long after seeding the delivered order closes by itself."""


@dataclass(frozen=True, slots=True)
class Seed:
    """An order and what happens to it."""

    customer: str
    address: str
    events: tuple[str, ...] = ()
    warehouse_open: bool = True


SEEDS: Mapping[str, Seed] = {
    "new": Seed("Ada Lovelace", "12 St James's Square, London"),
    "exportable": Seed("Emmy Noether", "Hauptstraße 23, Erlangen", ("PaymentReceived",)),
    "export_failed": Seed("Alan Turing", "Bletchley Park", ("PaymentReceived", "Export"), warehouse_open=False),
    "in_transit": Seed("Katherine Johnson", "Hampton, Virginia", ("PaymentReceived", "Export")),
    "delivered": Seed("Barbara Liskov", "Cambridge, Massachusetts", ("PaymentReceived", "Export", "Deliver")),
    "cancelled": Seed("Grace Hopper", "Arlington, Virginia", ("Cancel",)),
}
"""One order for each state worth looking at."""


async def seed(storage: Storage) -> dict[str, str]:
    """Place the orders of `SEEDS` in `storage`; answers their ids by state."""
    two_weeks_ago = FakeClock(datetime.now(UTC) - timedelta(days=14) + LEFT)
    async with shop_inside(create_app(storage, clock=two_weeks_ago, sweep_every=None)) as shop:
        return {state: await _place(shop, each) for state, each in SEEDS.items()}


async def _place(shop: Shop, wanted: Seed) -> str:
    order_id = str((await shop.place(wanted.customer, wanted.address))["id"])
    await shop.open_warehouse(is_open=wanted.warehouse_open)
    for event in wanted.events:
        await shop.trigger(order_id, event)
    await shop.open_warehouse(is_open=True)
    return order_id
