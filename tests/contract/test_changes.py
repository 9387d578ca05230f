"""Live updates: server-sent events, and a websocket with the same."""

from uuid import UUID

import pytest

from detent import MemoryStore, WorkflowRuntime
from detent.service.http import changes
from tests.contract.doors import ORDER, charge, create, deliver, in_stock
from tests.contract.streams import Socket, Stream

SOCKETS = {"websockets": True}
FAR = 3600.0


@pytest.fixture
def far(monkeypatch):
    """What is not woken comes too late for the test."""
    monkeypatch.setattr(changes, "LOOKS_EVERY", FAR)
    monkeypatch.setattr(changes, "LASTS", FAR)


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(changes, "LOOKS_EVERY", 0.01)


async def take(client, path, event="try"):
    answer = await client.post(f"{path}/events/{event}", json={})
    assert answer.status_code == 200, answer.text


async def test_each_entry_is_an_event_with_its_sequence_as_soon_as_it_is_there(door, far):
    async with door.serve() as client:
        path = await create(client)
        async with Stream(client.app, f"{path}/changes") as stream:
            first = await stream.event()
            for _ in range(3):
                await take(client, path)
            came = [first, *[await stream.event() for _ in range(3)]]
        history = (await client.get(f"{path}/history")).json()
    assert [event[0] for event in came if event] == [1, 2, 3, 4]
    assert [event[1] for event in came if event] == history[::-1]


@pytest.mark.parametrize(("query", "headers"), [("?after=2", {}), ("?after=1", {"Last-Event-ID": "2"})])
async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(door, query, headers):
    async with door.serve() as client:
        path = await create(client)
        await take(client, path)
        await take(client, path)
        async with Stream(client.app, f"{path}/changes{query}", headers) as stream:
            came = [await stream.event()]
            await take(client, path)
            came.append(await stream.event())
    assert [event[0] for event in came if event] == [3, 4]


async def test_a_long_history_is_read_page_by_page(door, monkeypatch):
    monkeypatch.setattr(changes, "MAX_PAGE", 3)
    async with door.serve(routes={"operators": True}) as client:
        path = await create(client)
        for _ in range(10):
            await take(client, path)
        await client.post(f"{path}/cancel", json={})
        async with Stream(client.app, f"{path}/changes") as stream:
            assert await stream.rest() == list(range(1, 13))


async def test_what_another_process_wrote_is_found_by_looking(door, often):
    store = MemoryStore()
    async with (
        door.serve(store=store) as client,
        WorkflowRuntime(store=store, definitions=[ORDER], commands=[charge, deliver], guards=[in_stock]) as other,
    ):
        path = await create(client)
        async with Stream(client.app, f"{path}/changes?after=1") as stream:
            assert await stream.chunk() == "retry: 1000"
            await other.trigger_event(path[-36:], "try")
            found = await stream.event()
    assert found is not None
    assert found[0] == 2


async def test_a_finished_instance_ends_the_stream_and_then_there_is_nothing_to_come_back_for(door, far):
    async with door.serve() as client:
        path = await create(client)
        async with Stream(client.app, f"{path}/changes") as stream:
            await stream.event()
            await take(client, path, "expire")
            ended = await stream.rest()
        again = await client.get(f"{path}/changes", headers={"Last-Event-ID": "2"})
    assert (ended, again.status_code, again.content) == ([2], 204, b"")


async def test_while_nothing_happens_the_connection_is_kept_alive_and_from_time_to_time_it_ends(
    door, often, monkeypatch
):
    monkeypatch.setattr(changes, "LASTS", 0.1)
    async with door.serve() as client:
        path = await create(client)
        async with Stream(client.app, f"{path}/changes?after=1") as stream:
            told = []
            while (chunk := await stream.chunk()) is not None:
                told.append(chunk)
    assert told[:2] == ["retry: 1000", ": nothing new"]
    assert set(told[1:]) == {": nothing new"}


async def test_a_stream_ends_with_the_runtime(door, often):
    async with door.serve() as client:
        stream = await Stream(client.app, f"{await create(client)}/changes").__aenter__()
        assert await stream.event() is not None
    assert await stream.rest() == []
    await stream.__aexit__(None, None, None)


async def test_who_leaves_leaves_nothing_behind(door, far):
    async with door.serve(routes=SOCKETS) as client:
        path, parts = await create(client), door.runtime_of(client).running().parts
        before = len(parts.watchers)
        for kind in (Stream, Socket):
            async with kind(client.app, f"{path}/changes") as connection:
                await (connection.event() if isinstance(connection, Stream) else connection.message())
                assert len(parts.watchers) == before + 1
            assert len(parts.watchers) == before


async def test_places_that_are_none_are_400(door):
    async with door.serve() as client:
        path = await create(client)
        answers = [
            await client.get(f"{path}/changes?after=-1"),
            await client.get(f"{path}/changes?after=x"),
            await client.get(f"{path}/changes", headers={"Last-Event-ID": "one"}),
        ]
    told = [(answer.status_code, [fault["path"] for fault in answer.json()["problems"]]) for answer in answers]
    assert told == [(400, ["after"]), (400, ["after"]), (400, ["Last-Event-ID"])]


async def test_an_instance_that_may_not_be_read_any_more_ends_the_stream(door, far):
    allowed = [True]
    async with door.serve(routes={"authorize": lambda connection, action, instance: allowed[0]}) as client:
        path = await create(client)
        async with Stream(client.app, f"{path}/changes") as stream:
            await stream.event()
            allowed[0] = False
            await door.runtime_of(client).trigger_event(path[-36:], "try")
            assert await stream.rest() == []


# -- the websocket


async def test_by_default_there_is_no_websocket(door):
    async with door.serve() as client:
        path = await create(client)
        async with Socket(client.app, f"{path}/changes") as socket:
            assert await socket.refusal() is not None


async def test_a_websocket_tells_the_same(door, far):
    async with door.serve(routes=SOCKETS) as client:
        path = await create(client)
        async with Socket(client.app, f"{path}/changes") as socket:
            first = await socket.message()
            await take(client, path, "expire")
            second, end = await socket.message(), await socket.message()
        history = (await client.get(f"{path}/history")).json()
    assert ([second, first], end) == (history, None)


async def test_a_websocket_goes_on_where_it_is_told(door):
    async with door.serve(routes=SOCKETS) as client:
        path = await create(client)
        await take(client, path)
        async with Socket(client.app, f"{path}/changes?after=1") as socket:
            message = await socket.message()
    assert message is not None
    assert message["sequence"] == 2


async def test_what_the_client_says_to_a_websocket_is_nothing_to_us(door, far):
    async with door.serve(routes=SOCKETS) as client:
        path = await create(client)
        socket = Socket(client.app, f"{path}/changes?after=1")
        socket.said[:0] = [{"type": "websocket.receive", "bytes": b"x"}, {"type": "websocket.receive", "text": "x"}]
        async with socket:
            assert await socket.refusal() is None
            await take(client, path)
            message = await socket.message()
    assert message is not None
    assert message["sequence"] == 2


@pytest.mark.parametrize(
    ("origin", "opens"),
    [("http://shop.test", True), ("https://partner.test", True), ("https://evil.test", False), ("null", False)],
)
async def test_only_pages_of_ours_open_a_websocket(door, origin, opens):
    async with door.serve(routes=SOCKETS | {"origins": ["https://partner.test"]}) as client:
        path = await create(client)
        async with Socket(client.app, f"{path}/changes", {"Origin": origin}) as socket:
            refusal = await socket.refusal()
    assert refusal == (None if opens else 4403)


async def test_a_websocket_is_guarded_and_knows_tenants(door):
    bound = SOCKETS | {"tenant": lambda request: request.headers.get("x-tenant")}
    acme = {"X-Tenant": "acme", "X-Key": "k"}
    asked = []

    def keeper(headers, action):
        asked.append(action)
        return None if headers.get("x-key") == "k" else 401

    async def refusal(app, url, headers):
        async with Socket(app, url, headers) as socket:
            return await socket.refusal()

    async with door.serve(keeper=keeper, routes=bound) as client:
        made = await client.post("/workflows/instances", json={"workflow": "order"}, headers=acme)
        url = f"{made.headers['location']}/changes"
        told = [
            await refusal(client.app, url, headers)
            for headers in (acme, {"X-Key": "k", "X-Tenant": "zeta"}, {"X-Key": "k"})
        ]
        nobody = await refusal(client.app, url, {"X-Tenant": "acme"})
        missing = await refusal(client.app, f"/workflows/instances/{UUID(int=1)}/changes", acme)
        odd = [
            await refusal(client.app, where, acme) for where in ("/workflows/instances/7/changes", f"{url}?after=-1")
        ]
    assert (told, missing, odd) == ([None, 4404, 4403], 4404, [4400, 4400])
    assert nobody is not None
    assert set(asked) == {"start", "read"}
