"""Orders for a shop to look at, in several states, placed two weeks ago; and returns, one of which waits for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from detent import WorkflowRuntime
from detent.testing.clock import FakeClock
from detent_litestar import WorkflowPlugin
from examples.orders.app import Partners, create_app
from examples.orders.client import Shop, shop_inside
from examples.orders.storage import Storage
from examples.orders.warehouse import Warehouse

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
    """Place the orders of `SEEDS` in `storage`, and announce returns; answers the ids of the orders by state."""
    two_weeks_ago, partners = FakeClock(datetime.now(UTC) - timedelta(days=14) + LEFT), Partners()
    app = create_app(storage, partners=partners, clock=two_weeks_ago, sweep_every=None)
    async with shop_inside(app) as shop:
        orders = {state: await _place(shop, each) for state, each in SEEDS.items()}
        await _announce_returns(app.plugins.get(WorkflowPlugin).runtime, partners.warehouse, two_weeks_ago)
        return orders


async def _announce_returns(runtime: WorkflowRuntime, warehouse: Warehouse, clock: FakeClock) -> None:
    """One that the courier was not let in for, and two of yesterday, of each version."""
    warehouse.open = False
    parked = await runtime.create_instance("return", version="1", context={"customer": "Barbara Liskov"})
    clock.advance(days=2)
    while (await runtime.get_instance(parked)).parked_at is None:
        await runtime.process_timeouts()
        clock.advance(minutes=30)
    warehouse.open = True
    clock.advance(days=11)
    for version, customer in (("1", "Alan Turing"), ("2", "Katherine Johnson")):
        await runtime.create_instance("return", version=version, context={"customer": customer})


async def _place(shop: Shop, wanted: Seed) -> str:
    order_id = str((await shop.place(wanted.customer, wanted.address))["id"])
    await shop.open_warehouse(is_open=wanted.warehouse_open)
    for event in wanted.events:
        await shop.trigger(order_id, event)
    await shop.open_warehouse(is_open=True)
    return order_id
