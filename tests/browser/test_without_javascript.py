"""Without JavaScript everything can still be done: pages are enhanced, and do not depend on it."""

from tests.browser.conftest import Visiting
from tests.browser.demo import Demo


async def test_an_order_is_made_moved_and_paused(visit: Visiting):
    async with visit(java_script_enabled=False) as visitor:
        await visitor.goes("/definition?workflow=order")
        await visitor.page.get_by_label("context").fill('{"customer": "Ada", "address": "London"}')
        await visitor.page.get_by_role("button", name="Make").click()
        await visitor.stands_in("new")
        await visitor.event("PaymentReceived")
        await visitor.stands_in("exportable")
        await visitor.page.get_by_text("As a list").click()
        await visitor.listed_in("exportable")
        await visitor.page.get_by_text("Pause", exact=True).first.click()
        await visitor.confirms(visitor.page.get_by_role("form", name="Pause"), "no script")
        await visitor.says("The instance is paused.")


async def test_parked_work_is_chosen_one_by_one_and_tried_again(visit: Visiting, demo: Demo):
    parked = await demo.park()
    async with visit(java_script_enabled=False) as visitor:
        await visitor.goes("/parked")
        await visitor.page.get_by_label(f"Choose {parked.id}").check()
        await visitor.confirms(visitor.page.get_by_role("form", name="Try again"), "the gate is open")
        await visitor.says("1 tried again.")
    assert (await demo.runtime.get_instance(parked)).state == "collected"


async def test_what_is_refused_is_told(visit: Visiting, demo: Demo):
    made = await demo.announce()
    async with demo.closed(), visit(java_script_enabled=False) as visitor:
        await visitor.goes(f"/instances/{made.id}")
        with visitor.turned_down(409):
            await visitor.event("Arrive", Condition="used", Items="1")
            await visitor.says("'Arrive' was refused: the warehouse is closed today")
