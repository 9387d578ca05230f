"""Triggers on their pages: how they stand, what became of them, and what operators do to them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request

from detent import MemoryStore, WorkflowInstance, WorkflowRuntime, WorkflowService
from detent.flows import Flow, FlowBook, HandlerContext, Result, Step, handler, success
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.testing import FakeClock
from detent.triggers import CronTrigger, EventTrigger, HttpTrigger
from detent_dashboard import AllowAll, dashboard
from packages.dashboard.tests.conftest import Browser, followed, words
from packages.dashboard.tests.test_safety import ATTACKS, suspicious

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "express": {"type": "boolean"}},
}


@handler("keep", targets=False)
async def keep(ctx: HandlerContext, input: Any) -> Result:
    return success(input)


ORDER = Flow("order", initial_step_id="keep", steps={"keep": Step("keep", input={"full": True}, output_key="seen")})


@dataclass
class Schedules(Browser):
    """A browser that looks at triggers of the test."""

    triggers: TriggerService = field(kw_only=True)
    clock: FakeClock = field(kw_only=True)
    runtime: WorkflowRuntime = field(kw_only=True)

    async def look(self, name: str) -> httpx.Response:
        return await self.get(f"/schedules/{(await self.triggers.get(name)).id}")


@asynccontextmanager
async def scheduling(**options: Any) -> AsyncIterator[Schedules]:
    clock = FakeClock(datetime(2030, 1, 1, 12, tzinfo=UTC))
    book, triggers = FlowBook(flows=[ORDER], handlers=[keep]), TriggerBook(topics=["order.*"])
    runtime = WorkflowRuntime(
        store=MemoryStore(),
        definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands],
        subscribers=triggers.subscribers,
        adopts=book.adopts,
        clock=clock,
    )
    async with runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        app = dashboard(runtime, **{"triggers": lambda: service, "policy": AllowAll(), **options})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ops.test") as http:
            yield Schedules(http, triggers=service, clock=clock, runtime=runtime)


@pytest.fixture
async def browser() -> AsyncIterator[Schedules]:
    async with scheduling() as opened:
        await opened.triggers.register(CronTrigger(name="nightly", flow="order", expression="0 3 * * *"))
        await opened.triggers.register(HttpTrigger(name="hook", flow="order", input_schema=SCHEMA))
        await opened.triggers.register(EventTrigger(name="heard", flow="order", topics=["order.*"], enabled=False))
        yield opened


async def test_the_page_tells_of_each_trigger_what_it_waits_for_and_when_it_fires_next(browser: Schedules):
    text = words(await browser.get("/schedules"))
    assert "nightly cron enabled 0 3 * * *, UTC order 2030-01-02 03:00:00 UTC never 0 0 0" in text
    assert "hook http enabled calls order never" in text
    assert "heard event disabled messages of order.* order never" in text


async def test_what_keeps_a_trigger_from_firing_is_told(browser: Schedules):
    assert "is called over HTTP, and this process has no door for it" in words(await browser.get("/schedules"))
    assert "no door for it" in words(await browser.look("hook"))
    assert "no door for it" not in words(await browser.look("nightly"))


async def test_a_trigger_that_cannot_be_read_here_hides_no_other(browser: Schedules):
    hook = (await browser.triggers.get("hook")).id
    kept = (await browser.runtime.get_instance(hook)).context["trigger"]
    await browser.runtime.patch_context(hook, {"trigger": kept | {"input_schema": {"type": "unheard of"}}})
    text = words(await browser.get("/schedules"))
    assert "cannot be read by this process" in text
    assert "nightly cron enabled" in text


async def test_the_page_counts_what_was_started_turned_away_and_failed(browser: Schedules):
    await browser.triggers.fire("hook", {"id": 7})
    await browser.triggers.receive("hook", b'{"id": "x"}', {})
    text = words(await browser.get("/schedules"))
    assert "hook http enabled calls order validation_failed 2030-01-01 12:00:00 UTC 1 1 0" in text


async def test_triggers_are_shown_by_kind_and_state_a_page_at_a_time(browser: Schedules):
    assert "hook" not in words(await browser.get("/schedules", params={"kind": "cron"})).partition("Failed")[2]
    disabled = words(await browser.get("/schedules", params={"state": "disabled"}))
    assert "heard" in disabled
    assert "nightly" not in disabled
    assert (await browser.get("/schedules", params={"state": "lost"})).status_code == 400
    assert "No such trigger." in words(await browser.get("/schedules", params={"skip": 25}))
    for number in range(30):
        await browser.triggers.register(HttpTrigger(name=f"more-{number:02}", flow="order"))
    assert "skip=25" in (await browser.get("/schedules")).text
    assert "skip=" not in (await browser.get("/schedules", params={"skip": 25})).text


async def test_a_trigger_shows_its_log_with_the_executions_it_started(browser: Schedules):
    fired = await browser.triggers.fire("hook", {"id": 7})
    await browser.triggers.receive("hook", b'{"id": "x"}', {})
    page = await browser.look("hook")
    text = words(page)
    assert f"/instances/{fired.execution_id}" in page.text
    assert "validation_failed" in text
    assert "id: &#39;x&#39; is not of type" in text
    assert "In the last 24 h 1 started, 1 turned away, 0 failed" in text
    assert (await browser.get(f"/instances/{fired.execution_id}")).status_code == 200
    linked = page.text.partition("All its executions")[0].rpartition('href="')[2].partition('"')[0]
    assert str(fired.execution_id) in (await browser.get(linked.replace("&amp;", "&"))).text


async def test_a_long_log_goes_on_page_by_page(browser: Schedules):
    for number in range(30):
        await browser.triggers.fire("hook", {"id": number})
    page = await browser.look("hook")
    older = page.text.partition('rel="next" href="')[2].partition('"')[0]
    assert page.text.count('<th scope="row">') == 25
    assert (await browser.get(older)).text.count('<th scope="row">') == 5


async def test_switching_a_trigger_keeps_the_reason_and_says_what_was_done(browser: Schedules):
    for verb, state, said in [
        ("pause", "paused", "The trigger is held."),
        ("resume", "enabled", "The trigger is at work again."),
        ("disable", "disabled", "The trigger is switched off."),
        ("enable", "enabled", "The trigger is at work."),
    ]:
        await browser.look("nightly")
        page = await browser.operate(verb)
        assert said in words(page)
        trigger = await browser.triggers.get("nightly")
        entry = (await browser.runtime.get_history(trigger.id, limit=1))[0]
        assert trigger.state == state
        assert entry.trigger_metadata["reason"] == "because"
        assert entry.trigger_metadata["door"] == "dashboard"


async def test_only_what_a_trigger_can_do_now_is_offered(browser: Schedules):
    for name, offered in [("nightly", {"fire", "pause", "disable"}), ("heard", {"enable"})]:
        page = await browser.look(name)
        assert {verb for verb in ("fire", "enable", "resume", "pause", "disable") if f"/{verb}" in page.text} == offered


async def test_a_trigger_is_fired_with_a_form_of_what_it_takes_and_once_however_often_it_is_sent(browser: Schedules):
    page = await browser.look("hook")
    assert 'name="field:id" type="number"' in page.text
    fired = await browser.operate("fire", field_id="7", field_express="true")
    assert "The trigger was fired" in words(fired)
    browser.page = page
    again = await browser.operate("fire", field_id="7", field_express="true")
    assert "This form had fired the trigger before" in words(again)
    [made] = await browser.runtime.find_instances(workflow="order")
    assert made.context["body"] == {"id": 7, "express": True}


async def test_a_form_that_came_to_nothing_keeps_its_key_so_that_it_never_fires_twice(browser: Schedules):
    page = await browser.look("hook")
    key = page.text.partition('name="key" value="')[2].partition('"')[0]
    refused = await browser.operate("fire", field_express="true")
    assert (refused.status_code, f'name="key" value="{key}"' in refused.text) == (400, True)
    other = await browser.operate("fire", key="none", field_id="7")
    assert (other.status_code, 'name="key" value="none"' in other.text) == (400, False)


async def test_what_a_trigger_does_not_take_and_cannot_do_is_told(browser: Schedules):
    await browser.look("hook")
    refused = await browser.operate("fire", field_express="true")
    assert refused.status_code == 400
    assert "is a required property" in words(refused)
    page = await browser.look("nightly")
    await browser.triggers.disable("nightly")
    browser.page = page
    assert (await browser.operate("fire")).status_code == 409
    assert await browser.runtime.count_instances(workflow="order") == {(): 0}


@pytest.mark.parametrize("lacks", [{"reason": " "}, {"confirmed": ""}, {"key": "again"}])
async def test_without_a_reason_a_confirmation_or_the_key_nothing_is_fired(browser: Schedules, lacks: dict[str, Any]):
    await browser.look("nightly")
    page = await browser.send("/fire", **{"reason": "because", "confirmed": "yes", **lacks})
    assert page.status_code == 400
    assert await browser.runtime.count_instances(workflow="order") == {(): 0}


async def test_a_trigger_that_was_paused_as_an_instance_is_resumed_here_as_well(browser: Schedules):
    nightly = await browser.triggers.get("nightly")
    await browser.runtime.pause(nightly.id, reason="held as an instance")
    page = await browser.look("nightly")
    assert "nightly cron paused" in words(page)
    await browser.operate("resume")
    assert (await browser.triggers.get("nightly")).state == "enabled"


async def test_every_address_on_its_pages_leads_somewhere(browser: Schedules):
    await browser.triggers.fire("hook", {"id": 7})
    seen = await followed(browser.http, "/schedules")
    assert len([path for path in seen if path.startswith("/schedules/")]) == 3


async def test_odd_values_are_refused_and_never_a_fault_of_the_server(browser: Schedules):
    hook = await browser.triggers.get("hook")
    for value in ("\0", "9" * 5000, "-1", "\u0661", "\ufffd", "a" * 5000, "%"):
        for path, name in [("", "kind"), ("", "state"), ("", "skip"), (f"/{hook.id}", "before")]:
            page = await browser.get(f"/schedules{path}", params={name: value})
            assert page.status_code in (200, 400), (path, name, value)
        await browser.look("hook")
        assert (await browser.operate("fire", key=value, field_id=value)).status_code == 400
        assert (await browser.get(f"/schedules/{quote(value[:40])}")).status_code in (400, 404)


async def test_nobody_sees_schedules_where_no_triggers_were_given():
    async with scheduling(triggers=None) as browser:
        made = await browser.triggers.register(HttpTrigger(name="hook", flow="order"))
        assert "Schedules" not in (await browser.get("/")).text
        assert (await browser.get("/schedules")).status_code == 404
        assert (await browser.get(f"/schedules/{made.id}")).status_code == 404


async def test_an_instance_that_is_no_trigger_and_a_verb_that_is_none_are_not_there(browser: Schedules):
    fired = await browser.triggers.fire("nightly")
    assert (await browser.get(f"/schedules/{fired.execution_id}")).status_code == 404
    page = await browser.look("nightly")
    token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    nightly = await browser.triggers.get("nightly")
    for path, expected in [(nightly.id, 404), (fired.execution_id, 404)]:
        sent = {"csrf_token": token, "reason": "r", "confirmed": "yes"}
        assert (await browser.http.post(f"/schedules/{path}/delete", data=sent)).status_code == expected
    assert (await browser.triggers.get("nightly")).state == "enabled"


@pytest.mark.parametrize("role", ["nobody", "reader", "operator"])
async def test_only_those_who_may_see_and_switch_triggers(role: str):
    rights = {"nobody": set[str](), "reader": {"read"}, "operator": {"read", "operate"}}[role]

    def authorize(request: Request, action: str, instance: WorkflowInstance | None) -> bool:
        return action in {"read", "operate"} if "x-all" in request.headers else action in rights

    async with scheduling(policy=authorize) as browser:
        made = await browser.triggers.register(HttpTrigger(name="hook", flow="order"))
        page = await browser.get(f"/schedules/{made.id}", headers={"x-all": "yes"})
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        assert (await browser.get("/schedules")).status_code == (200 if "read" in rights else 403)
        page = await browser.get(f"/schedules/{made.id}")
        assert page.status_code == (200 if "read" in rights else 404)
        assert ("<button" in page.text) == ("operate" in rights)
        sent = {"csrf_token": token, "reason": "r", "confirmed": "yes"}
        answer = await browser.http.post(f"/schedules/{made.id}/disable", data=sent)
        assert answer.status_code == (303 if "operate" in rights else 403 if "read" in rights else 404)
        assert (await browser.triggers.get("hook")).state == ("disabled" if "operate" in rights else "enabled")


async def test_a_form_without_its_token_switches_nothing(browser: Schedules):
    page = await browser.look("hook")
    where = f"/schedules/{(await browser.triggers.get('hook')).id}/disable"
    assert page.status_code == 200
    assert (await browser.http.post(where, data={"reason": "r", "confirmed": "yes"})).status_code == 403
    assert (await browser.triggers.get("hook")).state == "enabled"


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_that_a_trigger_says_becomes_markup(attack: str):
    async with scheduling(title=attack) as browser:
        schema: Any = {"properties": {attack: {"title": attack, "description": attack, "default": attack}}}
        hook = HttpTrigger(
            name="hook", flow="order", description=attack, static_context={attack: 1}, input_schema=schema
        )
        await browser.triggers.register(hook)
        await browser.triggers.receive("hook", b'{"a": ' + json.dumps(attack).encode() + b"}", {})
        pages = [await browser.get("/schedules", params={"kind": attack, "state": attack}), await browser.look("hook")]
        pages.append(await browser.operate("fire", key=attack, **{f"field_{attack}": attack}))
        assert [suspicious(page) for page in pages] == [[], [], []]


async def test_another_tenants_triggers_are_not_there():
    async with scheduling(tenant=lambda request: request.headers.get("x-tenant")) as browser:
        ours = await browser.triggers.register(HttpTrigger(name="ours", flow="order", tenant="acme"))
        browser.http.headers["x-tenant"] = "acme"
        assert "ours" in words(await browser.get("/schedules"))
        browser.http.headers["x-tenant"] = "other"
        assert "ours" not in words(await browser.get("/schedules"))
        assert (await browser.get(f"/schedules/{ours.id}")).status_code == 404
