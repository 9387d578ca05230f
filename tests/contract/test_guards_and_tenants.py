"""Who may use the routes, and whose instances they reach."""

import pytest

from detent.ids import new_id
from detent.service.http.operations import OPERATIONS
from tests.contract.doors import INSTANCES, create, url_of

ACME, ZETA = {"X-Tenant": "acme"}, {"X-Tenant": "zeta"}


def every_operation(path: str) -> list[tuple[str, str]]:
    """The method and the path of each operation, where it is about an instance of the instance at `path`."""
    instance = path.rpartition("/")[2]
    return [(operation.method, url_of(operation, instance_id=instance)) for operation in OPERATIONS.values()]


async def test_guards_hold_for_every_operation(door):
    async with door.serve(keeper=lambda headers, action: None if headers.get("x-key") == "k" else 401) as client:
        path = f"{INSTANCES}/{new_id()}"
        for method, url in every_operation(path):
            body = {"json": {"workflow": "order"}} if method == "POST" else {}
            answer = await client.request(method, url, **body)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), url
        let_in = await client.post(INSTANCES, json={"workflow": "order"}, headers={"x-key": "k"})
    assert let_in.status_code == 201


async def test_who_may_not_use_a_route_gets_no_body_read(door):
    read = []

    async def endless():
        read.append("a piece")
        yield b"{"

    async with door.serve(keeper=lambda headers, action: 403) as client:
        answer = await client.post(INSTANCES, content=endless(), headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"], read) == (403, "not_allowed", [])


async def test_a_guard_can_tell_what_is_asked_for(door):
    async with door.serve(keeper=lambda headers, action: None if action == "read" else 403) as client:
        read = await client.get("/workflows/definitions")
        started = await client.post(INSTANCES, json={"workflow": "order"})
        triggered = await client.post(f"{INSTANCES}/{'0' * 32}/events/pay", json={})
    assert (read.status_code, started.status_code, triggered.status_code) == (200, 403, 403)


async def test_the_routes_can_be_elsewhere(door):
    async with door.serve(routes={"path": "/api/v1/flows"}) as client:
        answer = await client.post("/api/v1/flows/instances", json={"workflow": "order"})
        found = await client.get(answer.headers["location"])
        gone = await client.get("/workflows/definitions")
    assert answer.headers["location"].startswith("/api/v1/flows/instances/")
    assert (found.status_code, gone.status_code) == (200, 404)


@pytest.fixture
def bound():
    """Routes for the tenant in a header, as a gateway would set it."""
    return {"tenant": lambda request: request.headers.get("x-tenant")}


async def test_what_a_request_makes_is_its_tenants_and_no_other_finds_it(door, bound):
    async with door.serve(routes=bound) as client:
        made = await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME)
        assert (made.status_code, made.json()["tenant"]) == (201, "acme")
        about_it = [asked for asked in every_operation(made.headers["location"]) if made.json()["id"] in asked[1]]
        for method, url in about_it:
            body: dict[str, dict[str, str]] = {"json": {}} if method == "POST" else {}
            other = await client.request(method, url, headers=ZETA, **body)
            assert (other.status_code, other.json()["code"]) == (404, "instance_not_found"), url
            # This client would wait for the end of a stream; `test_changes` reads one.
            if not url.endswith("/changes"):
                mine = await client.request(method, url, headers=ACME, **body)
                assert mine.status_code == 200, url


async def test_an_answer_kept_under_a_key_is_no_other_tenants(door, bound):
    key = {"Idempotency-Key": "k"}
    async with door.serve(routes=bound) as client:
        mine = await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME | key)
        other = await client.post(INSTANCES, json={"workflow": "order", "context": {"a": 1}}, headers=ZETA | key)
    assert (mine.status_code, other.status_code) == (201, 201)
    assert mine.json()["id"] != other.json()["id"]


async def test_the_tenant_never_comes_from_the_body(door, bound):
    async with door.serve(routes=bound) as client:
        answer = await client.post(INSTANCES, json={"workflow": "order", "tenant": "zeta"}, headers=ACME)
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (400, "tenant")


async def test_a_request_of_no_tenant_is_turned_away(door, bound):
    async with door.serve(routes=bound) as client:
        answers = [
            await client.post(INSTANCES, json={"workflow": "order"}),
            await client.get("/workflows/definitions"),
            await client.get(f"{INSTANCES}/{'0' * 32}"),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "not_allowed")] * 3


@pytest.mark.parametrize("tenant", ["", " ", "t" * 257])
async def test_what_cannot_be_a_tenant_is_400(door, bound, tenant):
    async with door.serve(routes=bound) as client:
        answer = await client.get("/workflows/definitions", headers={"X-Tenant": tenant})
    assert (answer.status_code, answer.json()["path"]) == (400, "tenant")


async def test_without_tenants_what_is_made_is_nobodys(door):
    async with door.serve() as client:
        assert (await client.get(await create(client))).json()["tenant"] == ""
