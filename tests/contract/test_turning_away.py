"""Requests that get no further: every error is a problem of the same form, with a status and a code."""

import json

import httpx
import pytest

from detent import MemoryStore, Settings
from detent.errors import OutcomeUnknown, StoreUnavailable
from detent.ids import new_id
from tests.contract.doors import INSTANCES, JSON, create

PROBLEM = "application/problem+json"


def of(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an error, which has the form of one."""
    assert answer.headers["content-type"] == PROBLEM, answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:detent:problem:{told['code']}"
    assert told["title"]
    assert told["detail"]
    return answer.status_code, told["code"]


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/msgpack", ""],
)
async def test_json_under_another_name_is_415(door, kind):
    """A form on a foreign page can send these without asking first."""
    headers = {"Content-Type": kind} if kind else {}
    async with door.serve() as client:
        created = await client.post(INSTANCES, content=b'{"workflow": "order"}', headers=headers)
        triggered = await client.post(f"{INSTANCES}/{'0' * 32}/events/pay", headers=headers)
    for answer in (created, triggered):
        assert of(answer) == (415, "json_expected")
        assert answer.headers["accept-post"] == "application/json"


async def test_json_with_a_charset_is_json(door):
    async with door.serve() as client:
        answer = await client.post(
            INSTANCES, content=b'{"workflow": "order"}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
        )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="torn"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"workflow": "order"}{}', id="two values"),
        pytest.param(b'{"workflow": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"workflow": "order", "context": {"a": "\\ud800"}}', id="lone surrogate"),
        pytest.param(b'{"workflow": "order", "context": {"a": "\\u0000"}}', id="NUL"),
        pytest.param(b'{"workflow": "order", "context": {"a": NaN}}', id="NaN"),
        pytest.param(b'{"workflow": "order", "context": {"a": 1e400}}', id="infinite"),
        pytest.param(b'{"workflow": "order", "context": {"a": %s}}' % (b"9" * 5000), id="5000 digits"),
        pytest.param(b'{"workflow": "order", "context": {"a": %s1%s}}' % (b"[" * 40, b"]" * 40), id="nested 40 deep"),
        pytest.param(b"[" * 100_000, id="nested 100000 deep"),
        pytest.param(b'{"workflow": 5}', id="workflow is a number"),
        pytest.param(b'{"workflow": ""}', id="workflow is empty"),
        pytest.param(b'{"context": {}}', id="no workflow"),
        pytest.param(b'{"workflow": "order", "state": "paid"}', id="unknown field"),
        pytest.param(b'{"workflow": "order", "context": {"a": %s}}' % (b"9" * 400), id="400 digits"),
        pytest.param(
            b'{"workflow": "order", "context": {"a": %s1%s}}' % (b"[" * 900, b"]" * 900), id="nested 900 deep"
        ),
        pytest.param(b'{"workflow": "order", "context": []}', id="context is a list"),
        pytest.param(b'{"workflow": "order", "version": 9}', id="field of the server"),
    ],
)
async def test_a_body_that_cannot_be_taken_is_400(door, body):
    async with door.serve() as client:
        answer = await client.post(INSTANCES, content=body, headers=JSON)
    assert of(answer)[0] == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400


async def test_what_is_invalid_is_named_where_it_was_sent(door):
    async with door.serve() as client:
        path = await create(client)
        answers = {
            "colour": await client.post(INSTANCES, json={"workflow": "order", "colour": "red"}),
            "workflow": await client.post(INSTANCES, json={}),
            "expected_version": await client.post(f"{path}/events/try", json={"expected_version": "1"}),
            "limit": await client.get(f"{path}/history?limit=0"),
            "before": await client.get(f"{path}/history?before={'9' * 30}"),
            "style": await client.get("/workflows/definitions/order/diagram?style=x"),
            "symbols": await client.get(f"{path}/diagram?symbols=emoji"),
            "instance_id": await client.get(f"{INSTANCES}/7"),
            "Idempotency-Key": await client.post(f"{path}/events/try", json={}, headers={"Idempotency-Key": "k" * 257}),
        }
    assert {place: of(answer) for place, answer in answers.items()} == dict.fromkeys(answers, (400, "invalid_request"))
    assert {place: [fault["path"] for fault in a.json()["problems"]] for place, a in answers.items()} == {
        place: [place] for place in answers
    }


@pytest.mark.parametrize("said", ["", "0", '"05"', '"one"', '"1", "2"', "9" * 5000])
async def test_a_condition_that_names_no_version_is_400(door, said):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client)}/events/try", json={}, headers={"If-Match": said})
    assert of(answer) == (400, "invalid_value")
    assert answer.json()["path"] == "If-Match"


async def test_a_payload_that_breaks_its_model_is_400_and_says_where(door):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client)}/events/pay", json={"payload": {"amount": "much"}})
    assert of(answer) == (400, "invalid_value")
    assert "\n" not in answer.json()["detail"]
    assert answer.json()["problems"]


async def test_a_body_beyond_the_limit_is_413(door):
    small = json.dumps({"workflow": "order", "context": {"a": "x" * (1024 * 1024 - 100)}}).encode()
    large = json.dumps({"workflow": "order", "context": {"a": "x" * 1024 * 1024}}).encode()
    async with door.serve() as client:
        fits = await client.post(INSTANCES, content=small, headers=JSON)
        answer = await client.post(INSTANCES, content=large, headers=JSON)
    assert fits.status_code == 201
    assert of(answer) == (413, "body_too_large")


async def test_a_body_whose_length_nobody_told_is_counted(door):
    async def in_pieces():
        for _ in range(4):
            yield b" " * 50

    async with door.serve(routes={"max_body_size": 100}) as client:
        answer = await client.post(INSTANCES, content=in_pieces(), headers=JSON)
    assert of(answer) == (413, "body_too_large")


async def test_what_is_not_there_is_404(door):
    async with door.serve() as client:
        missing = f"{INSTANCES}/{new_id()}"
        answers = [
            await client.get(missing),
            await client.get(f"{missing}/events"),
            await client.get(f"{missing}/history"),
            await client.get(f"{missing}/diagram"),
            await client.post(f"{missing}/events/pay", json={}),
            await client.post(INSTANCES, json={"workflow": "ordr"}),
            await client.get("/workflows/definitions/ordr/diagram"),
        ]
    assert [of(answer) for answer in answers] == [(404, "instance_not_found")] * 5 + [(404, "unknown_workflow")] * 2


async def test_what_is_not_possible_now_is_409(door):
    async with door.serve() as client:
        path = await create(client)
        refused = await client.post(f"{path}/events/approve", json={})
        unknown = await client.post(f"{path}/events/open", json={})
    assert of(refused) == (409, "event_refused")
    assert (refused.json()["reason"], refused.json()["state"]) == ("nothing is in stock", "new")
    assert of(unknown) == (409, "event_not_available")
    assert "pay" in unknown.json()["available"]


async def test_a_failure_that_nothing_takes_is_422(door):
    async with door.serve() as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/charge", json={})
        found = await client.get(path)
    assert of(answer) == (422, "command_failed")
    assert (answer.json()["failure_code"], answer.json()["failure_message"]) == ("card_declined", "the bank said no")
    assert found.json()["state"] == "new"


class Breakable(MemoryStore):
    """A store whose database can go away."""

    error: Exception | None = None

    async def load(self, *arguments, **options):
        if self.error is not None:
            raise self.error
        return await super().load(*arguments, **options)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailable("postgres://detent:secret@db refused"), (503, "store_unavailable")),
        (OutcomeUnknown(new_id(), 1), (500, "outcome_unknown")),
    ],
)
async def test_what_only_we_can_cause_is_told_without_our_words(door, error, expected):
    store = Breakable()
    async with door.serve(store=store, settings=Settings()) as client:
        path = await create(client)
        store.error = error
        answer = await client.get(path)
        store.error = None
    assert of(answer) == expected
    assert "secret" not in answer.text
    assert answer.headers.get("retry-after") == ("1" if answer.status_code == 503 else None)
