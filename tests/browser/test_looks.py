"""Every kind of page, light and dark, wide and narrow: pictures to look at, and what axe-core has to say."""

import pytest
from playwright.async_api import Browser

from detent.triggers import EventTrigger, HttpTrigger
from tests.browser.conftest import Visiting
from tests.browser.demo import Demo
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


# In two parts, so that two processes share the work.
@pytest.mark.parametrize(
    "names",
    [
        ("overview", "search", "instance", "instance-parked", "parked", "work"),
        ("schedules", "schedule", "definitions", "definition", "upgrade", "refusal"),
    ],
    ids=["instances", "the rest"],
)
async def test_every_page_can_be_used_by_everybody_and_fits_a_narrow_screen(
    visit: Visiting, demo: Demo, axe: str, names: tuple[str, ...]
):
    found: dict[str, object] = {}
    async with visit(scripts=axe) as visitor:
        pages = await addresses(demo)
        for name in names:
            # What is drawn when the page comes is light.
            await visitor.page.emulate_media(color_scheme="light")
            await visitor.goes(pages[name], status=404 if name == "refusal" else 200)
            found |= await visitor.faults_light_and_dark(name)
            found[f"{name}-narrow"] = await _beyond_a_narrow_screen(visitor, name)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


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


async def _beyond_a_narrow_screen(visitor: Visitor, name: str) -> int:
    """By how many pixels the page is wider than a telephone."""
    wide = visitor.page.viewport_size
    assert wide is not None
    await visitor.page.set_viewport_size({"width": 400, "height": 800})
    await visitor.shoot(f"{name}-narrow")
    overflow = await visitor.overflow()
    await visitor.page.set_viewport_size(wide)
    return overflow
