"""What may be in a request: nothing a client sends is the server's fault."""

import pytest

INSTANCES = "/workflows/instances"


@pytest.fixture
def shop(serve, configured):
    return serve(configured())


async def test_an_unknown_field_is_named(shop):
    async with shop as client:
        answer = await client.post(INSTANCES, json={"workflow": "order", "colour": "red"})
    assert [problem["path"] for problem in answer.json()["problems"]] == ["colour"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=" + "9" * 30, "before=0", "before=" + "9" * 30]
)
async def test_a_page_out_of_range_is_400(shop, query):
    async with shop as client:
        path = (await client.post(INSTANCES, json={"workflow": "order"})).headers["location"]
        answer = await client.get(f"{path}/history?{query}")
    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("spelled", ["1", "not-a-uuid", "%00", "00000000-0000-0000-0000-00000000000g", "9" * 5000])
async def test_an_id_that_is_none_is_400(shop, spelled):
    async with shop as client:
        answer = await client.get(f"{INSTANCES}/{spelled}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_style_is_400(shop):
    async with shop as client:
        answer = await client.get("/workflows/definitions/order/diagram", params={"style": "<script>"})
    assert answer.status_code == 400
