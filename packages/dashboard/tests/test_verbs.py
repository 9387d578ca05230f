"""Every verb of the page of an instance does what it says, once, and tells why where it does not."""

from html import unescape

import pytest

from packages.dashboard.tests.conftest import Dashboard, Open, words


async def test_an_event_is_taken_with_what_was_typed(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    page = await browser.event(
        "pay", field_amount="700", field_card='"visa"', field_note="", field_gift="true", field_lines="[1]"
    )
    assert page.status_code == 200
    assert "The event was taken." in words(page)
    entry = (await browser.runtime.get_history(made.id, limit=1))[0]
    assert entry.payload == {"amount": 700, "card": "visa", "gift": True, "lines": [1]}
    assert entry.trigger_metadata == {"door": "dashboard"}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"field_amount": ""}, "amount"),
        ({"field_amount": "1.5"}, "must be a whole number"),
        ({"field_amount": "7", "field_lines": "{"}, "is not JSON"),
        ({"field_amount": "7", "field_card": '"cash"'}, "cash"),
    ],
)
async def test_what_does_not_fit_is_told_and_stays_in_the_form(browser: Dashboard, typed: dict[str, str], said: str):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    page = await browser.event("pay", field_note="keep me", **typed)
    assert page.status_code == 400
    assert said in unescape(words(page))
    assert 'value="keep me"' in page.text
    assert (await browser.runtime.get_instance(made)).state == "new"


async def test_a_refusal_tells_the_guards_reason(browser: Dashboard):
    await browser.look_at(await browser.runtime.create_instance("order"))
    page = await browser.event("approve")
    assert page.status_code == 409
    assert "'approve' was refused: nothing is in stock" in unescape(words(page))


async def test_a_command_that_fails_and_one_that_raises_are_told_apart(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    failed = await browser.event("charge")
    assert failed.status_code == 422
    assert "the bank said no" in words(failed)
    raised = await browser.event("crash")
    assert raised.status_code == 500
    assert "A command raised ZeroDivisionError" in words(raised)
    assert (await browser.runtime.get_instance(made)).state == "new"


async def test_an_event_that_was_meant_for_an_earlier_version_is_not_taken(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    await browser.runtime.note(made, "somebody was here")
    page = await browser.event("pay", field_amount="7")
    assert page.status_code == 409
    assert (await browser.runtime.get_instance(made)).state == "new"


async def test_an_event_that_is_not_declared_is_told(browser: Dashboard):
    await browser.look_at(await browser.runtime.create_instance("order"))
    page = await browser.send("/event", chosen={"event": "charge"}, event="fly")
    assert page.status_code == 409
    assert "fly" in words(page)


async def test_pause_resume_force_patch_and_cancel_do_so_and_keep_the_reason(browser: Dashboard):
    made = await browser.runtime.create_instance("order", context={"old": 1})
    for verb, more, holds in [
        ("pause", {}, lambda now: now.status == "paused"),
        ("resume", {}, lambda now: now.status == "active"),
        ("force", {"state": "paid"}, lambda now: now.state == "paid"),
        ("patch", {"patch": '{"new": 2}', "remove": "old\n"}, lambda now: now.context == {"new": 2}),
        ("cancel", {}, lambda now: now.status == "cancelled"),
    ]:
        await browser.look_at(made)
        page = await browser.operate(verb, **more)
        assert page.status_code == 200, words(page)
        assert holds(await browser.runtime.get_instance(made)), verb
        entry = (await browser.runtime.get_history(made.id, limit=1))[0]
        assert entry.reason == "because"


async def test_retry_takes_again_what_was_refused_and_says_why_in_history(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.runtime.trigger_event(made, "approve")
    await browser.runtime.patch_context(made.id, {"stock": 1})
    await browser.runtime.trigger_event(await browser.runtime.create_instance("order"), "approve")
    other = await browser.runtime.create_instance("order")
    await browser.runtime.trigger_event(other, "approve")
    await browser.look_at(other)
    page = await browser.operate("retry")
    assert page.status_code == 200
    assert (await browser.runtime.get_history(other.id, limit=1))[0].trigger_metadata["reason"] == "because"


@pytest.mark.parametrize("verb", ["pause", "cancel", "force", "patch"])
async def test_without_a_reason_or_confirmation_nothing_happens(browser: Dashboard, verb: str):
    made = await browser.runtime.create_instance("order")
    for lacks in ((" ", "yes"), ("because", "")):
        await browser.look_at(made)
        page = await browser.send(f"/{verb}", reason=lacks[0], confirmed=lacks[1])
        assert page.status_code == 400
    assert (await browser.runtime.get_instance(made)).version == made.version


async def test_a_verb_that_came_to_nothing_stays_open_with_its_reason(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    page = await browser.operate("patch", patch="[")
    assert page.status_code == 400
    assert page.text.count('<details class="verb" open>') == 1
    assert page.text.count('value="because"') == 1


async def test_a_verb_that_is_none_is_a_404(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    await browser.look_at(made)
    page = await browser.http.post(f"/instances/{made.id}/explode", data={})
    assert page.status_code in (403, 404)


async def test_parked_work_is_tried_again_where_it_was_chosen(browser: Dashboard):
    made = [await browser.runtime.create_instance("order") for _ in range(3)]
    browser.clock.advance("15m")
    await browser.runtime.process_timeouts()
    for one in made[:2]:
        await browser.runtime.patch_context(one.id, {"stock": 1})
    text = words(await browser.get("/parked"))
    assert text.count("timeout look, after 1 attempt") == 3
    assert "nothing is in stock" in text
    page = await browser.send(
        "/parked", instance=[str(one.id) for one in made[:2]], reason="restocked", confirmed="yes"
    )
    assert page.status_code == 200
    assert "2 tried again." in words(page)
    assert [(await browser.runtime.get_instance(one)).parked_at is None for one in made] == [True, True, False]
    assert (await browser.runtime.get_history(made[0].id, limit=1))[0].trigger_metadata["reason"] == "restocked"


async def test_bulk_retry_wants_a_reason_a_confirmation_and_a_choice(browser: Dashboard):
    made = await browser.runtime.create_instance("order")
    browser.clock.advance("15m")
    await browser.runtime.process_timeouts()
    await browser.get("/parked")
    page = await browser.send("/parked")
    assert page.status_code == 400
    assert "a reason" in words(page)
    assert "an instance" in words(page)
    assert (await browser.runtime.get_instance(made)).parked_at is not None


async def test_an_instance_is_made_from_its_definition(browser: Dashboard):
    await browser.get("/definition", params={"workflow": "order"})
    page = await browser.send("/definition?workflow=order", context='{"total": 3}', metadata='{"customer": "ada"}')
    assert page.status_code == 200
    assert "The instance was made." in words(page)
    [made] = await browser.runtime.find_instances()
    assert (made.context, made.metadata) == ({"total": 3}, {"customer": "ada"})


async def test_an_instance_that_cannot_be_made_is_told_why(browser: Dashboard):
    await browser.get("/definition", params={"workflow": "order"})
    page = await browser.send("/definition?workflow=order", context="[1]")
    assert page.status_code == 400
    assert "context" in words(page)
    assert "[1]" in page.text


async def test_a_command_of_the_first_state_that_raises_is_told(open_dashboard: Open):
    crashing = {
        "name": "n",
        "initial_state": "a",
        "states": {"a": {"on_enter": {"commands": ["crash"], "target": "b"}}, "b": {}},
    }
    async with open_dashboard(crashing) as browser:
        await browser.get("/definition", params={"workflow": "n"})
        page = await browser.send("/definition?workflow=n")
        assert page.status_code == 500
        assert "A command raised ZeroDivisionError, and nothing was applied." in words(page)
        assert "secret of the server" not in page.text
