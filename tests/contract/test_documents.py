"""What OpenAPI tells is the same contract behind every door."""

from typing import Any

from detent.service.http.operations import OPERATIONS
from tests.contract.doors import DOORS, Door
from tests.contract.full import full


async def operations(door: Door, **routes: Any) -> dict[str, dict[str, Any]]:
    """Every operation in the document by its id, with its method and path."""
    async with door.serve(routes=routes) as client:
        document = (await client.get(door.documents)).json()
    return {
        told["operationId"]: told | {"where": (method, path)}
        for path, item in document["paths"].items()
        for method, told in item.items()
    }


async def test_every_operation_has_its_id_its_place_and_its_words(door):
    found = await operations(door)
    assert {name: told["where"] for name, told in found.items()} == {
        f"workflows_{name}": (operation.method.lower(), f"/workflows{operation.path}")
        for name, operation in OPERATIONS.items()
    }
    for name, operation in OPERATIONS.items():
        told = found[f"workflows_{name}"]
        assert (told["summary"], told["description"]) == (operation.summary, operation.description)
        assert told["tags"] == ["workflows"]


async def everything(door: Door) -> dict[str, dict[str, Any]]:
    """Every operation in the document of an application that mounts all there are."""
    async with full(door) as shop:
        document = (await shop.client.get(door.documents)).json()
    return {told["operationId"]: told for item in document["paths"].values() for told in item.values()}


async def test_statuses_parameters_and_headers_are_the_same_at_every_door():
    documents = [await everything(door) for door in DOORS]
    said = [
        {
            name: (
                sorted(set(told["responses"]) - {"default"}),
                sorted((one["in"], one["name"], one["required"]) for one in told.get("parameters", ())),
                {status: sorted(answer.get("headers", ())) for status, answer in told["responses"].items()}
                | {"default": []},
                {
                    status: sorted(answer.get("content", ()))
                    for status, answer in told["responses"].items()
                    if status[0] > "2"
                }
                | {"default": []},
            )
            for name, told in document.items()
        }
        for document in documents
    ]
    assert said[0] == said[1]


async def test_errors_are_described_as_problems(door):
    told = (await operations(door))["workflows_trigger_event"]["responses"]
    assert set(told) - {"default"} == {"200", "202", "400", "404", "409", "413", "415", "422", "503"}
    assert all(set(told[status]["content"]) == {"application/problem+json"} for status in told if status[0] in "45")


async def test_guarded_routes_say_that_they_turn_people_away(door):
    async with door.serve(keeper=lambda headers, action: None) as client:
        document = (await client.get(door.documents)).json()
    found = [told for item in document["paths"].values() for told in item.values()]
    assert len(found) == len(OPERATIONS)
    assert all({"401", "403"} <= set(told["responses"]) for told in found)


async def test_prefix_and_tags_are_the_applications_choice_and_routes_can_be_left_out(door):
    chosen = await operations(door, operation_id_prefix="shop", tags=["orders"])
    assert chosen["shop_create_instance"]["tags"] == ["orders"]
    assert await operations(door, include_in_schema=False) == {}
