"""Routes that are bound to the tenant of their request: another one's instances are not there."""

import pytest

from detent.service.http.operations import OPERATIONS
from detent_litestar import AllowAll, Controllers

INSTANCES = "/workflows/instances"
ACME, ZETA = {"X-Tenant": "acme"}, {"X-Tenant": "zeta"}


@pytest.fixture
def bound():
    """Routes for the tenant in a header, as a gateway would set it."""
    return Controllers(policy=AllowAll(), tenant=lambda request: request.headers.get("x-tenant"))


@pytest.fixture
def shop(serve, configured, store, bound):
    return serve(configured(store=store, controllers=bound))


async def test_what_a_request_makes_is_its_tenants(shop):
    async with shop as client:
        made = await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME)
        found = await client.get(made.headers["location"], headers=ACME)
        paid = await client.post(
            f"{made.headers['location']}/events/pay", json={"payload": {"amount": 5}}, headers=ACME
        )
    assert (made.status_code, found.status_code, paid.status_code) == (201, 200, 200)
    assert made.json()["tenant"] == found.json()["tenant"] == paid.json()["instance"]["tenant"] == "acme"


async def test_another_tenants_instance_is_404_in_every_route(shop):
    async with shop as client:
        path = (await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME)).headers["location"]
        asked = [
            ("GET", path),
            ("GET", f"{path}/events"),
            ("POST", f"{path}/events/pay"),
            ("GET", f"{path}/history"),
            ("GET", f"{path}/changes"),
            ("GET", f"{path}/diagram"),
        ]
        for method, url in asked:
            body = {"json": {"payload": {"amount": 5}}} if method == "POST" else {}
            answer = await client.request(method, url, headers=ZETA, **body)
            assert (answer.status_code, answer.json()["code"]) == (404, "instance_not_found"), url
        keyed = await client.post(
            f"{path}/events/pay", json={}, headers=ZETA | {"Idempotency-Key": "k", "If-Match": "1"}
        )
        assert (await client.get(path, headers=ACME)).json()["version"] == 1
    assert keyed.status_code == 404
    with_id = [route for route in OPERATIONS.values() if "instance_id" in route.path]
    assert len(with_id) == len(asked), "a new route wants a line above"


async def test_an_answer_kept_under_a_key_is_no_other_tenants(shop):
    key = {"Idempotency-Key": "k"}
    async with shop as client:
        mine = await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME | key)
        other = await client.post(INSTANCES, json={"workflow": "order", "context": {"a": 1}}, headers=ZETA | key)
        pay = f"{mine.headers['location']}/events/pay"
        await client.post(pay, json={"payload": {"amount": 5}}, headers=ACME | key)
        replay = await client.post(pay, json={"payload": {"amount": 5}}, headers=ZETA | key)
    assert (mine.status_code, other.status_code, replay.status_code) == (201, 201, 404)
    assert mine.json()["id"] != other.json()["id"]


async def test_the_tenant_never_comes_from_the_body(shop):
    async with shop as client:
        refused = await client.post(INSTANCES, json={"workflow": "order", "tenant": "zeta"}, headers=ACME)
        named = await client.post(INSTANCES, json={"workflow": "order", "metadata": {"tenant": "zeta"}}, headers=ACME)
    assert (refused.status_code, refused.json()["problems"][0]["path"]) == (400, "tenant")
    assert named.json()["tenant"] == "acme"


async def test_a_request_of_no_tenant_is_turned_away(shop):
    async with shop as client:
        answers = [
            await client.post(INSTANCES, json={"workflow": "order"}),
            await client.get("/workflows/definitions"),
            await client.get(f"{INSTANCES}/{'0' * 32}"),
        ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "not_allowed")] * 3


@pytest.mark.parametrize("tenant", ["", " ", "t" * 257])
async def test_what_cannot_be_a_tenant_is_400(shop, tenant):
    async with shop as client:
        answer = await client.get("/workflows/definitions", headers={"X-Tenant": tenant})
    assert (answer.status_code, answer.json()["path"]) == (400, "tenant")


async def test_without_tenants_the_routes_reach_every_instance(serve, configured, store, bound):
    async with serve(configured(store=store, controllers=bound)) as client:
        path = (await client.post(INSTANCES, json={"workflow": "order"}, headers=ACME)).headers["location"]
        async with serve(configured(store=store)) as staff:
            assert (await staff.get(path)).json()["tenant"] == "acme"
