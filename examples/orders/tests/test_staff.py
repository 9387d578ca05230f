"""What the staff see and mend: pages for this machine alone, returns that wait for the gate, and rounds by the clock."""

from datetime import timedelta

import httpx
from litestar import Litestar

from detent.testing.clock import FakeClock
from detent_litestar import WorkflowPlugin
from examples.orders.app import create_app
from examples.orders.client import shop_inside
from examples.orders.rounds import morning_rounds
from examples.orders.seed import seed
from examples.orders.storage import Storage


async def test_the_pages_are_for_this_machine_alone(app: Litestar):
    async with shop_inside(app) as shop:
        order = await shop.place("Ada Lovelace", "London")
        assert "exportable" in await shop.page(f"/ops/instances/{order['id']}")
        stranger = httpx.ASGITransport(app, client=("203.0.113.7", 1))  # type: ignore[arg-type]  # as in shop_inside
        async with httpx.AsyncClient(base_url="http://shop", transport=stranger) as outside:
            assert [(await outside.get(path)).status_code for path in ("/ops/", "/ops/schedules")] == [403, 403]
            assert (await outside.get(f"/ops/instances/{order['id']}")).status_code == 404


async def test_a_return_is_taken_in_while_the_gate_is_open(app: Litestar):
    async with shop_inside(app) as shop:
        runtime = app.plugins.get(WorkflowPlugin).runtime
        made = await runtime.create_instance("return")
        arrival = {"condition": "used", "items": 1}
        await shop.open_warehouse(is_open=False)
        refused = await runtime.trigger_event(made, "Arrive", payload=arrival)
        assert (refused.outcome, refused.reason) == ("refused", "the warehouse is closed today")
        await shop.open_warehouse(is_open=True)
        taken = await runtime.trigger_event(made, "Arrive", payload=arrival)
        assert (taken.to_state, taken.instance.context) == ("inspected", {"arrival": arrival})


async def test_the_seeded_return_waits_for_somebody_and_can_be_tried_again(storage: Storage):
    await seed(storage)
    app = create_app(storage, sweep_every=None)
    async with shop_inside(app) as shop:
        runtime = app.plugins.get(WorkflowPlugin).runtime
        [parked] = await runtime.find_parked()
        assert "the warehouse is closed today" in await shop.page("/ops/parked")
        assert (await runtime.retry(parked)).to_state == "collected"


async def test_every_morning_somebody_looks_at_the_gate(storage: Storage, clock: FakeClock):
    app = create_app(storage, clock=clock, sweep_every=timedelta(milliseconds=20))
    async with shop_inside(app) as shop:
        plugin = app.plugins.get(WorkflowPlugin)
        trigger = await plugin.triggers.get(morning_rounds.name)
        assert (trigger.state, trigger.trigger) == ("enabled", morning_rounds)
        fired = await plugin.triggers.fire(trigger.id)
        walked = await plugin.runtime.wait(fired.execution_id, "completed", timeout=20)
        assert walked.context["gate"] == {"open": True}
        assert str(fired.execution_id) in await shop.page(f"/ops/schedules/{trigger.id}")
