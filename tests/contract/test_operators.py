"""What operators can do over HTTP, where the routes are asked for."""

import asyncio

import pytest

from detent import CommandContext, Retry, WorkflowObserver, command
from detent.ids import new_id
from detent.runtime.observers import Worked
from detent.runtime.run_report import Advanced
from detent.service.http.operations import OPERATIONS, OPERATOR_OPERATIONS
from tests.contract.doors import INSTANCES, charge, create, url_of

OPERATING = {"operators": True}


@pytest.fixture
def shop(door):
    """The application on each door with the operators' routes, to be entered by the test."""
    return door.serve(routes=OPERATING)


async def test_the_operators_routes_are_not_there_unasked(door):
    async with door.serve() as client:
        path = await create(client)
        listed = await client.get(INSTANCES)
        others = [
            await client.request(operation.method, url_of(operation, instance_id=path[-36:]))
            for operation in OPERATOR_OPERATIONS.values()
            if operation.name != "list_instances"
        ]
    assert listed.status_code == 405
    assert {answer.status_code for answer in others} == {404}


async def test_instances_are_listed_by_what_they_are(shop):
    async with shop as client:
        first, second, third = [await create(client) for _ in range(3)]
        await client.post(f"{second}/events/ship%20%2F%20now", json={})
        await client.post(f"{third}/pause", json={})
        found = {
            query: [one["id"] for one in (await client.get(f"{INSTANCES}?{query}")).json()["instances"]]
            for query in (
                "order=created_at",
                "state=new&order=created_at",
                "state=paid&state=expired",
                "status=paused",
                "status=paused&status=completed",
                "workflow=ordr",
                "version=1&order=-created_at",
                f"parent={first[-36:]}",
            )
        }
    one, two, three = first[-36:], second[-36:], third[-36:]
    assert found == {
        "order=created_at": [one, two, three],
        "state=new&order=created_at": [one, three],
        "state=paid&state=expired": [two],
        "status=paused": [three],
        "status=paused&status=completed": [three, two],
        "workflow=ordr": [],
        "version=1&order=-created_at": [three, two, one],
        f"parent={one}": [],
    }


async def test_lists_go_on_where_the_cursor_says(shop):
    async with shop as client:
        made = [(await create(client))[-36:] for _ in range(5)]
        pages = [(await client.get(INSTANCES, params={"limit": 2})).json()]
        while pages[-1]["cursor"] is not None:
            more = {"limit": 2, "cursor": pages[-1]["cursor"]}
            pages.append((await client.get(INSTANCES, params=more)).json())
    assert [[one["id"] for one in page["instances"]] for page in pages] == [
        [made[4], made[3]],
        [made[2], made[1]],
        [made[0]],
    ]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("limit=101", "limit"),
        ("parent=7", "parent"),
        ("cursor=x", "cursor"),
        ("order=size", "order"),
        ("status=x", "status"),
    ],
)
async def test_a_list_that_cannot_be_made_is_400_and_says_why(shop, query, place):
    async with shop as client:
        answer = await client.get(f"{INSTANCES}?{query}")
    told = answer.json()
    assert answer.status_code == 400
    assert place == (told["path"] if told["code"] == "invalid_value" else told["problems"][0]["path"])


async def test_a_paused_instance_takes_no_event_until_it_is_resumed(shop):
    async with shop as client:
        path = await create(client)
        paused = await client.post(f"{path}/pause", json={"reason": "fraud?", "trigger_metadata": {"actor": "ana"}})
        refused = await client.post(f"{path}/events/try", json={})
        resumed = await client.post(f"{path}/resume", headers={"Content-Type": "application/json"})
        taken = await client.post(f"{path}/events/try", json={})
        history = (await client.get(f"{path}/history")).json()
    assert (paused.status_code, paused.json()["status"], paused.headers["etag"]) == (200, "paused", '"2"')
    assert (refused.status_code, refused.json()["code"]) == (409, "instance_paused")
    assert (resumed.json()["status"], taken.status_code) == ("active", 200)
    assert (history[2]["reason"], history[2]["trigger_metadata"]) == ("fraud?", {"actor": "ana"})


async def test_a_cancelled_instance_has_ended_and_cannot_be_paused(shop):
    async with shop as client:
        path = await create(client)
        cancelled = await client.post(f"{path}/cancel", json={"reason": "asked to"})
        paused = await client.post(f"{path}/pause", json={})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (paused.status_code, paused.json()["code"], paused.json()["instance_status"]) == (
        409,
        "instance_finished",
        "cancelled",
    )


async def test_a_forced_instance_is_in_the_state_that_was_said(shop):
    async with shop as client:
        path = await create(client)
        forced = await client.post(f"{path}/force", json={"state": "paid", "context": {"by": "hand"}, "reason": "lost"})
        unknown = await client.post(f"{path}/force", json={"state": "flown"})
        unsaid = await client.post(f"{path}/force", json={})
    assert (forced.status_code, forced.json()["to_state"], forced.json()["instance"]["context"]) == (
        200,
        "paid",
        {"by": "hand"},
    )
    assert (unknown.status_code, unknown.json()["code"]) == (400, "invalid_value")
    assert [fault["path"] for fault in unsaid.json()["problems"]] == ["state"]


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "force"])
async def test_a_verb_at_another_version_does_nothing(shop, verb):
    body = {"state": "paid"} if verb == "force" else {}
    async with shop as client:
        path = await create(client)
        answers = [
            await client.post(f"{path}/{verb}", json=body, headers={"If-Match": '"7"'}),
            await client.post(f"{path}/{verb}", json=body | {"expected_version": 7}),
        ]
        found = await client.get(path)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "version_conflict")] * 2
    assert found.json()["version"] == 1


async def test_what_failed_is_tried_again(shop):
    async with shop as client:
        path = await create(client)
        nothing = await client.post(f"{path}/retry", json={})
        await client.post(f"{path}/events/approve", json={})
        again = await client.post(f"{path}/retry", json={})
        history = (await client.get(f"{path}/history")).json()
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_retry")
    assert (again.status_code, again.json()["code"]) == (409, "event_refused")
    assert [entry["event"] for entry in history] == ["approve", "approve", "$created"]


async def test_an_event_that_is_sent_is_kept_once_under_its_key(shop):
    async with shop as client:
        path = await create(client)
        body = {"event": "pay", "payload": {"amount": 5}, "delay": "2d"}
        sent = await client.post(f"{path}/messages", json=body, headers={"Idempotency-Key": "k"})
        again = await client.post(f"{path}/messages", json=body, headers={"Idempotency-Key": "k"})
        wrong = await client.post(f"{path}/messages", json={"event": "fly"})
        odd = await client.post(f"{path}/messages", json={"event": "pay", "delay": "soon"})
    assert (sent.status_code, sent.json()["event"], sent.json()["instance_id"]) == (202, "pay", path[-36:])
    assert again.status_code == 202
    assert [(answer.status_code, answer.json()["code"]) for answer in (wrong, odd)] == [(400, "invalid_value")] * 2


class Parked(WorkflowObserver):
    """Hears when a run waits for an operator."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def on_run(self, worked: Worked) -> None:
        if worked.advanced is Advanced.PARKED:
            self.heard.set()


async def test_a_parked_run_is_found_tells_why_and_goes_on_by_retry(door):
    @command("deliver", durable=True, retry=Retry(attempts=1))
    async def deliver(ctx: CommandContext) -> None:
        raise ZeroDivisionError("no driver")

    parked = Parked()
    parts = {"commands": [charge, deliver], "observers": [parked], "worker": "asgi"}
    async with asyncio.timeout(30), door.serve(routes=OPERATING, **parts) as client:
        path = await create(client)
        accepted = await client.post(f"{path}/events/send", json={})
        await parked.heard.wait()
        [run] = (await client.get(f"{path}/runs")).json()
        listed = (await client.get("/workflows/parked?workflow=order")).json()
        others = (await client.get("/workflows/parked?workflow=other")).json()
        again = await client.post(f"{path}/retry", json={})
    assert (run["id"], run["event"], run["status"]) == (accepted.json()["run_id"], "send", "parked")
    assert set(run["error"]) == {"code", "message"}
    assert [one["id"] for one in listed["instances"]] == [path[-36:]]
    assert (others["instances"], listed["cursor"]) == ([], None)
    assert (again.status_code, again.json()["outcome"]) == (202, "accepted")


async def test_an_instance_that_is_not_there_is_404_for_every_verb(shop):
    async with shop as client:
        missing = str(new_id())
        for operation in OPERATOR_OPERATIONS.values():
            if "{instance_id}" in operation.path:
                body = {"send_event": {"event": "pay"}, "force_instance": {"state": "paid"}}.get(operation.name, {})
                said = {"json": body} if operation.method == "POST" else {}
                answer = await client.request(operation.method, url_of(operation, instance_id=missing), **said)
                assert (answer.status_code, answer.json()["code"]) == (404, "instance_not_found"), operation.name


async def test_a_tenant_sees_and_operates_on_its_own_alone(door):
    bound = OPERATING | {"tenant": lambda request: request.headers.get("x-tenant")}
    acme, zeta = {"X-Tenant": "acme"}, {"X-Tenant": "zeta"}
    async with door.serve(routes=bound) as client:
        made = await client.post(INSTANCES, json={"workflow": "order"}, headers=acme)
        path = made.headers["location"]
        mine, others = [(await client.get(INSTANCES, headers=who)).json()["instances"] for who in (acme, zeta)]
        assert ([one["id"] for one in mine], others) == ([made.json()["id"]], [])
        for operation in OPERATOR_OPERATIONS.values():
            if "{instance_id}" in operation.path:
                body = {"send_event": {"event": "pay"}, "force_instance": {"state": "paid"}}.get(operation.name, {})
                said = {"json": body} if operation.method == "POST" else {}
                url = url_of(operation, instance_id=path[-36:])
                answer = await client.request(operation.method, url, headers=zeta, **said)
                assert (answer.status_code, answer.json()["code"]) == (404, "instance_not_found"), operation.name
        assert (await client.get(path, headers=acme)).json()["version"] == 1


async def test_guards_are_told_what_operates(door):
    asked = []

    def keeper(headers, action):
        asked.append(action)
        return 403

    async with door.serve(keeper=keeper, routes=OPERATING) as client:
        for operation in OPERATOR_OPERATIONS.values():
            assert (await client.request(operation.method, url_of(operation))).status_code == 403
    assert asked == [operation.action for operation in OPERATOR_OPERATIONS.values()]
    assert set(asked) == {"read", "event", "operate"}


async def test_the_document_has_the_operations_where_they_are_asked_for(shop, door):
    async with shop as client:
        document = (await client.get(door.documents)).json()
    found = {told["operationId"]: told for item in document["paths"].values() for told in item.values()}
    assert set(found) == {f"workflows_{name}" for name in (*OPERATIONS, *OPERATOR_OPERATIONS)}
    listing = {one["name"] for one in found["workflows_list_instances"]["parameters"]}
    assert listing == {"workflow", "state", "status", "version", "parent", "order", "limit", "cursor"}
    assert set(found["workflows_retry_instance"]["responses"]) - {"default"} == {
        "200", "202", "400", "404", "409", "413", "415", "422", "503",
    }  # fmt: skip
