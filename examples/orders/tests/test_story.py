"""The story and the seeds, on both databases."""

from datetime import timedelta

from detent.testing.clock import FakeClock
from examples.orders.app import create_app
from examples.orders.client import shop_inside
from examples.orders.seed import SEEDS, seed
from examples.orders.storage import Storage
from examples.orders.story import Story, main

TOLD = """\
  1  Ada Lovelace orders  → new
  2  PaymentReceived      → exportable
  3  Export               → export_failed  the warehouse is closed today
  4  RetryExport          → exportable
  5  Export               → in_transit     handed to the warehouse
  6  Deliver              → delivered
  7  14 days pass         → closed         by itself
  8  Grace Hopper orders  → new
  9  Cancel               → cancelled"""


async def test_the_story_goes_through_every_state_and_tells_each_step(storage: Storage, clock: FakeClock):
    told: list[str] = []
    app = create_app(storage, clock=clock, sweep_every=timedelta(milliseconds=20))
    async with shop_inside(app) as shop:
        await Story(shop, clock, told.append).tell()
    assert "\n".join(told) == TOLD


async def test_the_story_runs_as_a_script(database: str, capsys):
    await main(database)
    assert capsys.readouterr().out == f"{TOLD}\n"


async def test_the_seeded_orders_are_in_the_states_they_are_for(storage: Storage):
    orders = await seed(storage)
    async with shop_inside(create_app(storage, sweep_every=None)) as shop:
        states = {state: (await shop.order(order_id))["state"] for state, order_id in orders.items()}
    assert states == {state: state for state in SEEDS}
