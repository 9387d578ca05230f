"""What is told of definitions and their versions."""

from detent import MemoryStore, WorkflowDefinition
from tests.contract.doors import INSTANCES, ORDER, create

SECOND = WorkflowDefinition.from_dict(ORDER.to_dict() | {"version": "2", "description": "With a second version."})


async def test_a_workflow_is_told_in_full_and_reads_back(door):
    async with door.serve(definitions=[ORDER, SECOND]) as client:
        newest = (await client.get("/workflows/definitions/order")).json()
        first = (await client.get("/workflows/definitions/order?version=1")).json()
    assert (newest["version"], newest["versions"], newest["description"]) == ("2", ["1", "2"], "With a second version.")
    assert WorkflowDefinition.from_dict(newest["definition"]) == SECOND
    assert WorkflowDefinition.from_dict(first["definition"]) == ORDER


async def test_versions_tell_how_many_instances_are_on_them(door):
    async with door.serve(definitions=[ORDER]) as client:
        await create(client)
        await client.post(f"{await create(client)}/events/try", json={})
        [told] = (await client.get("/workflows/definitions/order/versions")).json()
    assert (told["version"], told["registered"], told["live"], told["total"]) == ("1", True, 2, 2)


async def test_a_version_that_is_stored_and_not_registered_is_told_of_as_well(door):
    store = MemoryStore()
    async with door.serve(store=store, definitions=[ORDER]):
        pass
    async with door.serve(store=store, definitions=[SECOND]) as client:
        versions = (await client.get("/workflows/definitions/order/versions")).json()
        first = await client.get("/workflows/definitions/order?version=1")
        drawn = await client.get("/workflows/definitions/order/diagram?version=1")
    assert [(told["version"], told["registered"]) for told in versions] == [("1", False), ("2", True)]
    assert WorkflowDefinition.from_dict(first.json()["definition"]) == ORDER
    assert drawn.status_code == 200


async def test_what_is_not_there_is_404(door):
    async with door.serve() as client:
        answers = [
            await client.get(f"/workflows/definitions/{path}")
            for path in ("ordr", "ordr/versions", "order?version=7", "order/diagram?version=7")
        ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_a_tenant_counts_its_own_instances(door):
    async with door.serve(routes={"tenant": lambda request: request.headers.get("x-tenant")}) as client:
        await client.post(INSTANCES, json={"workflow": "order"}, headers={"X-Tenant": "acme"})
        counts = [
            (await client.get("/workflows/definitions/order/versions", headers={"X-Tenant": who})).json()[0]["total"]
            for who in ("acme", "zeta")
        ]
    assert counts == [1, 0]
