"""What history records of the context is told by both doors, and that nothing was recorded is told from nothing changed."""

from detent import Settings
from tests.contract.doors import create

OPERATING = {"operators": True}


async def forced(client):
    """The history of an instance whose context was written to, the newest entry first."""
    path = await create(client, context={"order": {"total": 5}})
    answer = await client.post(f"{path}/force", json={"state": "paid", "context": {"order": {"total": 7}, "by": None}})
    assert answer.status_code == 200, answer.text
    return (await client.get(f"{path}/history")).json()


async def test_history_tells_what_changed_in_the_context(door):
    async with door.serve(settings=Settings(record_changes=True), routes=OPERATING) as client:
        newest, creation = await forced(client)
    assert newest["changes"] == [
        {"op": "add", "path": "/by", "value": None, "was": None, "omitted": False},
        {"op": "replace", "path": "/order/total", "value": 7, "was": 5, "omitted": False},
    ]
    assert creation["changes"] == []


async def test_where_nothing_is_recorded_changes_are_null(door):
    async with door.serve(routes=OPERATING) as client:
        assert [entry["changes"] for entry in await forced(client)] == [None, None]
