"""`authorize`: one function that decides on each action, with the instance where one is meant."""

from typing import Any

import pytest

from detent.ids import new_id
from detent.service.http.operations import OPERATIONS, OPERATOR_OPERATIONS
from tests.contract.doors import INSTANCES, create, url_of
from tests.contract.full import full

Decided = tuple[str, str, str | None, str | None, Any]


class Policy:
    """Decides by a function, and remembers what it was asked."""

    def __init__(self, decide=lambda action, instance: True, awaited=False) -> None:
        self.asked: list[Decided] = []
        self.connections: list[Any] = []
        self._decide, self._awaited = decide, awaited

    def __call__(self, connection, action, instance):
        self.connections.append(connection)
        identity = None if instance is None else str(instance.id)
        self.asked.append((str(action), action.operation, action.event, action.workflow, identity))
        decided = self._decide(action, instance)
        return later(decided) if self._awaited else decided


async def later(decided):
    return decided


def serve(door, policy, **routes):
    return door.serve(routes={"authorize": policy, "operators": True, **routes})


@pytest.mark.parametrize("awaited", [False, True])
async def test_it_is_asked_what_is_wanted_and_of_which_instance(door, awaited):
    policy = Policy(awaited=awaited)
    async with serve(door, policy) as client:
        path = await create(client)
        await client.post(f"{path}/events/try", json={})
        await client.post(f"{path}/messages", json={"event": "pay", "payload": {"amount": 1}})
        await client.get("/workflows/definitions/order")
    identity = path[-36:]
    assert policy.asked == [
        ("start", "create_instance", None, "order", None),
        ("read", "", None, "order", identity),
        ("event", "trigger_event", "try", "order", identity),
        ("read", "", None, "order", identity),
        ("event", "send_event", "pay", "order", identity),
        ("read", "get_definition", None, "order", None),
    ]
    assert policy.connections[0].headers["host"] == "shop.test"


async def test_an_instance_that_may_not_be_read_is_not_there(door):
    policy = Policy()
    async with serve(door, policy) as client:
        path = await create(client)
        run = (await client.post(f"{path}/events/send", json={})).json()["run_id"]
        policy._decide = lambda action, instance: instance is None
        bodies = {"send_event": {"event": "pay"}, "force_instance": {"state": "paid"}}
        for operation in (*OPERATIONS.values(), *OPERATOR_OPERATIONS.values()):
            if "instance_id" in operation.path or "run_id" in operation.path:
                said = {"json": bodies.get(operation.name, {})} if operation.method == "POST" else {}
                url = url_of(operation, instance_id=path[-36:], run_id=run)
                answer = await client.request(operation.method, url, **said)
                code = "run_not_found" if "run_id" in operation.path else "instance_not_found"
                assert (answer.status_code, answer.json()["code"]) == (404, code), operation.name


@pytest.mark.parametrize("refused", [False, None, 1, "yes"])
async def test_only_true_lets_an_action_pass_and_all_else_is_403(door, refused):
    policy = Policy(lambda action, instance: action == "read" or refused)
    async with serve(door, policy) as client:
        started = await client.post(INSTANCES, json={"workflow": "order"})
        made = await door.runtime_of(client).create_instance("order")
        path = f"{INSTANCES}/{made.id}"
        answers = [
            started,
            await client.post(f"{path}/events/try", json={}),
            await client.post(f"{path}/pause", json={}),
            await client.post(f"{path}/force", json={"state": "paid"}),
        ]
        seen = await client.get(path)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "not_allowed")] * 4
    assert (seen.status_code, seen.json()["version"]) == (200, 1)


async def test_it_can_decide_by_the_event(door):
    policy = Policy(lambda action, instance: action != "event" or action.event != "ship / now")
    async with serve(door, policy, event_operations=True) as client:
        path = await create(client)
        refused = [
            await client.post(f"{path}/events/ship%20%2F%20now", json={}),
            await client.post(f"{path}/events//ship%20%2F%20now", json={}),
            await client.post(f"/workflows/order/{path[-36:]}/events/ship-now", json={}),
            await client.post(f"{path}/messages", json={"event": "ship / now"}),
        ]
        taken = await client.post(f"{path}/events/try", json={})
    assert [answer.status_code for answer in refused] == [403] * 4
    assert taken.status_code == 200


async def test_lists_leave_out_what_may_not_be_read(door):
    policy = Policy()
    async with serve(door, policy) as client:
        paths = [await create(client, metadata={"mine": n == 1}) for n in range(3)]
        for path in paths:
            await client.post(f"{path}/events/send", json={})
        policy._decide = lambda action, instance: instance is None or instance.metadata["mine"]
        listed = (await client.get(INSTANCES)).json()["instances"]
        page = (await client.get(INSTANCES, params={"limit": 1})).json()
        runs = (await client.get("/workflows/runs")).json()["runs"]
    assert [one["id"] for one in listed] == [paths[1][-36:]]
    assert (page["instances"], page["cursor"] is not None) == ([], True)
    assert [run["instance_id"] for run in runs] == [paths[1][-36:]]


async def test_lists_themselves_can_be_refused(door):
    policy = Policy(lambda action, instance: action.operation != "list_instances")
    async with serve(door, policy) as client:
        listed, parked = await client.get(INSTANCES), await client.get("/workflows/parked")
    assert (listed.status_code, parked.status_code) == (403, 200)


async def test_a_key_finds_no_instance_that_may_not_be_read(door):
    policy = Policy()
    keyed = {"json": {"workflow": "order"}, "headers": {"Idempotency-Key": "k"}}
    async with serve(door, policy) as client:
        made = await client.post(INSTANCES, **keyed)
        policy._decide = lambda action, instance: instance is None
        again = await client.post(INSTANCES, **keyed)
    assert (made.status_code, again.status_code) == (201, 404)


async def test_triggers_and_tokens_are_decided_on_too(door):
    policy = Policy(
        lambda action, instance: action == "read" and (instance is None or "hook" in str(instance.metadata))
    )
    async with full(door, routes={"authorize": policy}) as shop:
        listed = (await shop.client.get("/workflows/triggers")).json()
        fired = await shop.client.post("/workflows/triggers/hook/fire", json={})
        hidden = await shop.client.get("/workflows/triggers/nightly")
        missing = await shop.client.get("/workflows/triggers/another")
        tokens = await shop.client.get(f"{await shop.waiting()}/tokens")
    assert [one["name"] for one in listed] == ["hook"]
    assert (fired.status_code, hidden.status_code, tokens.status_code) == (403, 404, 404)
    # Nobody can tell what is hidden from what is not there.
    assert hidden.text == missing.text.replace("another", "nightly")


async def test_it_is_a_policy_of_its_own_and_guards_stand_before_it(door):
    policy = Policy()
    async with door.serve(keeper=lambda headers, action: 401, routes={"authorize": policy}) as client:
        answer = await client.get(f"{INSTANCES}/{new_id()}")
    assert (answer.status_code, policy.asked) == (401, [])


async def test_the_document_says_that_people_are_turned_away(door):
    async with serve(door, Policy()) as client:
        document = (await client.get(door.documents)).json()
    found = [told for item in document["paths"].values() for told in item.values()]
    assert all({"401", "403"} <= set(told["responses"]) for told in found)
