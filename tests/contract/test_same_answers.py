"""The doors side by side: the same requests, in the same order, get the same statuses, headers and bodies."""

import re
from typing import Any

import httpx
import pytest

from detent.testing.clock import FakeClock
from tests.contract.doors import DOORS, INSTANCES, JSON, Door

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEADERS = (
    "accept-post",
    "content-type",
    "etag",
    "idempotency-replayed",
    "location",
    "retry-after",
    "vary",
    "x-content-type-options",
)
NOBODY = f"{INSTANCES}/01a1fbe2-94b1-766a-8e79-342cd7a7190e"
MINE = "{mine}"

KEYED = {"Idempotency-Key": "k"}
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "get": ("GET", MINE, {}),
    "events": ("GET", f"{MINE}/events", {}),
    "try": ("POST", f"{MINE}/events/try", {"json": {}}),
    "try under a key": ("POST", f"{MINE}/events/try", {"json": {"payload": [1]}, "headers": KEYED}),
    "the same again": ("POST", f"{MINE}/events/try", {"json": {"payload": [1]}, "headers": KEYED}),
    "another under it": ("POST", f"{MINE}/events/try", {"json": {"payload": [2]}, "headers": KEYED}),
    "a guard's no": ("POST", f"{MINE}/events/approve", {"json": {}}),
    "another version": ("POST", f"{MINE}/events/try", {"json": {}, "headers": {"If-Match": '"77"'}}),
    "no version": ("POST", f"{MINE}/events/try", {"json": {}, "headers": {"If-Match": "latest"}}),
    "no such event": ("POST", f"{MINE}/events/fly", {"json": {}}),
    "a slash in front": ("POST", f"{MINE}/events//try", {"json": {}}),
    "wrong payload": ("POST", f"{MINE}/events/pay", {"json": {"payload": {}}}),
    "a list": ("POST", f"{MINE}/events/try", {"json": []}),
    "null": ("POST", f"{MINE}/events/try", {"content": b"null", "headers": JSON}),
    "empty": ("POST", f"{MINE}/events/try", {"headers": JSON}),
    "unknown field": ("POST", f"{MINE}/events/try", {"json": {"subject": 1}}),
    "failure": ("POST", f"{MINE}/events/charge", {"json": {}}),
    "history": ("GET", f"{MINE}/history?limit=2", {}),
    "before": ("GET", f"{MINE}/history?before=2", {}),
    "history of nobody": ("GET", f"{NOBODY}/history", {}),
    "diagram": ("GET", f"{MINE}/diagram?style=flowchart&symbols=text", {}),
    "mermaid": ("GET", f"{MINE}/diagram", {"headers": {"Accept": "text/html, text/vnd.mermaid;q=0.9, */*;q=0.1"}}),
    "anything": ("GET", f"{MINE}/diagram", {"headers": {"Accept": "*/*"}}),
    "odd wishes": ("GET", f"{MINE}/diagram", {"headers": {"Accept": ";,text/vnd.mermaid;q=x"}}),
    "definitions": ("GET", "/workflows/definitions", {}),
    "definition": ("GET", "/workflows/definitions/order/diagram", {}),
    "no definition": ("GET", "/workflows/definitions/ordr/diagram", {}),
    "no id": ("GET", f"{INSTANCES}/7", {}),
    "durable": ("POST", f"{MINE}/events/send", {"json": {}}),
    "busy": ("POST", f"{MINE}/events/try", {"json": {}}),
    "create": ("POST", INSTANCES, {"json": {"workflow": "order", "context": {"n": 2**70, "f": 0.1}}}),
    "create under a key": ("POST", INSTANCES, {"json": {"workflow": "order"}, "headers": KEYED}),
    "create it again": ("POST", INSTANCES, {"json": {"workflow": "order"}, "headers": KEYED}),
    "create another": ("POST", INSTANCES, {"json": {"workflow": "order", "context": {"a": 1}}, "headers": KEYED}),
    "blank key": ("POST", INSTANCES, {"json": {"workflow": "order"}, "headers": {"Idempotency-Key": " "}}),
    "no UTF-8 key": ("POST", INSTANCES, {"json": {"workflow": "order"}, "headers": {"Idempotency-Key": b"\xff"}}),
    "no workflow": ("POST", INSTANCES, {"json": {}}),
    "unknown workflow": ("POST", INSTANCES, {"json": {"workflow": "ordr"}}),
    "torn": ("POST", INSTANCES, {"content": b'{"workflow"', "headers": JSON}),
    "deep": ("POST", INSTANCES, {"content": b"[" * 5000, "headers": JSON}),
    "text": ("POST", INSTANCES, {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
    "large": ("POST", INSTANCES, {"json": {"workflow": "order", "context": {"a": "x" * 2**20}}}),
}


async def answers(door: Door) -> dict[str, tuple[Any, ...]]:
    async with door.serve(clock=FakeClock()) as client:
        created = await client.post(INSTANCES, json={"workflow": "order"})
        mine = created.headers["location"]
        found = {}
        for name, (method, url, options) in REQUESTS.items():
            found[name] = told(await client.request(method, url.replace(MINE, mine), **options))
    return found


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer tells, without the ids that are drawn for it, and without the words for people of invalid parameters."""
    headers = {name: _ID.sub("ID", answer.headers[name]) for name in _HEADERS if name in answer.headers}
    kind = answer.headers["content-type"]
    body = answer.json() if "json" in kind else answer.text
    if isinstance(body, dict) and body.get("code") == "invalid_request":
        body["problems"] = [fault | {"message": ""} for fault in body.get("problems", ())]
    return answer.status_code, headers, without_ids(body)


def without_ids(value: Any) -> Any:
    match value:
        case dict():
            return {name: without_ids(item) for name, item in value.items()}
        case list():
            return [without_ids(item) for item in value]
        case str():
            return _ID.sub("ID", value)
    return value


@pytest.fixture(scope="module")
async def both():
    return [await answers(door) for door in DOORS]


@pytest.mark.parametrize("name", REQUESTS)
async def test_every_door_answers_alike(both, name):
    litestar, fastapi = both
    assert litestar[name] == fastapi[name]


async def test_the_requests_bring_about_every_status_there_is(both):
    assert {answer[0] for answer in both[0].values()} == {200, 201, 202, 400, 404, 409, 413, 415, 422}
