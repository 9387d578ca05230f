"""Every kind of page, light and dark, wide and narrow: pictures to look at, and what axe-core has to say."""

from typing import Any

import pytest
from playwright.async_api import Browser

from detent.triggers import EventTrigger, HttpTrigger
from tests.browser.conftest import Visiting
from tests.browser.demo import Demo
from tests.browser.visitor import Visitor, visiting

NARROW = {"width": 400, "height": 800}
WIDE = {"width": 1280, "height": 900}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": WIDE},
    "dark": {"color_scheme": "dark", "viewport": WIDE},
    "narrow": {"color_scheme": "light", "viewport": NARROW},
}


async def addresses(demo: Demo) -> dict[str, str]:
    """A page of each kind, with something on it."""
    parked, announced = await demo.park(), await demo.announce()
    for trigger in (
        HttpTrigger(name="carrier", flow="rounds", input_schema={"properties": {"gate": {"enum": ["open", "closed"]}}}),
        EventTrigger(name="lost-parcels", flow="rounds", topics=["parcel.lost"], enabled=False),
    ):
        await demo.triggers.register(trigger)
    carrier = await demo.triggers.get("carrier")
    await demo.triggers.fire("carrier", {"gate": "open"})
    await demo.triggers.receive("carrier", b'{"gate": 7}', {})
    return {
        "overview": "/",
        "search": "/instances",
        "instance": f"/instances/{announced.id}",
        "instance-parked": f"/instances/{parked.id}",
        "parked": "/parked",
        "work": "/work?status=completed",
        "schedules": "/schedules",
        "schedule": f"/schedules/{carrier.id}",
        "definitions": "/definitions",
        "definition": "/definition?workflow=return",
        "upgrade": "/upgrade?workflow=return",
    }


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_can_be_used_by_everybody(visit: Visiting, demo: Demo, axe: str, look: str):
    async with visit(scripts=axe, **LOOKS[look]) as visitor:
        found = []
        for name, path in (await addresses(demo)).items():
            await visitor.goes(path)
            await _finished(visitor)
            await visitor.shoot(f"{name}-{look}")
            found += [f"{name}: {fault}" for fault in await _faults(visitor)]
        assert found == []


async def test_what_is_wrong_would_be_noticed(browser: Browser, demo: Demo, axe: str):
    async with visiting(browser, demo.pages, scripts=axe) as visitor:
        await visitor.goes("/instances")
        await visitor.page.evaluate("document.querySelector('label').remove()")
        assert [fault.partition(" ")[0] for fault in await _faults(visitor)] == ["label"]
        inline = "const it = document.createElement('script'); it.textContent = 'void 0'; document.body.append(it)"
        await visitor.page.evaluate(inline)
        await visitor.page.evaluate("fetch('/ops/nowhere').then(() => console.error('seen'))")
        told = " ".join(visitor.complaints)
        assert "Content Security Policy" in told
        assert "status 404" in told
        assert "console: seen" in told
        visitor.complaints.clear()


async def _finished(visitor: Visitor) -> None:
    """Diagrams are drawn, and forms are open."""
    page = visitor.page
    if await page.locator("iframe.diagram").count():
        await page.frame_locator("iframe.diagram").locator("#picture svg").wait_for()
    await page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")


async def _faults(visitor: Visitor) -> list[str]:
    """What axe-core finds, however slight, and whether the page is wider than the window."""
    report = await visitor.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    told = [
        f"{one['id']} ({one['impact']}): {node['html']} {node['failureSummary']}"
        for one in report["violations"]
        for node in one["nodes"]
    ]
    overflow = await visitor.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [*told, *([f"{overflow} pixels too wide"] if overflow > 0 else [])]
