"""A request under an idempotency key happens once: the same one again gets the same answer, another one is turned away."""

import asyncio

import httpx
import pytest

from detent import CommandContext, MemoryStore, WorkflowDefinition, command
from detent_litestar import AllowAll, Controllers

INSTANCES = "/workflows/instances"
KEY = {"Idempotency-Key": "cart-1"}


@pytest.fixture
def shop(serve, configured, store):
    """The application on each store, to be entered by the test."""
    return serve(configured(store=store))


async def test_a_creation_that_is_repeated_finds_the_instance_and_answers_200(shop):
    async with shop as client:
        first = await client.post(INSTANCES, json={"workflow": "order"}, headers=KEY)
        again = await client.post(INSTANCES, json={"workflow": "order"}, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_creation_finds_the_instance_as_it_is_now(shop):
    async with shop as client:
        first = await client.post(INSTANCES, json={"workflow": "order"}, headers=KEY)
        await client.post(f"{first.headers['location']}/events/pay", json={"payload": {"amount": 5}})
        again = await client.post(INSTANCES, json={"workflow": "order"}, headers=KEY)
    assert (again.json()["state"], again.headers["etag"]) == ("paid", '"2"')


@pytest.mark.parametrize("other", [{"context": {"stock": 2}}, {"context": {"stock": 1}, "metadata": {"shop": "north"}}])
async def test_a_creation_of_something_else_is_a_conflict(shop, other):
    async with shop as client:
        await client.post(INSTANCES, json={"workflow": "order", "context": {"stock": 1}}, headers=KEY)
        answer = await client.post(INSTANCES, json={"workflow": "order", **other}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert answer.json()["key"] == "cart-1"
    assert "idempotency-replayed" not in answer.headers


async def test_an_event_that_is_repeated_gets_the_same_answer_and_nothing_runs(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        body = {"payload": {"amount": 5}}
        first = await client.post(f"{path}/events/pay", json=body, headers=KEY)
        again = await client.post(f"{path}/events/pay", json=body, headers=KEY)
        history = (await client.get(f"{path}/history")).json()
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() | {"replayed": True} == again.json()
    assert not first.json()["replayed"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert [entry["event"] for entry in history] == ["pay", "$created"]


async def test_the_answer_stays_wherever_the_instance_has_gone_since(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        first = await client.post(f"{path}/events/try", json={}, headers=KEY)
        await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}})
        again = await client.post(f"{path}/events/try", json={}, headers=KEY)
    assert (first.json()["outcome"], again.json()["outcome"]) == ("failure", "failure")
    assert again.json()["commands"] == first.json()["commands"]
    assert again.json()["commands"][0]["code"] == "card_declined"
    assert (again.json()["to_state"], again.json()["instance"]["state"]) == ("new", "paid")
    assert again.headers["etag"] == '"3"'


async def test_a_refusal_that_is_repeated_is_the_same_problem_again(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        first = await client.post(f"{path}/events/approve", json={}, headers=KEY)
        again = await client.post(f"{path}/events/approve", json={}, headers=KEY)
        found = await client.get(path)
    assert (first.status_code, again.status_code) == (409, 409)
    assert first.json()["code"] == "event_refused"
    assert again.json() == first.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert found.json()["version"] == 2


async def test_what_failed_is_not_remembered(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        first = await client.post(f"{path}/events/charge", json={}, headers=KEY)
        second = await client.post(f"{path}/events/ship%20/%20now", json={}, headers=KEY)
    assert (first.status_code, second.status_code) == (422, 200)


@pytest.mark.parametrize(
    ("event", "body"),
    [("pay", {"payload": {"amount": 6}}), ("pay", {"payload": {"amount": 5.0}}), ("try", {"payload": {"amount": 5}})],
    ids=["another payload", "another number", "another event"],
)
async def test_another_event_or_payload_under_the_key_is_a_conflict(shop, new_order, event, body):
    async with shop as client:
        path = await new_order(client)
        await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}}, headers=KEY)
        answer = await client.post(f"{path}/events/{event}", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


async def test_the_order_of_members_and_who_asks_do_not_make_it_another_request(shop, new_order):
    async with shop as client:
        path = await new_order(client)
        one = {"payload": {"amount": 5, "cents": 1}, "trigger_metadata": {"request": "r-1"}}
        two = {"payload": {"cents": 1, "amount": 5}, "trigger_metadata": {"request": "r-2"}}
        await client.post(f"{path}/events/pay", json=one, headers=KEY)
        again = await client.post(f"{path}/events/pay", json=two, headers=KEY)
        newest = (await client.get(f"{path}/history")).json()[0]
    assert again.headers["idempotency-replayed"] == "true"
    assert newest["trigger_metadata"] == {"request": "r-1"}


async def test_what_the_server_says_of_the_sender_does_not_make_it_another_request(serve, configured, new_order):
    requests = iter(range(100))
    controllers = Controllers(policy=AllowAll(), acting=lambda request: {"request": next(requests)})
    async with serve(configured(controllers=controllers)) as client:
        path = await new_order(client)
        await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}}, headers=KEY)
        again = await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}}, headers=KEY)
    assert again.status_code == 200
    assert again.json()["replayed"]


async def test_keys_are_each_instances_own(shop, new_order):
    async with shop as client:
        for path in [await new_order(client), await new_order(client)]:
            answer = await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}}, headers=KEY)
            assert not answer.json()["replayed"]


async def test_of_many_at_once_one_runs(serve, configured, new_order):
    ran = []

    @command("charge")
    async def charge(ctx: CommandContext) -> None:
        ran.append(ctx.event)
        await asyncio.sleep(0)

    definition = WorkflowDefinition.from_dict(
        {
            "name": "order",
            "initial_state": "new",
            "states": {"new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}}}, "paid": {}},
        }
    )
    # Nine of them wait for the lock, on a busy machine longer than the other tests' store lets them.
    parts = {"store": MemoryStore(), "definitions": [definition], "commands": [charge], "guards": []}
    async with serve(configured(**parts)) as client:
        path = await new_order(client)
        answers = await asyncio.gather(*(client.post(f"{path}/events/pay", json={}, headers=KEY) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["replayed"] for answer in answers) == [False] + [True] * 9
    assert ran == ["pay"]


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b" \t ", 400, id="blank"),
        pytest.param("\N{NO-BREAK SPACE}".encode(), 400, id="blank beyond ASCII"),
        pytest.param(b"k" * 257, 400, id="257 bytes"),
        pytest.param("é".encode() * 128 + b"k", 400, id="257 bytes of 129 characters"),
        pytest.param(b"a\0b", 400, id="NUL"),
        pytest.param(b"\xed\xa0\x80", 400, id="lone surrogate"),
        pytest.param(b"caf\xe9", 400, id="latin-1"),
        pytest.param(b"k" * 256, 200, id="256 bytes"),
        pytest.param("é".encode() * 128, 200, id="256 bytes of 128 characters"),
        pytest.param("Schlüssel 🔑".encode(), 200, id="UTF-8"),
    ],
)
async def test_what_may_be_a_key(shop, new_order, key, status):
    headers = httpx.Headers([(b"Idempotency-Key", key)])
    async with shop as client:
        path = await new_order(client)
        created = await client.post(INSTANCES, json={"workflow": "order"}, headers=headers)
        triggered = await client.post(f"{path}/events/try", json={}, headers=headers)
    assert created.status_code == (201 if status == 200 else status), created.text
    assert triggered.status_code == status, triggered.text
    for answer in (created, triggered):
        assert answer.headers["content-type"].startswith("application/")
        assert status == 200 or answer.json()["status"] == 400


async def test_a_key_in_a_header_is_the_key_that_the_runtime_knows(serve, configured, store):
    async with serve(configured(store=store)) as client:
        key = httpx.Headers([(b"Idempotency-Key", "Schlüssel".encode())])
        made = await client.post(INSTANCES, json={"workflow": "order"}, headers=key)
        runtime = client._transport.app.plugins.get("WorkflowPlugin").runtime
        found = await runtime.find_by_idempotency_key("order", "Schlüssel")
    assert str(found.id) == made.json()["id"]


@pytest.mark.parametrize(
    "value", ["[" * 900 + "1" + "]" * 900, "9" * 400, '"a\\u0000b"', "1e400"], ids=["deep", "long", "NUL", "infinite"]
)
async def test_values_that_cannot_be_taken_are_400_under_a_key_as_well(shop, new_order, value):
    headers = KEY | {"Content-Type": "application/json"}
    async with shop as client:
        path = await new_order(client)
        created = await client.post(
            INSTANCES, content=f'{{"workflow": "order", "context": {{"a": {value}}}}}', headers=headers
        )
        triggered = await client.post(f"{path}/events/try", content=f'{{"payload": {value}}}', headers=headers)
    assert (created.status_code, triggered.status_code) == (400, 400)
