"""Every kind of page, light and dark, wide and narrow: pictures to look at, and what axe-core has to say."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from detent.triggers import EventTrigger, HttpTrigger
from tests.browser.conftest import Visiting
from tests.browser.demo import Demo, playing
from tests.browser.visitor import Visitor, visiting


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
        "refusal": f"/schedules/{announced.id}",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_can_be_used_by_everybody(visit: Visiting, demo: Demo, axe: str, scheme: str):
    async with visit(scripts=axe, color_scheme=scheme) as visitor:
        found = {}
        async for name in _pages(visitor, demo):
            await visitor.shoot(f"{name}-{scheme}")
            found[name] = await visitor.faults()
        assert {name: faults for name, faults in found.items() if faults} == {}


async def test_every_page_fits_a_narrow_screen(visit: Visiting, demo: Demo):
    async with visit(viewport={"width": 400, "height": 800}) as visitor:
        found = {}
        async for name in _pages(visitor, demo):
            await visitor.shoot(f"{name}-narrow")
            found[name] = await visitor.overflow()
        assert {name: pixels for name, pixels in found.items() if pixels} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_playground_can_be_used_by_everybody(browser: Browser, mermaid_script: Path, axe: str, scheme: str):
    async with playing(browser, mermaid_script, scripts=axe, color_scheme=scheme) as visitor:
        await visitor.goes("/definition?workflow=order")
        await visitor.page.get_by_role("button", name="Make").click()
        await _finished(visitor)
        await visitor.shoot(f"playground-{scheme}")
        assert await visitor.faults() == []


async def test_what_is_wrong_would_be_noticed(browser: Browser, demo: Demo, axe: str):
    async with visiting(browser, demo.pages, scripts=axe) as visitor:
        await visitor.goes("/instances")
        await visitor.page.evaluate("document.querySelector('label').remove()")
        assert [fault.partition(" ")[0] for fault in await visitor.faults()] == ["label"]
        inline = "const it = document.createElement('script'); it.textContent = 'void 0'; document.body.append(it)"
        await visitor.page.evaluate(inline)
        await visitor.page.evaluate("fetch('/ops/nowhere').then(() => console.error('seen'))")
        told = " ".join(visitor.complaints)
        assert "Content Security Policy" in told
        assert "status 404" in told
        assert "console: seen" in told
        visitor.complaints.clear()


async def _pages(visitor: Visitor, demo: Demo) -> AsyncIterator[str]:
    """Goes from page to page."""
    for name, path in (await addresses(demo)).items():
        await visitor.goes(path, status=404 if name == "refusal" else 200)
        await _finished(visitor)
        yield name


async def _finished(visitor: Visitor) -> None:
    """Diagrams are drawn, and forms are open."""
    page = visitor.page
    if await page.locator("iframe.diagram").count():
        await page.frame_locator("iframe.diagram").locator("#picture svg").wait_for()
    await page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
