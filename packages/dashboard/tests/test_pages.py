"""Every page shows what is there, and every address on it leads somewhere."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from detent import SqliteStore, WorkflowDefinition
from detent.store.protocol import Store
from detent_pg import PgStore
from packages.dashboard.tests.conftest import ORDER, Dashboard, Open, followed, words
from tests.databases import database_beside


async def test_the_overview_counts_instances_by_workflow_state_and_status(browser: Dashboard):
    for _ in range(2):
        await browser.runtime.create_instance("order")
    paid = await browser.runtime.create_instance("order")
    await browser.runtime.trigger_event(paid, "pay", payload={"amount": 3})
    text = words(await browser.get("/"))
    assert "Made in 24 h 3" in text
    assert "new 2" in text
    assert "paid 1" in text


async def test_the_overview_tells_of_each_workflow_what_went_through_lately(browser: Dashboard):
    done, _ = [await browser.runtime.create_instance("order") for _ in range(2)]
    browser.clock.advance("23h30m")
    await browser.runtime.force(done, "shipped", reason="by hand")
    text = words(await browser.get("/"))
    assert "Moved in 1 h 1" in text
    assert "Moved in 1 h: 1. In 24 h: 2 made, 1 finished." in text
    browser.clock.advance("2h")
    assert "Moved in 1 h: 0. In 24 h: 0 made, 1 finished." in words(await browser.get("/"))


async def test_the_overview_asks_six_questions_however_many_workflows_there_are(
    open_dashboard: Open, monkeypatch: pytest.MonkeyPatch
):
    async with open_dashboard(*({**ORDER, "name": f"order-{number}"} for number in range(5))) as browser:
        asked: list[object] = []
        count = browser.runtime.store.count

        async def counting(*query: Any, **options: Any) -> Any:
            asked.append(query)
            return await count(*query, **options)

        monkeypatch.setattr(browser.runtime.store, "count", counting)
        assert "order-4" in words(await browser.get("/"))
        assert len(asked) == 6


async def test_the_overview_tells_of_due_and_parked_ones(browser: Dashboard):
    await browser.runtime.create_instance("order")
    browser.clock.advance("2h")
    assert "1 due" in words(await browser.get("/"))
    browser.clock.advance("2h")
    await _parked(browser)
    text = words(await browser.get("/"))
    assert "1 parked" in text
    assert "Parked now 1" in text


async def test_a_search_finds_by_what_instances_are(browser: Dashboard):
    ada = await browser.runtime.create_instance("order", metadata={"customer": "ada"})
    bob = await browser.runtime.create_instance("order", context={"total": 5})
    for query, found in [
        ({}, {"ada", "bob"}),
        ({"metadata": '{"customer": "ada"}'}, {"ada"}),
        ({"context": '{"total": 5}'}, {"bob"}),
        ({"id": str(bob.id)}, {"bob"}),
        ({"workflow": "order", "state": "new", "status": "active", "version": "1"}, {"ada", "bob"}),
        ({"state": "paid"}, set()),
        ({"parked": "yes"}, set()),
    ]:
        page = await browser.get("/instances", params=query)
        assert page.status_code == 200
        assert {name for name, one in (("ada", ada), ("bob", bob)) if str(one.id) in _table(page.text)} == found, query


async def test_a_search_that_cannot_be_is_told_why(browser: Dashboard):
    for query, said in [
        ({"metadata": "{"}, "metadata"),
        ({"id": "7"}, "not a UUID"),
        ({"status": "lost"}, "lost"),
        ({"order": "colour"}, "colour"),
        ({"cursor": "!"}, "cursor"),
    ]:
        page = await browser.get("/instances", params=query)
        assert page.status_code == 400
        assert said in words(page)


async def test_a_search_goes_on_page_by_page_and_shows_each_once(browser: Dashboard):
    made = {str((await browser.runtime.create_instance("order")).id) for _ in range(60)}
    first = await browser.get("/instances", params={"workflow": "order"})
    further = unescape(re.findall(r'rel="next" href="([^"]+)"', first.text)[0])
    second = await browser.get(further)
    pages = [set(re.findall(r"/instances/([0-9a-f-]{36})", page.text)) for page in (first, second)]
    assert [len(page) for page in pages] == [50, 10]
    assert pages[0] | pages[1] == made
    assert 'rel="next"' not in second.text


async def test_an_instance_shows_where_it_is_came_through_and_may_go(browser: Dashboard):
    made = await browser.runtime.create_instance("order", context={"total": 40})
    await browser.runtime.trigger_event(made, "pay", payload={"amount": 7}, trigger_metadata={"actor": "ana"})
    page = await browser.look_at(made)
    text = words(page)
    assert "order paid active" in text
    assert "taken 1\u00d7" in text
    assert re.search(r'class="current" aria-current="step">\s*<p><strong>paid', page.text)
    assert "ship" in text
    assert '"total": 40' in unescape(text)
    assert '"amount": 7' in unescape(text)
    assert '"actor": "ana"' in unescape(text)
    assert "stateDiagram-v2" in text


async def test_an_instance_says_when_its_timeout_fires_and_what_would_be_refused(browser: Dashboard):
    page = await browser.look_at(await browser.runtime.create_instance("order"))
    text = words(page)
    assert "expire in 1 h" in text
    assert "data-countdown" in page.text
    assert "Would be refused: nothing is in stock" in text


async def test_a_long_history_goes_on_page_by_page(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    for number in range(60):
        await browser.runtime.note(made, f"note {number}")
    page = await browser.look_at(made)
    assert "#61" in page.text
    assert "#11 " not in words(page)
    older = unescape(re.findall(r'href="([^"]+before=\d+)#h-history"', page.text)[0])
    text = words(await browser.get(older))
    assert "#11 " in text
    assert "#61" not in text


async def test_what_is_not_there_is_a_404(browser: Dashboard):
    for path in (
        "/instances/7",
        "/instances/018f0000-0000-7000-8000-000000000000",
        "/definition?workflow=none",
        "/definition?workflow=order&version=9",
        "/nothing",
        "/static/app.py",
        "/static/..%2Fapp.py",
        "/static/mermaid.js",
    ):
        assert (await browser.get(path)).status_code in (400, 404, 409), path


async def test_definitions_show_their_versions_and_diagrams(browser: Dashboard):
    assert "From the cart to the parcel." in words(await browser.get("/definitions"))
    text = words(await browser.get("/definition", params={"workflow": "order", "version": "1"}))
    assert "order v1" in text
    assert "pay → leads to paid" in text
    assert '"initial_state": "new"' in unescape(text)


async def test_a_version_that_is_only_stored_is_shown_and_makes_no_instance(open_dashboard):
    newer = {**ORDER, "version": "2"}
    async with open_dashboard(newer) as browser:
        older = WorkflowDefinition.from_dict(ORDER)
        snapshot = (await browser.runtime.store.list_definitions(["order"]))[0]
        stored = type(snapshot)("order", "1", "other", older.to_dict(), snapshot.created_at)
        await browser.runtime.store.save_definitions([stored])
        page = await browser.get("/definition", params={"workflow": "order", "version": "1"})
        assert "v1 stored only" in words(page)
        assert "Make an instance" not in page.text


async def test_the_diagram_is_drawn_in_a_frame_where_there_is_a_script(open_dashboard, tmp_path):
    script = tmp_path / "mermaid.min.js"
    script.write_text("// mermaid")
    async with open_dashboard(mermaid=script) as browser:
        made = await browser.runtime.create_instance("order")
        page = await browser.look_at(made)
        frame = unescape(re.findall(r'<iframe[^>]* src="([^"]+)"', page.text)[0])
        drawn = await browser.get(frame)
        assert "stateDiagram-v2" in drawn.text
        assert (await browser.get("/static/mermaid.js")).text == "// mermaid"
        assert "stateDiagram-v2" in (await browser.get("/definition/diagram", params={"workflow": "order"})).text


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> URL | Path:
    return tmp_path / "orders.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def kept(database: URL | Path) -> AsyncIterator[Store]:
    """A store that keeps what it is given."""
    if isinstance(database, Path):
        yield SqliteStore(database)
        return
    async with database_beside(database) as url:
        store = PgStore.from_url(url)
        await store.upgrade()
        yield store


async def test_pages_are_the_same_over_a_database(open_dashboard: Open, kept: Store):
    async with open_dashboard(store=kept) as browser:
        made = await browser.runtime.create_instance("order", metadata={"customer": "ada"}, tenant="acme")
        browser.clock.advance("15m")
        await browser.runtime.process_timeouts()
        text = words(await browser.get("/"))
        assert "1 parked" in text
        assert "Moved in 1 h: 1. In 24 h: 1 made, 0 finished." in text
        assert str(made.id) in (await browser.get("/instances", params={"metadata": '{"customer": "ada"}'})).text
        assert "nothing is in stock" in words(await browser.get("/parked"))
        assert "Parked 1" in words(await browser.get("/work"))
        assert "v1 1 1" in words(await browser.get("/definition", params={"workflow": "order"}))
        assert (await browser.get("/upgrade", params={"workflow": "order"})).status_code == 200
        await browser.look_at(made)
        assert "order paid active" in words(await browser.event("pay", field_amount="7"))
        await browser.operate("pause")
        assert (await browser.runtime.get_instance(made)).status == "paused"


async def test_odd_values_are_refused_by_a_database_as_well(open_dashboard: Open, kept: Store):
    async with open_dashboard(store=kept) as browser:
        made = await browser.runtime.create_instance("order")
        for value in ("\0", "9" * 5000, "\u0661", "\ufffd", "[" * 2000, "1e999", '{"a": "\\u0000"}', '"\\ud800"'):
            for name in ("workflow", "state", "version", "metadata", "context", "cursor", "id"):
                answer = await browser.get("/instances", params={name: value})
                assert answer.status_code in (200, 400), (name, value)
            await browser.look_at(made)
            page = await browser.operate("patch", patch=value)
            assert page.status_code in (400, 409), value


@pytest.mark.parametrize("start", ["/", "/instances", "/parked", "/definitions"])
async def test_every_address_on_every_page_leads_somewhere(browser: Dashboard, start: str):
    await browser.runtime.create_instance("order")
    assert len(await followed(browser.http, start)) > 8


async def _parked(browser: Dashboard) -> None:
    """Both timeouts of an order are tried; the one that is refused has one attempt."""
    await browser.runtime.create_instance("order")
    browser.clock.advance("15m")
    await browser.runtime.process_timeouts()


def _table(html: str) -> str:
    return html.partition("<tbody>")[2]
