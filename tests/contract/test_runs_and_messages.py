"""What operators can see and do about runs, and about events that are kept for instances."""

from detent.ids import new_id
from tests.contract.doors import create

OPERATING = {"operators": True}
RUNS = "/workflows/runs"


async def test_runs_are_listed_by_what_they_are_and_page_by_page(door):
    async with door.serve(routes=OPERATING) as client:
        made = [(await client.post(f"{await create(client)}/events/send", json={})).json()["run_id"] for _ in range(3)]
        every = (await client.get(RUNS)).json()
        page = (await client.get(RUNS, params={"limit": 2})).json()
        rest = (await client.get(RUNS, params={"limit": 2, "after": page["after"]})).json()
        found = {
            query: len((await client.get(f"{RUNS}?{query}")).json()["runs"])
            for query in (
                "status=pending",
                "status=parked&status=pending",
                "workflow=other",
                "queue=other",
                "status=parked",
            )
        }
        odd = await client.get(f"{RUNS}?status=lost")
    assert [run["id"] for run in every["runs"]] == made[::-1]
    assert ([run["id"] for run in page["runs"]], [run["id"] for run in rest["runs"]]) == (made[:0:-1], made[:1])
    assert (every["after"], rest["after"]) == (None, None)
    assert list(found.values()) == [3, 3, 0, 0, 0]
    assert (odd.status_code, odd.json()["path"]) == (400, "status")


async def test_a_run_is_given_up_and_its_instance_is_free(door):
    async with door.serve(routes=OPERATING) as client:
        path = await create(client)
        run = (await client.post(f"{path}/events/send", json={})).json()["run_id"]
        told = (await client.get(f"{RUNS}/{run}")).json()
        not_parked = await client.post(f"{RUNS}/{run}/retry", json={})
        stale = await client.post(f"{RUNS}/{run}/cancel", json={}, headers={"If-Match": '"9"'})
        given_up = await client.post(f"{RUNS}/{run}/cancel", json={"reason": "no driver"})
        again = await client.post(f"{RUNS}/{run}/cancel", json={})
        taken = await client.post(f"{path}/events/try", json={})
    assert (told["event"], told["status"], told["command"]) == ("send", "pending", "deliver")
    assert (not_parked.status_code, not_parked.json()["code"]) == (409, "nothing_to_retry")
    assert (stale.status_code, stale.json()["code"]) == (409, "version_conflict")
    assert (given_up.status_code, given_up.json()["run_id"]) == (200, None)
    assert (again.json()["code"], taken.status_code) == ("run_not_active", 200)


async def test_a_run_that_is_not_there_or_is_another_tenants_is_404(door):
    bound = OPERATING | {"tenant": lambda request: request.headers.get("x-tenant")}
    acme, zeta = {"X-Tenant": "acme"}, {"X-Tenant": "zeta"}
    async with door.serve(routes=bound) as client:
        made = await client.post("/workflows/instances", json={"workflow": "order"}, headers=acme)
        run = (await client.post(f"{made.headers['location']}/events/send", json={}, headers=acme)).json()["run_id"]
        answers = [await client.get(f"{RUNS}/{which}", headers=zeta) for which in (run, new_id())] + [
            await client.post(f"{RUNS}/{run}/{verb}", json={}, headers=zeta) for verb in ("retry", "cancel")
        ]
        listed = [len((await client.get(RUNS, headers=who)).json()["runs"]) for who in (acme, zeta)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "run_not_found")}
    assert listed == [1, 0]


async def test_messages_are_listed_and_taken_out(door):
    async with door.serve(routes=OPERATING) as client:
        path, other = await create(client), await create(client)
        sent = [
            (await client.post(f"{path}/messages", json={"event": "pay", "payload": {"amount": n}})).json()["id"]
            for n in (1, 2)
        ]
        listed = (await client.get(f"{path}/messages")).json()
        second = (await client.get(f"{path}/messages", params={"after": listed[0]["number"]})).json()
        dead = (await client.get(f"{path}/messages?dead=true")).json()
        elsewhere = await client.post(f"{other}/messages/{sent[0]}/discard", json={})
        out = [await client.post(f"{path}/messages/{sent[0]}/discard", json={}) for _ in range(2)]
        left = (await client.get(f"{path}/messages")).json()
    assert [(one["id"], one["payload"]) for one in listed] == [(sent[0], {"amount": 1}), (sent[1], {"amount": 2})]
    assert ([one["id"] for one in second], dead, elsewhere.status_code) == ([sent[1]], [], 404)
    assert ([answer.status_code for answer in out], [one["id"] for one in left]) == ([200, 404], [sent[1]])


async def test_a_dead_message_is_tried_again(door):
    async with door.serve(routes=OPERATING) as client:
        path = await create(client)
        message = (await client.post(f"{path}/messages", json={"event": "pay", "payload": {"amount": 1}})).json()["id"]
        alive = await client.post(f"{path}/messages/{message}/revive", json={})
        await client.post(f"{path}/force", json={"state": "expired"})
        await door.runtime_of(client).process_inbox()
        [dead] = (await client.get(f"{path}/messages?dead=true")).json()
        revived = await client.post(f"{path}/messages/{message}/revive", json={})
    assert (alive.status_code, alive.json()["code"]) == (409, "conflict")
    assert (dead["id"], dead["dead_at"] is not None) == (message, True)
    assert (revived.status_code, revived.json()["dead_at"]) == (200, None)
