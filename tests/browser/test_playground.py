"""The playground in a browser: with Mermaid's script, and without."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.demo import playing
from tests.browser.visitor import PATIENCE, Visitor


@pytest.mark.parametrize("drawn", [True, False])
async def test_a_definition_is_played_through_until_its_timeout(browser: Browser, mermaid_script: Path, drawn: bool):
    async with playing(browser, mermaid_script if drawn else None) as visitor:
        here = visitor.drawn_in if drawn else _listed_in(visitor)
        await visitor.goes("/definition?workflow=order")
        await visitor.page.get_by_role("button", name="Make").click()
        await here("new")
        for event, state in [("PaymentReceived", "exportable"), ("Export", "in_transit"), ("Deliver", "delivered")]:
            await visitor.event(event)
            await visitor.stands_in(state)
            await here(state)
        await visitor.page.get_by_label("Move the clock by").fill("14d")
        await visitor.page.get_by_role("button", name="Move", exact=True).click()
        await visitor.stands_in("closed")
        await here("closed")
        await visitor.shoot(f"playground-{'drawn' if drawn else 'listed'}")


def _listed_in(visitor: Visitor):
    async def listed(state: str) -> None:
        current = visitor.page.locator(".places > [aria-current=step]")
        await current.filter(has_text=state).wait_for(timeout=PATIENCE)

    return listed
