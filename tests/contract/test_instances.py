"""What can be done with instances over HTTP, and what is answered."""

import pytest

from detent import WorkflowDefinition
from tests.contract.doors import INSTANCES, JSON, create


async def test_creating_answers_201_with_the_instance_and_where_it_is(door):
    async with door.serve() as client:
        answer = await client.post(
            INSTANCES, json={"workflow": "order", "context": {"stock": 1}, "metadata": {"shop": "north"}}
        )
        found = await client.get(answer.headers["location"])
    assert (answer.status_code, found.status_code) == (201, 200)
    assert answer.headers["location"] == f"{INSTANCES}/{answer.json()['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert found.json() == answer.json()
    assert (found.json()["state"], found.json()["status"]) == ("new", "active")
    assert (found.json()["context"], found.json()["metadata"]) == ({"stock": 1}, {"shop": "north"})
    assert [timer["event"] for timer in found.json()["timers"]] == ["expire"]
    assert answer.headers["etag"] == found.headers["etag"] == '"1"'


async def test_the_same_creation_under_a_key_is_a_200_that_says_so(door):
    key = {"Idempotency-Key": "schlüssel".encode()}
    async with door.serve() as client:
        first = await client.post(INSTANCES, json={"workflow": "order"}, headers=key)
        again = await client.post(INSTANCES, json={"workflow": "order", "trigger_metadata": {"try": 2}}, headers=key)
        other = await client.post(INSTANCES, json={"workflow": "order", "context": {"a": 1}}, headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert (other.status_code, other.json()["code"], other.json()["key"]) == (409, "idempotency_conflict", "schlüssel")


JOB = WorkflowDefinition.from_dict(
    {
        "name": "job",
        "initial_state": "new",
        "entries": {"imported": "admitted"},
        "states": {
            "new": {"events": {"admit": {"target": "admitted"}}},
            "admitted": {"events": {"end": {"target": "new"}}},
        },
    }
)


async def test_an_instance_begins_where_its_entry_leads(door):
    key = {"Idempotency-Key": "job 1"}
    async with door.serve(definitions=[JOB]) as client:
        made = await client.post(INSTANCES, json={"workflow": "job", "entry": "imported"}, headers=key)
        plain = await client.post(INSTANCES, json={"workflow": "job"}, headers=key)
        astray = await client.post(INSTANCES, json={"workflow": "job", "entry": "importd"})
    assert (made.status_code, made.json()["state"]) == (201, "admitted")
    assert (plain.status_code, plain.json()["code"]) == (409, "idempotency_conflict")
    assert (astray.status_code, astray.json()["path"], astray.json()["hint"]) == (
        400,
        "entry",
        "did you mean 'imported'?",
    )


async def test_available_events_say_whether_they_would_pass_and_why_not(door):
    async with door.serve() as client:
        answer = await client.get(f"{await create(client)}/events")
    events = {event["name"]: event for event in answer.json()}
    assert answer.status_code == 200
    assert events["pay"]["available"]
    assert events["pay"]["payload_schema"]["required"] == ["amount"]
    assert (events["approve"]["available"], events["approve"]["reason"]) == (False, "nothing is in stock")
    assert events["charge"]["has_commands"]
    assert events["expire"]["due_at"] is not None


async def test_an_event_answers_how_it_ended_and_the_instance_after_it(door):
    async with door.serve() as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}})
        found = await client.get(path)
    assert answer.status_code == 200
    assert (answer.json()["outcome"], answer.json()["from_state"], answer.json()["to_state"]) == (
        "success",
        "new",
        "paid",
    )
    assert answer.json()["instance"] == found.json()
    assert answer.headers["etag"] == found.headers["etag"] == '"2"'
    assert found.json()["status"] == "completed"


async def test_an_event_whose_failure_is_routed_happened_and_is_a_200(door):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client)}/events/try", json={})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "failure")
    assert answer.json()["commands"][0]["code"] == "card_declined"


async def test_an_event_with_durable_commands_is_a_202_with_its_run(door):
    async with door.serve() as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/send", json={})
        busy = await client.post(f"{path}/events/pay", json={"payload": {"amount": 5}})
    assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    assert answer.json()["run_id"] == answer.json()["instance"]["run_id"] is not None
    assert (busy.status_code, busy.json()["run_id"]) == (409, answer.json()["run_id"])


async def test_an_event_needs_no_body_only_its_type(door):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client, context={'stock': 1})}/events/approve", headers=JSON)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("spelled", ["ship%20%2F%20now", "ship%20/%20now", "50%25%20%3F%23"])
async def test_names_of_events_may_need_escapes(door, spelled):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client)}/events/{spelled}", json={})
    assert answer.status_code == 200, answer.text


async def test_the_same_event_under_a_key_gets_its_answer_again(door):
    key = {"Idempotency-Key": "k", "If-Match": '"1"'}
    async with door.serve() as client:
        path = await create(client)
        first = await client.post(f"{path}/events/try", json={}, headers=key)
        again = await client.post(f"{path}/events/try", json={}, headers=key)
        found = await client.get(path)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["replayed"], again.json()["replayed"]) == (False, True)
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert found.json()["version"] == 2


async def test_a_refusal_under_a_key_is_the_same_409_again_and_says_so(door):
    key = {"Idempotency-Key": "k"}
    async with door.serve() as client:
        path = await create(client)
        first = await client.post(f"{path}/events/approve", json={}, headers=key)
        again = await client.post(f"{path}/events/approve", json={}, headers=key)
    assert (first.status_code, again.status_code) == (409, 409)
    assert first.json() == again.json()
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")


@pytest.mark.parametrize("said", ['"1"', "1", 'W/"1"', "*", ' "1" '])
async def test_an_event_at_the_version_that_was_seen_is_taken(door, said):
    async with door.serve() as client:
        answer = await client.post(f"{await create(client)}/events/try", json={}, headers={"If-Match": said})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("header", "body"), [('"5"', {}), ("5", {}), ("*", {"expected_version": 5})])
async def test_at_another_version_nothing_happens(door, header, body):
    async with door.serve() as client:
        path = await create(client)
        answer = await client.post(f"{path}/events/try", json=body, headers={"If-Match": header})
        found = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "version_conflict")
    assert (answer.json()["expected"], answer.json()["found"]) == (5, 1)
    assert found.json()["version"] == 1


async def test_history_is_read_page_by_page_the_newest_first(door):
    async with door.serve() as client:
        path = await create(client, trigger_metadata={"source": "web"})
        for _ in range(3):
            await client.post(f"{path}/events/try", json={})
        page = (await client.get(f"{path}/history", params={"limit": 3})).json()
        rest = (await client.get(f"{path}/history", params={"before": page[-1]["sequence"]})).json()
    assert [entry["sequence"] for entry in page] == [4, 3, 2]
    assert [(entry["sequence"], entry["event"]) for entry in rest] == [(1, "$created")]
    assert rest[0]["trigger_metadata"] == {"source": "web"}


async def test_what_the_server_says_of_the_sender_wins_over_the_body(door):
    async with door.serve(routes={"acting": lambda request: {"actor": request.headers["x-user"]}}) as client:
        client.headers["x-user"] = "ana"
        path = await create(client, trigger_metadata={"actor": "root", "why": "test"})
        await client.post(f"{path}/events/try", json={"trigger_metadata": {"actor": "root"}})
        history = (await client.get(f"{path}/history")).json()
    assert [entry["trigger_metadata"] for entry in history] == [{"actor": "ana"}, {"actor": "ana", "why": "test"}]


async def test_diagrams_are_plain_text_and_mermaid_for_who_asks(door):
    async with door.serve() as client:
        path = await create(client)
        plain = await client.get("/workflows/definitions/order/diagram")
        asked = await client.get("/workflows/definitions/order/diagram", headers={"Accept": "text/vnd.mermaid"})
        mine = await client.get(f"{path}/diagram")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert asked.headers["content-type"] == "text/vnd.mermaid; charset=utf-8"
    assert (plain.headers["x-content-type-options"], plain.headers["vary"]) == ("nosniff", "Accept")
    assert plain.text == asked.text
    assert "stateDiagram-v2" in plain.text
    assert "class new now" in mine.text


async def test_a_diagram_is_drawn_in_words_alone_for_fonts_without_the_signs(door):
    async with door.serve() as client:
        for diagram in (f"{await create(client)}/diagram", "/workflows/definitions/order/diagram"):
            signs = (await client.get(diagram, params={"style": "flowchart"})).text
            words = (await client.get(diagram, params={"style": "flowchart", "symbols": "text"})).text
            assert ("\u2713 end" in signs, "\u2713" in words) == (True, False)


async def test_definitions_are_listed_in_their_newest_version(door):
    async with door.serve() as client:
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


async def test_large_integers_come_back_as_they_were(door):
    async with door.serve() as client:
        answer = await client.get(await create(client, context={"n": 2**70}))
    assert answer.json()["context"] == {"n": 2**70}
