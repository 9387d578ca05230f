"""Each event as an operation of its own, where that is asked for."""

import re

import pytest

from detent import WorkflowDefinition
from detent.ids import new_id
from tests.contract.doors import INSTANCES, ORDER, create

EVENTS = {"event_operations": True}
LINE = {"type": "object", "properties": {"sku": {"type": "string"}, "of": {"$ref": "#/$defs/Line"}}}
ODD = WorkflowDefinition.from_dict(
    {
        "name": "odd one / ü",
        "initial_state": "a",
        "states": {
            "a": {
                "events": {
                    name: {"target": "a", "payload": payload}
                    for name, payload in {
                        "a b": None,
                        "a-b": None,
                        "a/b": None,
                        "..": None,
                        "{x}": None,
                        "buy": {"$defs": {"Line": LINE}, "type": "array", "items": {"$ref": "#/$defs/Line"}},
                    }.items()
                }
            }
        },
    }
)
RESERVED = WorkflowDefinition.from_dict(
    {"name": "instances", "initial_state": "a", "states": {"a": {"events": {"go": {"target": "a"}}}}}
)
PARTS = {"definitions": [ORDER, ODD, RESERVED]}


async def of_events(door, **routes):
    """The operations of events in the document, by their path."""
    async with door.serve(routes=EVENTS | routes, **PARTS) as client:
        document = (await client.get(door.documents)).json()
    return {
        path: item["post"]
        for path, item in document["paths"].items()
        if "/events/" in path and not path.endswith("{event}")
    }


async def test_they_are_not_there_unasked(door):
    async with door.serve() as client:
        answer = await client.post(f"/workflows/order/{new_id()}/events/pay", json={})
    assert answer.status_code == 404


async def test_the_payload_is_in_the_document(door):
    told = (await of_events(door))["/workflows/order/{instance_id}/events/pay"]
    schema = told["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["payload"]["properties"] == {"amount": {"type": "integer"}}
    assert set(schema["required"]) == {"payload"}
    assert told["operationId"] == "workflows_order_pay"
    assert {"If-Match", "Idempotency-Key"} <= {one["name"] for one in told["parameters"]}


async def test_schemas_refer_to_nothing_outside_themselves(door):
    told = await of_events(door)
    [buy] = [operation for path, operation in told.items() if path.endswith("/buy")]
    payload = buy["requestBody"]["content"]["application/json"]["schema"]["properties"]["payload"]
    assert "$ref" not in str(payload)
    assert payload["items"]["properties"]["sku"] == {"type": "string"}


async def test_odd_names_give_paths_and_ids_that_are_some_and_differ(door):
    told = await of_events(door)
    ids = [operation["operationId"] for operation in told.values()]
    assert len(set(ids)) == len(ids) == len(told) == 8 + 6 + 1
    assert all(re.fullmatch(r"\w+", name, re.ASCII) for name in ids)
    assert all(re.fullmatch(r"(/[A-Za-z0-9_.~-]+|/{instance_id})+", path) for path in told)
    assert any(re.match(r"/workflows/instances-\w+/{instance_id}/events/go", path) for path in told)


async def test_they_behave_like_the_general_one(door):
    async with door.serve(routes=EVENTS) as client:
        path = await create(client)
        own = f"/workflows/order/{path[-36:]}/events"
        wrong = await client.post(f"{own}/pay", json={"payload": {}})
        stale = await client.post(f"{own}/try", json={}, headers={"If-Match": '"9"'})
        tried = [await client.post(f"{own}/try", json={}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        same = await client.post(f"{path}/events/try", json={}, headers={"Idempotency-Key": "k"})
        shipped = await client.post(f"{own}/ship-now", json={})
        accepted = await client.post(f"/workflows/order/{(await create(client))[-36:]}/events/send", json={})
    assert [(answer.status_code, answer.json()["code"]) for answer in (wrong, stale)] == [
        (400, "invalid_value"),
        (409, "version_conflict"),
    ]
    assert [answer.json()["replayed"] for answer in (*tried, same)] == [False, True, True]
    assert (shipped.json()["to_state"], accepted.status_code) == ("paid", 202)


async def test_an_instance_of_another_workflow_is_not_there(door):
    async with door.serve(routes=EVENTS, **PARTS) as client:
        made = await client.post(INSTANCES, json={"workflow": ODD.name})
        answer = await client.post(f"/workflows/order/{made.json()['id']}/events/try", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "instance_not_found")


@pytest.mark.parametrize("headers", [{}, {"x-key": "k"}])
async def test_guards_hold_for_them_and_hear_that_it_is_an_event(door, headers):
    asked = []

    def keeper(headers, action):
        asked.append(action)
        return None if headers.get("x-key") == "k" else 401

    async with door.serve(keeper=keeper, routes=EVENTS) as client:
        answer = await client.post(f"/workflows/order/{new_id()}/events/try", json={}, headers=headers)
    assert (answer.status_code, asked) == (404 if headers else 401, ["event"])
