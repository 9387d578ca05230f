"""The door of HTTP triggers, in the words of HTTP."""

import hashlib
import hmac
from contextlib import asynccontextmanager
from typing import Any

import pytest

from detent.flows import ContextLimits, Flow, FlowBook, Step, handler, success
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.triggers import CronTrigger, HttpTrigger, Trigger

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}


@handler("keep", targets=False)
async def keep(ctx, input):
    return success(input)


KEEP = Flow("keep", initial_step_id="keep", steps={"keep": Step("keep", input={"full": True}, output_key="seen")})


@pytest.fixture
def hooked(door):
    """Starts an application with webhooks: `async with hooked(...) as (client, triggers)`."""

    @asynccontextmanager
    async def start(*declared: Trigger, keeper=None, **options: Any):
        book, triggers = (
            FlowBook(flows=[KEEP], handlers=[keep], limits=ContextLimits(value_bytes=10_000)),
            TriggerBook(),
        )
        made: list[TriggerService] = []

        def make(workflows):
            made.append(TriggerService(workflows, book, triggers, secrets={"github": "s3cret"}))
            return made[0]

        async with door.serve(
            keeper=keeper,
            webhooks=options,
            definitions=[*book.definitions, *triggers.definitions],
            commands=[*book.commands, *triggers.commands],
            guards=[],
            triggers=make,
        ) as client:
            for trigger in declared:
                await made[0].register(trigger)
            yield client, made[0]

    return start


async def test_by_default_there_is_no_door(door):
    async with door.serve() as client:
        assert (await client.post("/webhooks/hook", json={})).status_code == 404


async def test_a_call_starts_an_execution_and_the_same_call_finds_it(hooked):
    hook = HttpTrigger(name="hook", flow="keep", idempotency_from={"header": "X-Delivery"})
    async with hooked(hook) as (client, triggers):
        first = await client.post("/webhooks/hook", json={"id": 1}, headers={"X-Delivery": "a"})
        again = await client.post("/webhooks/hook", json={"id": 1}, headers={"X-Delivery": "a"})
        by_id = await client.post(f"/webhooks/{(await triggers.get('hook')).id}", json={}, headers={"X-Delivery": "b"})
    assert (first.status_code, again.status_code, by_id.status_code) == (201, 200, 201)
    assert first.json() == {"execution_id": again.json()["execution_id"], "created": True}


async def test_an_invalid_body_is_a_problem_with_every_error(hooked):
    async with hooked(HttpTrigger(name="hook", flow="keep", input_schema=SCHEMA)) as (client, _):
        answer = await client.post("/webhooks/hook", json={"id": "x"})
        garbled = await client.post("/webhooks/hook", content=b"{")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "validation_failed"
    assert answer.json()["errors"] == [{"path": "id", "message": "'x' is not of type 'integer'", "keyword": "type"}]
    assert [error["keyword"] for error in garbled.json()["errors"]] == ["json"]


async def test_every_refusal_has_its_status_and_code(hooked):
    signature = {"scheme": "github", "secret": "github"}
    async with hooked(
        HttpTrigger(name="off", flow="keep", enabled=False),
        HttpTrigger(name="held", flow="keep"),
        HttpTrigger(name="signed", flow="keep", signature=signature),
        HttpTrigger(name="small", flow="keep"),
        CronTrigger(name="nightly", flow="keep", expression="0 3 * * *"),
    ) as (client, triggers):
        await triggers.pause("held")
        asked = {
            "none": b"{}",
            "off": b"{}",
            "held": b"{}",
            "signed": b"{}",
            "small": b'"%s"' % (b"x" * 20_000),
            "nightly": b"{}",
        }
        found = {name: await client.post(f"/webhooks/{name}", content=body) for name, body in asked.items()}
        signed = "sha256=" + hmac.new(b"s3cret", b"{}", hashlib.sha256).hexdigest()
        let_in = await client.post("/webhooks/signed", content=b"{}", headers={"X-Hub-Signature-256": signed})
    assert {name: (answer.status_code, answer.json()["code"]) for name, answer in found.items()} == {
        "none": (404, "unknown_trigger"),
        "off": (403, "trigger_disabled"),
        "held": (503, "trigger_paused"),
        "signed": (401, "signature_refused"),
        "small": (413, "context_too_large"),
        "nightly": (400, "trigger_not_http"),
    }
    assert found["held"].headers["retry-after"] == "60"
    assert let_in.status_code == 201


async def test_a_body_beyond_the_limit_is_not_read(hooked):
    async with hooked(HttpTrigger(name="hook", flow="keep"), max_body_size=100) as (client, triggers):
        answer = await client.post("/webhooks/hook", content=b"1" * 200)
        assert (await triggers.statistics("hook")).total == 0
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_guards_stand_before_the_triggers(hooked):
    def webhooks_alone(headers, action):
        return None if action == "webhook" and headers.get("x-key") == "k" else 403

    hook = HttpTrigger(name="hook", flow="keep")
    async with hooked(hook, keeper=webhooks_alone, info=True) as (client, triggers):
        turned_away = await client.post("/webhooks/hook", json={})
        let_in = await client.post("/webhooks/hook", json={}, headers={"x-key": "k"})
        info = await client.get("/webhooks/hook", headers={"x-key": "k"})
        assert (await triggers.statistics("hook")).total == 1
    assert (turned_away.status_code, let_in.status_code, info.status_code) == (403, 201, 403)


async def test_a_tenants_door_reaches_its_own_triggers(hooked):
    async with hooked(
        HttpTrigger(name="hook", flow="keep", tenant="acme"), tenant=lambda request: request.headers.get("x-tenant")
    ) as (client, _):
        answers = [
            await client.post("/webhooks/hook", json={}, headers=headers)
            for headers in ({"x-tenant": "acme"}, {"x-tenant": "other"}, {})
        ]
    assert [answer.status_code for answer in answers] == [201, 404, 403]


async def test_what_a_trigger_takes_is_told_where_that_is_wanted(hooked):
    hook = HttpTrigger(name="hook", flow="keep", input_schema=SCHEMA, description="Orders of the shop.")
    nightly = CronTrigger(name="nightly", flow="keep", expression="0 3 * * *")
    async with hooked(hook, nightly, info=True) as (client, _):
        told = await client.get("/webhooks/hook")
        others = [(await client.get(f"/webhooks/{name}")) for name in ("nightly", "none")]
    assert told.json() | {"id": ""} == {
        "id": "",
        "name": "hook",
        "enabled": True,
        "description": "Orders of the shop.",
        "input_schema": SCHEMA,
        "signature": None,
    }
    assert [(answer.status_code, answer.json()["code"]) for answer in others] == [(404, "not_found")] * 2
    async with hooked(hook) as (client, _):
        assert (await client.get("/webhooks/hook")).status_code == 405


async def test_the_document_describes_the_door(hooked, door):
    async with hooked(path="/hooks", info=True) as (client, _):
        document = (await client.get(door.documents)).json()
    item = document["paths"]["/hooks/{trigger}"]
    assert (item["post"]["operationId"], item["get"]["operationId"]) == ("webhooks_receive", "webhooks_describe")
    responses = set(item["post"]["responses"]) - {"default"}
    assert responses == {"200", "201", "400", "401", "403", "404", "413", "500", "503"}
