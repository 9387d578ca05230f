"""The playground in a browser: with Mermaid's script, and without."""

from pathlib import Path

from playwright.async_api import Browser

from tests.browser.demo import playing


async def test_a_definition_is_played_through_by_everybody_until_its_timeout(
    browser: Browser, mermaid_script: Path, axe: str
):
    async with playing(browser, mermaid_script, scripts=axe) as visitor:
        await visitor.goes("/definition?workflow=order")
        await visitor.page.get_by_role("button", name="Make").click()
        await visitor.stands_in("new")
        found = await visitor.faults_light_and_dark("playground")
        assert {name: faults for name, faults in found.items() if faults} == {}
        for event, state in [("PaymentReceived", "exportable"), ("Export", "in_transit"), ("Deliver", "delivered")]:
            await visitor.event(event)
            await visitor.stands_in(state)
        await visitor.drawn_in("delivered")
        await visitor.page.get_by_label("Move the clock by").fill("14d")
        await visitor.page.get_by_role("button", name="Move", exact=True).click()
        await visitor.stands_in("closed")
        await visitor.drawn_in("closed")
        await visitor.shoot("playground-drawn")


async def test_without_the_script_the_states_are_listed(browser: Browser):
    async with playing(browser, None) as visitor:
        await visitor.goes("/definition?workflow=order")
        await visitor.page.get_by_role("button", name="Make").click()
        await visitor.listed_in("new")
        await visitor.event("PaymentReceived")
        await visitor.listed_in("exportable")
        await visitor.shoot("playground-listed")
