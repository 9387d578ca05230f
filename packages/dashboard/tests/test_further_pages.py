"""Plans of upgrades, the work of workers, and pages that hear of changes."""

import asyncio
from typing import Any

import httpx
import pytest

from detent import CommandContext, GiveUp, MemoryStore, WorkflowDefinition, WorkflowRuntime, command
from detent_dashboard import AllowAll, dashboard
from detent_dashboard.pages import live
from packages.dashboard.tests.conftest import ORDER, Dashboard, Open, words

NEWER: dict[str, Any] = {
    **ORDER,
    "version": "2",
    "states": {
        "new": ORDER["states"]["new"],
        "paid": {"events": {"lose": {"target": "expired"}}},
        "expired": {"outcome": "cancelled"},
    },
}
PAYOUT = {
    "name": "payout",
    "initial_state": "due",
    "states": {"due": {"events": {"send": {"target": "sent", "commands": ["transfer"]}}}, "sent": {}},
}


@command("transfer", durable=True)
async def transfer(ctx: CommandContext) -> None:
    raise GiveUp("the bank is closed")


async def test_a_plan_says_what_an_upgrade_would_do_and_does_none_of_it(open_dashboard: Open):
    async with open_dashboard(ORDER, NEWER) as browser:
        fresh = await browser.runtime.create_instance("order", version="1")
        shipped = await browser.runtime.create_instance("order", version="1")
        await browser.runtime.force(shipped.id, "paid")
        await browser.runtime.trigger_event(await browser.runtime.get_instance(shipped), "ship")
        text = words(await browser.get("/upgrade", params={"workflow": "order"}))
        assert "Would be moved to v2 1" in text
        assert "What v2 says otherwise than v1" in text
        assert f"{fresh.id} v1 new → v2 new" in text
        assert (await browser.runtime.get_instance(fresh)).definition_version == "1"


async def test_a_plan_takes_a_mapping_and_tells_what_is_wrong_with_it(open_dashboard: Open):
    async with open_dashboard(ORDER, NEWER) as browser:
        made = await browser.runtime.create_instance("order", version="1")
        query = {"workflow": "order", "from_version": "1", "to_version": "2"}
        moved = await browser.get("/upgrade", params={**query, "state_mapping": '{"new": "paid"}'})
        assert f"{made.id} v1 new → v2 paid" in words(moved)
        for wrong in ('{"new": "nowhere"}', "{", "[1]"):
            page = await browser.get("/upgrade", params={**query, "state_mapping": wrong})
            assert page.status_code == 400, wrong
        assert (await browser.get("/upgrade", params={"workflow": "none"})).status_code == 404


async def test_the_work_page_shows_the_backlog_and_runs_by_status_and_queue(open_dashboard: Open):
    async with open_dashboard(PAYOUT, commands=[transfer]) as browser:
        parked, pending = [await browser.runtime.create_instance("payout") for _ in range(2)]
        await browser.runtime.trigger_event(parked, "send")
        await browser.runtime.process_runs()
        await browser.runtime.trigger_event(pending, "send")
        text = words(await browser.get("/work"))
        assert "Runs pending 1" in text
        assert "Parked 1" in text
        assert str(parked.id) in text
        only = words(await browser.get("/work", params={"status": "pending", "queue": "default"}))
        assert str(pending.id) in only
        assert str(parked.id) not in only
        assert "No such run." in words(await browser.get("/work", params={"queue": "other"}))
        assert (await browser.get("/work", params={"status": "lost"})).status_code == 400
        shown = words(await browser.look_at(parked))
        assert "the bank is closed" in shown
        assert "run of send, at transfer" in words(await browser.get("/parked"))


async def test_a_page_that_is_behind_hears_so_at_once(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.runtime.note(made, "somebody was here")
    answer = await browser.get(f"/instances/{made.id}/live", params={"since": 1})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "retry: 3000\n\nid: 2\nevent: moved\ndata: 2\n\n"


async def test_an_open_page_hears_of_what_happens_next(browser: Dashboard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "LOOKS_EVERY", 0.01)
    monkeypatch.setattr(live, "LOOKS", 1_000)
    made = await browser.runtime.create_instance("order")
    listening = asyncio.create_task(browser.get(f"/instances/{made.id}/live", params={"since": 1}))
    await browser.runtime.note(made, "somebody was here")
    answer = await asyncio.wait_for(listening, 20)
    assert answer.text.endswith("id: 2\nevent: moved\ndata: 2\n\n")


async def test_a_stream_ends_with_the_server(browser: Dashboard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "is_stopping", lambda: True)
    made = await browser.runtime.create_instance("order")
    answer = await browser.get(f"/instances/{made.id}/live", params={"since": 1})
    assert answer.text == "retry: 3000\n\n"


async def test_a_stream_ends_by_itself_where_nothing_happens(browser: Dashboard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "LOOKS_EVERY", 0.01)
    made = await browser.runtime.create_instance("order")
    answer = await browser.get(f"/instances/{made.id}/live", params={"since": 1})
    assert answer.text.count(": nothing new") == live.LOOKS


async def test_an_older_page_of_the_history_hears_nothing(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    assert "data-live" in (await browser.look_at(made)).text
    assert "data-live" not in (await browser.get(f"/instances/{made.id}", params={"before": 2})).text


async def test_a_stream_ends_when_the_runtime_does(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "LOOKS_EVERY", 0.01)
    monkeypatch.setattr(live, "LOOKS", 1_000_000)
    runtime = WorkflowRuntime(
        store=MemoryStore(),
        definitions=[WorkflowDefinition.from_dict({"name": "n", "initial_state": "a", "states": {"a": {}}})],
    )
    transport = httpx.ASGITransport(dashboard(runtime, policy=AllowAll()))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        async with runtime:
            made = await runtime.create_instance("n")
            listening = asyncio.create_task(http.get(f"/instances/{made.id}/live", params={"since": 1}))
            await http.get("/")
        assert "moved" not in (await asyncio.wait_for(listening, 20)).text
