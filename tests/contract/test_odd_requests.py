"""Odd bodies, paths and headers: whatever arrives, the server is not at fault."""

import json
from urllib.parse import quote_from_bytes, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detent import MemoryStore, SqliteStore, WorkflowDefinition
from detent.ids import new_id
from tests.contract.doors import INSTANCES

TASK = {
    "name": "task",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "note": {"target": "open", "payload": {"type": "object", "properties": {"text": {"type": "string"}}}},
                "any": {"target": "open"},
            }
        }
    },
}

ODD_TEXT = st.text() | st.sampled_from(
    ["", " ", "\0", "..", "/", "//", "%", "%00", "$created", "note", "any", "\ufffe"]
)
ODD_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=8,
)
ODD_BODY = (
    st.binary(max_size=60)
    | ODD_VALUE.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            "workflow": st.sampled_from(["task", "other"]) | ODD_VALUE,
            "context": ODD_VALUE,
            "metadata": ODD_VALUE,
            "trigger_metadata": ODD_VALUE,
            "payload": ODD_VALUE,
            "expected_version": ODD_VALUE,
            "tenant": ODD_VALUE,
        },
    ).map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda depth, mark: mark * depth, st.integers(1, 3000), st.sampled_from([b"[", b'{"a":', b'{"payload":['])
    )
)
ODD_BYTES = st.binary(max_size=40) | ODD_TEXT.map(lambda text: text.encode())
HEADERS = st.fixed_dictionaries(
    {"content-type": st.just(b"application/json") | ODD_BYTES},
    optional={
        "idempotency-key": ODD_BYTES | st.sampled_from([b"k", b"k" * 256, b"k" * 257, b"\xed\xa0\x80"]),
        "if-match": ODD_BYTES | st.sampled_from([b"*", b'"1"', b'W/"2"', b"1", b'"0"', b'"', b'"1", "2"']),
        "accept": ODD_BYTES | st.sampled_from([b"text/plain;q=x", b"*/*;q=2", b";", b"text/vnd.mermaid"]),
        "x-tenant": ODD_BYTES,
        "cookie": ODD_BYTES,
        "content-length": ODD_BYTES,
    },
)
SEGMENT = st.binary(max_size=20).map(quote_from_bytes) | ODD_TEXT.map(lambda text: quote_from_bytes(text.encode()))
INSTANCE = st.just("MINE") | st.builds(lambda: str(new_id())) | SEGMENT
PATH = st.one_of(
    st.just("/instances"),
    st.just("/definitions"),
    st.builds("/instances/{}".format, INSTANCE),
    st.builds("/instances/{}/{}".format, INSTANCE, st.sampled_from(["events", "history", "diagram"])),
    st.builds("/instances/{}/events/{}".format, INSTANCE, st.sampled_from(["note", "any"]) | SEGMENT),
    st.builds("/definitions/{}/diagram".format, st.just("task") | SEGMENT),
)
QUERY = (
    st.just(b"")
    | st.binary(max_size=20)
    | st.builds(
        lambda name, value: f"{name}={quote_from_bytes(value)}".encode(),
        st.sampled_from(["limit", "before", "style"]),
        ODD_BYTES | st.integers().map(lambda number: str(number).encode()),
    )
)
REQUEST = st.tuples(st.sampled_from(["GET", "POST", "PUT"]), PATH, QUERY, HEADERS, ODD_BODY | st.just(b"{}"))


async def ask(app, method, path, query, headers, body):
    """The status, the headers and the body of the answer, asked for as a server does: in bytes."""
    said, told = [{"type": "http.request", "body": body, "more_body": False}], []

    async def receive():
        return said.pop() if said else {"type": "http.disconnect"}

    async def send(message):
        told.append(message)

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(name.encode(), value) for name, value in headers.items()],
            "client": ("test", 1),
            "server": ("shop.test", 80),
            "state": {},
        },
        receive,
        send,
    )
    whole = b"".join(message.get("body", b"") for message in told[1:])
    return told[0]["status"], dict(told[0]["headers"]), whole


def tenant_of(request):
    return request.headers.get("x-tenant", "acme")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore(lock_timeout=0.2) if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@settings(max_examples=20)
@example([("GET", "/instances/MINE", b"\x80", {}, b"")])
@given(st.lists(REQUEST, min_size=1, max_size=10))
async def test_no_request_is_the_servers_fault(door, store, requests):
    parts = {"definitions": [WorkflowDefinition.from_dict(TASK)], "commands": [], "guards": []}
    async with door.serve(store=store, routes={"tenant": tenant_of}, **parts) as client:
        mine = (await client.post(INSTANCES, json={"workflow": "task"})).json()["id"]
        for method, path, query, headers, body in requests:
            path = f"/workflows{path.replace('MINE', mine)}"
            status, answered, whole = await ask(client.app, method, path, query, headers, body)
            assert status < 500, (method, path, query, headers, body, whole)
            if answered.get(b"content-type") == b"application/problem+json":
                problem = json.loads(whole)
                assert problem["status"] == status
                assert problem["code"]
