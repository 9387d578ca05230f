"""What may be in a request: nothing a client sends is the server's fault."""

import json

import pytest

JSON = {"Content-Type": "application/json"}
INSTANCES = "/workflows/instances"


@pytest.fixture
def shop(serve, configured):
    return serve(configured())


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/msgpack", ""],
)
async def test_json_under_another_name_is_415(shop, kind):
    """A form on a foreign page can send these without asking first."""
    headers = {"Content-Type": kind} if kind else {}
    async with shop as client:
        created = await client.post(INSTANCES, content=b'{"workflow": "order"}', headers=headers)
        triggered = await client.post(f"{INSTANCES}/{'0' * 32}/events/pay", headers=headers)
    for answer in (created, triggered):
        assert answer.status_code == 415
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "json_expected"


async def test_json_with_a_charset_is_json(shop):
    async with shop as client:
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
        pytest.param(b'{"workflow": "order", "context": {"a": %s}}' % (b"9" * 400), id="400 digits"),
        pytest.param(b'{"workflow": "order", "context": {"a": %s1%s}}' % (b"[" * 40, b"]" * 40), id="nested 40 deep"),
        pytest.param(
            b'{"workflow": "order", "context": {"a": %s1%s}}' % (b"[" * 900, b"]" * 900), id="nested 900 deep"
        ),
        pytest.param(b"[" * 100_000, id="nested 100000 deep"),
        pytest.param(b'{"workflow": "order", "context": []}', id="context is a list"),
        pytest.param(b'{"workflow": 5}', id="workflow is a number"),
        pytest.param(b'{"workflow": ""}', id="workflow is empty"),
        pytest.param(b'{"context": {}}', id="no workflow"),
        pytest.param(b'{"workflow": "order", "state": "paid"}', id="unknown field"),
        pytest.param(b'{"workflow": "order", "version": 9}', id="field of the server"),
    ],
)
async def test_a_body_that_cannot_be_taken_is_400(shop, body):
    async with shop as client:
        answer = await client.post(INSTANCES, content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400


async def test_an_unknown_field_is_named(shop):
    async with shop as client:
        answer = await client.post(INSTANCES, json={"workflow": "order", "colour": "red"})
    assert [problem["path"] for problem in answer.json()["problems"]] == ["colour"]


async def test_a_payload_that_breaks_its_model_is_400_and_says_where(shop):
    async with shop as client:
        path = (await client.post(INSTANCES, json={"workflow": "order"})).headers["location"]
        answer = await client.post(f"{path}/events/pay", json={"payload": {"amount": "much"}})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_value"
    assert answer.json()["problems"]
    assert "\n" not in answer.json()["detail"]


async def test_a_body_beyond_the_limit_is_413(shop):
    async with shop as client:
        small = json.dumps({"workflow": "order", "context": {"a": "x" * (1024 * 1024 - 100)}}).encode()
        large = json.dumps({"workflow": "order", "context": {"a": "x" * 1024 * 1024}}).encode()
        fits = await client.post(INSTANCES, content=small, headers=JSON)
        answer = await client.post(INSTANCES, content=large, headers=JSON)
    assert fits.status_code == 201
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=" + "9" * 30, "before=0", "before=" + "9" * 30]
)
async def test_a_page_out_of_range_is_400(shop, query):
    async with shop as client:
        path = (await client.post(INSTANCES, json={"workflow": "order"})).headers["location"]
        answer = await client.get(f"{path}/history?{query}")
    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("spelled", ["1", "not-a-uuid", "%00", "00000000-0000-0000-0000-00000000000g", "9" * 5000])
async def test_an_id_that_is_none_is_400(shop, spelled):
    async with shop as client:
        answer = await client.get(f"{INSTANCES}/{spelled}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_style_is_400(shop):
    async with shop as client:
        answer = await client.get("/workflows/definitions/order/diagram", params={"style": "<script>"})
    assert answer.status_code == 400
