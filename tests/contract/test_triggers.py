"""What operators can do about triggers over HTTP."""

from typing import Any

import pytest

from detent.service.http.operations import TRIGGER_OPERATIONS
from tests.contract.doors import url_of
from tests.contract.full import full

TRIGGERS = "/workflows/triggers"


async def test_the_routes_of_triggers_are_not_there_unasked(door):
    async with full(door, routes={"triggers": False}) as shop:
        answers = [await shop.client.request(one.method, url_of(one)) for one in TRIGGER_OPERATIONS.values()]
    assert {answer.status_code for answer in answers} == {404}


async def test_routes_of_triggers_want_triggers(door):
    with pytest.raises(Exception, match="TriggerService"):
        async with door.serve(routes={"triggers": True}):
            pass


async def test_triggers_are_listed_by_name_and_the_schedules_by_their_kind(door):
    async with full(door) as shop:
        every = (await shop.client.get(TRIGGERS)).json()
        schedules = (await shop.client.get(TRIGGERS, params={"kind": "cron"})).json()
        none = (await shop.client.get(TRIGGERS, params={"flow": "other"})).json()
        odd = await shop.client.get(TRIGGERS, params={"state": "lost"})
    assert [(one["name"], one["kind"], one["state"]) for one in every] == [
        ("hook", "http", "enabled"),
        ("nightly", "cron", "enabled"),
    ]
    assert [one["name"] for one in schedules] == ["nightly"]
    assert schedules[0]["next_at"] is not None
    assert (none, odd.status_code, odd.json()["path"]) == ([], 400, "state")


async def test_a_trigger_tells_what_was_written_and_what_it_did(door):
    async with full(door) as shop:
        await shop.client.post(f"{TRIGGERS}/hook/fire", json={"payload": {"id": 7}})
        told = (await shop.client.get(f"{TRIGGERS}/hook")).json()
        [invocation] = (await shop.client.get(f"{TRIGGERS}/hook/history")).json()
        none = (await shop.client.get(f"{TRIGGERS}/hook/history", params={"before": invocation["sequence"]})).json()
    assert (told["trigger"]["flow"], told["statistics"]["by_status"]) == ("welcome", {"success": 1})
    assert (invocation["status"], invocation["source"], invocation["body"]) == ("success", "manual", {"id": 7})
    assert none == []


async def test_fired_under_a_key_it_starts_one_execution(door):
    async with full(door) as shop:
        fired = [
            await shop.client.post(f"{TRIGGERS}/nightly/fire", json={}, headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]
    assert [(answer.status_code, answer.json()["created"]) for answer in fired] == [(201, True), (200, False)]
    assert fired[0].json()["execution_id"] == fired[1].json()["execution_id"]


async def test_a_trigger_is_switched_off_held_and_put_to_work_again(door):
    async with full(door, routes={"acting": lambda request: {"actor": "ana"}}) as shop:
        states = []
        for verb in ("disable", "enable", "pause", "resume"):
            answer = await shop.client.post(
                f"{TRIGGERS}/hook/{verb}", json={"reason": "spam"} if verb == "pause" else {}
            )
            states.append((answer.status_code, answer.json()["state"]))
        disabled = await shop.client.post(f"{TRIGGERS}/nightly/disable", json={})
        fired = await shop.client.post(f"{TRIGGERS}/nightly/fire", json={})
        [entry, *_] = await shop.workflows.get_history(disabled.json()["id"])
    assert states == [(200, "disabled"), (200, "enabled"), (200, "paused"), (200, "enabled")]
    assert (disabled.json()["next_at"], fired.status_code, fired.json()["code"]) == (None, 409, "trigger_disabled")
    assert {"actor": "ana"}.items() <= entry.trigger_metadata.items()


@pytest.mark.parametrize("name", ["none", "01920000-0000-7000-8000-000000000000"])
async def test_a_trigger_that_is_not_there_is_404(door, name):
    async with full(door) as shop:
        for operation in TRIGGER_OPERATIONS.values():
            if "{trigger}" in operation.path:
                said: dict[str, Any] = {"json": {}} if operation.method == "POST" else {}
                answer = await shop.client.request(operation.method, url_of(operation, trigger=name), **said)
                assert (answer.status_code, answer.json()["code"]) == (404, "unknown_trigger"), operation.name


async def test_a_tenant_reaches_its_own_triggers(door):
    async with full(door, routes={"tenant": lambda request: request.headers.get("x-tenant")}) as shop:
        await shop.triggers.for_tenant("acme").register({"kind": "http", "name": "mine", "flow": "welcome"})
        listed = [
            [one["name"] for one in (await shop.client.get(TRIGGERS, headers={"X-Tenant": who})).json()]
            for who in ("acme", "zeta")
        ]
        others = await shop.client.post(f"{TRIGGERS}/mine/disable", json={}, headers={"X-Tenant": "zeta"})
    assert (listed, others.status_code) == ([["mine"], []], 404)
