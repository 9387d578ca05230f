"""The routes, over stores that differ in everything but their promises."""

import httpx
import pytest
from litestar import Litestar

from detent import WorkflowDefinition, command
from detent.service.http.operations import OPERATIONS
from detent_litestar import AllowAll, Controllers, WorkflowPlugin, workflow_router

Client = httpx.AsyncClient


@pytest.fixture
def shop(serve, configured, store):
    """The application on each store, to be entered by the test."""
    return serve(configured(store=store))


async def create(client: Client, **body) -> str:
    """The path of a new instance."""
    answer = await client.post("/workflows/instances", json={"workflow": "order", **body})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def test_two_sets_of_routes_do_not_clash(serve, configured):
    plugin = WorkflowPlugin(configured(controllers=Controllers(policy=AllowAll(), websockets=True)))
    second = Controllers(policy=AllowAll(), path="/shop", operation_id_prefix="shop", websockets=True)
    app = Litestar([workflow_router(second, plugin)], logging_config=None, plugins=[plugin])
    async with serve(app) as client:
        found = await client.get((await create(client)).replace("/workflows", "/shop"))
        document = (await client.get("/schema/openapi.json")).json()
    ids = [told["operationId"] for item in document["paths"].values() for told in item.values()]
    assert found.status_code == 200
    assert len(set(ids)) == len(ids) == 2 * len(OPERATIONS)
    assert app.route_reverse("shop:list_definitions") == "/shop/definitions"


async def test_creating_answers_201_with_the_instance_and_where_it_is(shop):
    async with shop as client:
        answer = await client.post(
            "/workflows/instances", json={"workflow": "order", "context": {"stock": 1}, "metadata": {"shop": "north"}}
        )
        found = await client.get(answer.headers["location"])
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/workflows/instances/{answer.json()['id']}"
    assert found.status_code == 200
    assert found.json() == answer.json()
    assert found.json()["state"] == "new"
    assert found.json()["status"] == "active"
    assert found.json()["context"] == {"stock": 1}
    assert found.json()["metadata"] == {"shop": "north"}
    assert [timer["event"] for timer in found.json()["timers"]] == ["expire"]
    assert {found.json()[name] for name in ("parent_id", "finished_at", "parked_at")} == {None}
    assert found.json()["tenant"] == ""


async def test_an_event_answers_how_it_ended_and_the_instance_after_it(shop):
    async with shop as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}})
        found = await client.get(path)
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "success"
    assert not answer.json()["replayed"]
    assert (answer.json()["from_state"], answer.json()["to_state"]) == ("new", "paid")
    assert answer.json()["instance"] == found.json()
    assert found.json()["status"] == "completed"
    assert found.json()["finished_at"] == found.json()["updated_at"]


async def test_an_event_whose_failure_is_routed_happened_and_is_a_200(shop):
    async with shop as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/try", json={})
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "failure"
    assert answer.json()["commands"][0]["code"] == "card_declined"


async def test_a_refused_event_is_a_409_that_names_the_reason(shop):
    async with shop as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/approve", json={})
        after = await client.get(path)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["code"] == "event_refused"
    assert problem["reason"] == "nothing is in stock"
    assert (problem["state"], problem["event"]) == ("new", "approve")
    assert problem["history_sequence"] == after.json()["version"] == 2
    assert after.json()["state"] == "new"


async def test_an_event_needs_no_body_only_its_type(shop):
    async with shop as client:
        path = await create(client, context={"stock": 1})
        answer = await client.post(f"{path}/events/approve", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("spelled", ["ship%20%2F%20now", "ship%20/%20now", "50%25%20%3F%23"])
async def test_names_of_events_may_need_escapes(shop, spelled):
    async with shop as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/{spelled}", json={})
    assert answer.status_code == 200, answer.text


async def test_available_events_say_whether_they_would_pass_and_why_not(shop):
    async with shop as client:
        path = await create(client)
        answer = await client.get(f"{path}/events")
    events = {event["name"]: event for event in answer.json()}
    assert events["pay"]["available"]
    assert events["pay"]["payload_schema"]["required"] == ["amount"]
    assert (events["approve"]["available"], events["approve"]["reason"]) == (False, "nothing is in stock")
    assert events["charge"]["has_commands"]
    assert events["expire"]["due_at"] is not None


async def test_history_is_read_page_by_page_the_newest_first(shop):
    async with shop as client:
        path = await create(client)
        for _ in range(3):
            await client.post(f"{path}/events/try", json={})
        page = (await client.get(f"{path}/history", params={"limit": 3})).json()
        rest = (await client.get(f"{path}/history", params={"before": page[-1]["sequence"]})).json()
    assert [entry["sequence"] for entry in page] == [4, 3, 2]
    assert [(entry["sequence"], entry["event"]) for entry in rest] == [(1, "$created")]


async def test_history_knows_what_came_with_an_event(shop):
    async with shop as client:
        path = await create(client, trigger_metadata={"source": "web"})
        await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}, "trigger_metadata": {"request": "r-1"}})
        paid, created = (await client.get(f"{path}/history")).json()
    assert created["trigger_metadata"] == {"source": "web"}
    assert (paid["payload"], paid["trigger_metadata"]) == ({"amount": 5}, {"request": "r-1"})


async def test_diagrams_are_plain_text_and_mermaid_for_who_asks(shop):
    async with shop as client:
        path = await create(client)
        plain = await client.get("/workflows/definitions/order/diagram")
        asked = await client.get("/workflows/definitions/order/diagram", headers={"Accept": "text/vnd.mermaid"})
        chart = await client.get("/workflows/definitions/order/diagram", params={"style": "flowchart"})
        mine = await client.get(f"{path}/diagram")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert asked.headers["content-type"] == "text/vnd.mermaid; charset=utf-8"
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert "stateDiagram-v2" in plain.text
    assert plain.text == asked.text
    assert "flowchart LR" in chart.text
    assert "class new now" in mine.text
    assert "now" not in plain.text.splitlines()


async def test_a_flowchart_is_drawn_in_words_alone_for_fonts_without_the_signs(shop):
    async with shop as client:
        path = await create(client)
        for diagram in (f"{path}/diagram", "/workflows/definitions/order/diagram"):
            signs = (await client.get(diagram, params={"style": "flowchart"})).text
            words = (await client.get(diagram, params={"style": "flowchart", "symbols": "text"})).text
            refused = await client.get(diagram, params={"symbols": "emoji"})
            assert ("\u2713 end" in signs, "\u2713" in words) == (True, False)
            assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


async def test_definitions_are_listed_in_their_newest_version(shop):
    async with shop as client:
        answer = await client.get("/workflows/definitions")
    assert answer.json() == [
        {
            "name": "order",
            "version": "1",
            "initial_state": "new",
            "states": ["new", "paid", "expired"],
            "description": "From the cart to the parcel.",
        }
    ]


async def test_large_integers_come_back_as_they_were(shop):
    async with shop as client:
        path = await create(client, context={"n": 2**70})
        answer = await client.get(path)
    assert answer.json()["context"] == {"n": 2**70}


async def test_what_the_server_says_of_the_sender_wins_over_the_body(serve, configured):
    config = configured(controllers=Controllers(policy=AllowAll(), acting=lambda request: {"actor": "ana"}))
    async with serve(config) as client:
        answer = await client.post(
            "/workflows/instances", json={"workflow": "order", "trigger_metadata": {"actor": "root", "why": "test"}}
        )
        await client.post(f"{answer.headers['location']}/events/ship%20/%20now", json={})
        history = (await client.get(f"{answer.headers['location']}/history")).json()
    assert [entry["trigger_metadata"] for entry in history] == [{"actor": "ana"}, {"actor": "ana", "why": "test"}]


async def test_an_event_with_durable_commands_is_a_202_with_its_run(configured, serve):
    @command("deliver", durable=True)
    async def deliver(ctx): ...

    parcel = WorkflowDefinition.from_dict(
        {
            "name": "parcel",
            "initial_state": "packed",
            "states": {"packed": {"events": {"send": {"target": "sent", "commands": ["deliver"]}}}, "sent": {}},
        }
    )
    config = configured(definitions=[parcel], commands=[deliver])
    async with serve(config) as client:
        created = (await client.post("/workflows/instances", json={"workflow": "parcel"})).json()
        answer = await client.post(f"/workflows/instances/{created['id']}/events/send", json={})
        assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
        assert answer.json()["run_id"] == answer.json()["instance"]["run_id"] is not None
        busy = await client.post(f"/workflows/instances/{created['id']}/events/send", json={})
        assert (busy.status_code, busy.json()["run_id"]) == (409, answer.json()["run_id"])
