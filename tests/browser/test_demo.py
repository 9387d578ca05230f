"""What an operator does in a browser, at the running demo."""

import json

from tests.browser.demo import Demo
from tests.browser.visitor import Visitor


async def test_an_order_is_made_and_an_event_moves_it_in_the_diagram(visitor: Visitor):
    await visitor.goes("/definition?workflow=order")
    await visitor.page.get_by_label("context").fill('{"customer": "Ada", "address": "London"}')
    await visitor.page.get_by_role("button", name="Make").click()
    await visitor.says("The instance was made.")
    await visitor.drawn_in("new")
    await visitor.event("PaymentReceived")
    await visitor.says("The event was taken.")
    await visitor.stands_in("exportable")
    await visitor.drawn_in("exportable")


async def test_a_diagram_is_looked_at_by_itself(visitor: Visitor):
    await visitor.goes("/definition?workflow=order")
    await visitor.page.get_by_role("link", name="The diagram by itself").click()
    await visitor.page.locator("#picture svg").get_by_text("export_failed").first.wait_for()
    await visitor.shoot("diagram")


async def test_an_open_page_shows_what_somebody_else_does(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    await visitor.goes(f"/instances/{made.id}")
    await demo.runtime.trigger_event(made, "Withdraw")
    await visitor.stands_in("withdrawn")
    await visitor.drawn_in("withdrawn")


async def test_who_is_typing_is_only_told_that_it_moved(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    await visitor.goes(f"/instances/{made.id}")
    await visitor.page.get_by_label("Note").fill("half a sen")
    await demo.runtime.trigger_event(made, "Withdraw")
    await visitor.says("The instance has moved on.")
    assert await visitor.page.get_by_label("Note").input_value() == "half a sen"


async def test_an_event_is_refused_with_a_reason_and_what_was_typed_stays(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    async with demo.closed():
        await visitor.goes(f"/instances/{made.id}")
        await visitor.says("Would be refused: the warehouse is closed today")
        with visitor.turned_down(409):
            await visitor.event("Arrive", Condition="used", Items="2", Note="a scratch")
            await visitor.says("'Arrive' was refused: the warehouse is closed today")
        await visitor.drawn_in("announced")
        await visitor.shoot("refused")
        assert await visitor.page.get_by_label("Note").input_value() == "a scratch"
    await visitor.event("Arrive")
    await visitor.stands_in("refunded")


async def test_the_next_timeout_counts_down(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    await visitor.goes(f"/instances/{made.id}")
    await visitor.page.locator("time[data-countdown]").filter(has_text="1 d 23 h").wait_for()


async def test_a_form_has_a_field_for_each_kind_of_value(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    await visitor.goes(f"/instances/{made.id}")
    damage = json.dumps({"place": "the lid"})
    await visitor.event(
        "Arrive", Condition="damaged", Items="1", Refund="12.5", Complete="no", Note="a dent", Damage=damage
    )
    await visitor.says("The event was taken.")
    assert (await demo.runtime.get_instance(made)).context["arrival"] == {
        "condition": "damaged",
        "items": 1,
        "refund": 12.5,
        "complete": False,
        "note": "a dent",
        "damage": {"place": "the lid"},
    }


async def test_parked_work_is_tried_again_in_bulk(visitor: Visitor, demo: Demo):
    parked = [await demo.park() for _ in range(2)]
    await visitor.goes("/")
    await visitor.page.get_by_role("link", name="Parked work").click()
    await visitor.says("the warehouse is closed today")
    await visitor.page.get_by_label("Choose all").check()
    await visitor.confirms(visitor.page.get_by_role("form", name="Try again"), "the gate is open")
    await visitor.says("tried again.")
    await visitor.says("Nothing waits for anybody.")
    for one in parked:
        assert (await demo.runtime.get_instance(one)).state == "collected"
        assert (await demo.runtime.get_history(one, limit=1))[0].trigger_metadata["reason"] == "the gate is open"


async def test_an_upgrade_is_tried_dry(visitor: Visitor, demo: Demo):
    made = await demo.announce(version="1")
    await visitor.goes("/definition?workflow=return")
    await visitor.page.get_by_role("link", name="What an upgrade would do").click()
    await visitor.says("What v2 says otherwise than v1")
    await visitor.page.get_by_role("link", name=str(made.id)).wait_for()
    await visitor.page.get_by_label("States that are called otherwise").fill('{"announced": "collected"}')
    await visitor.page.get_by_role("button", name="Plan").click()
    await visitor.says("v1 announced → v2 collected")
    assert (await demo.runtime.get_instance(made)).definition_version == "1"


async def test_a_search_finds_one_among_many(visitor: Visitor, demo: Demo):
    made = await demo.runtime.create_instance("return", version="2", context={"customer": "Hypatia"})
    await visitor.goes("/")
    await visitor.page.get_by_role("link", name="Instances", exact=True).click()
    await visitor.page.get_by_label("Context contains").fill('{"customer": "Hypatia"}')
    await visitor.page.get_by_role("button", name="Search").click()
    await visitor.page.get_by_role("link", name=str(made.id)).click()
    await visitor.stands_in("announced")


async def test_an_operators_verb_wants_a_reason(visitor: Visitor, demo: Demo):
    made = await demo.announce()
    await visitor.goes(f"/instances/{made.id}")
    await visitor.page.get_by_text("Pause", exact=True).first.click()
    form = visitor.page.get_by_role("form", name="Pause")
    await form.get_by_role("button").click()
    assert await form.get_by_label("Reason").evaluate("it => it.matches(':invalid')")
    await visitor.confirms(form, "for the auditors")
    await visitor.says("The instance is paused.")
    await visitor.page.get_by_role("list").filter(has_text="for the auditors").wait_for()


async def test_a_schedule_is_fired_and_leads_to_what_it_started(visitor: Visitor, demo: Demo):
    await visitor.goes("/")
    await visitor.page.get_by_role("link", name="Schedules").click()
    await visitor.page.get_by_role("link", name="morning-rounds").click()
    await visitor.page.get_by_text("Fire", exact=True).first.click()
    await visitor.confirms(visitor.page.get_by_role("form", name="Fire"), "an early round")
    await visitor.says("The trigger was fired")
    await visitor.page.get_by_role("region", name="Log").get_by_role("link").first.click()
    await visitor.stands_in("rounds")


async def test_everything_can_be_done_by_the_keyboard(visitor: Visitor, demo: Demo):
    made = await demo.announce(version="2")
    await visitor.goes(f"/instances/{made.id}")
    page = visitor.page
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.name === 'field:condition'"):
            break
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for keys in ("u", "Tab", "3", "Tab", "Tab", "Tab"):
        await page.keyboard.press(keys)
    await page.keyboard.type("well kept")
    await page.keyboard.press("Enter")
    await visitor.stands_in("inspected")
    arrival = (await demo.runtime.get_instance(made)).context["arrival"]
    assert arrival == {"condition": "used", "items": 3, "complete": True, "note": "well kept"}
