"""The client hears what happens to an instance while it happens, whatever the door."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx
import pytest

from detent.client import WorkflowClient
from detent.errors import InstanceNotFound
from detent.ids import new_id
from tests.contract.doors import Door
from tests.contract.remote import AT_ONCE
from tests.contract.streams import Stream


class Body(httpx.AsyncByteStream):
    """What an application goes on to send."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        # Litestar's application goes on until it hears that the client has gone.
        while message := await self._stream.sent():
            yield message.get("body", b"")
            if not message.get("more_body"):
                return

    async def aclose(self) -> None:
        await self._stream.__aexit__(None, None, None)


class Flowing(httpx.ASGITransport):
    """Brings streams as they come; httpx's own waits for their end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/changes"):
            return await super().handle_async_request(request)
        stream = await Stream(self.app, request.url.raw_path.decode()).__aenter__()
        begun = await stream.sent()
        assert begun is not None
        return httpx.Response(begun["status"], headers=begun["headers"], stream=Body(stream))


@asynccontextmanager
async def following(door: Door) -> AsyncIterator[WorkflowClient]:
    async with (
        asyncio.timeout(60),
        door.serve(routes={"operators": True}) as inside,
        httpx.AsyncClient(transport=Flowing(app=inside.app), base_url="http://shop.test/workflows") as http,
        WorkflowClient(http=http, retry=AT_ONCE) as client,
    ):
        yield client


async def test_each_entry_comes_while_the_stream_is_open_and_the_end_of_the_instance_ends_it(door):
    async with following(door) as client:
        handle = client.get_handle(await client.create_instance("order"))
        changes = handle.changes()
        assert (await anext(changes)).event == "$created"
        await handle.trigger_event("try")
        assert (await anext(changes)).event == "try"
        await handle.trigger_event("pay", payload={"amount": 1})
        assert [(entry.sequence, entry.event) async for entry in changes] == [(3, "pay")]
        assert [entry.event async for entry in handle.changes(after=1)] == ["try", "pay"]
        assert [entry async for entry in handle.changes(after=3)] == []


async def test_who_has_heard_enough_hangs_up(door):
    async with following(door) as client:
        handle = client.get_handle(await client.create_instance("order"))
        async with aclosing(handle.changes()) as changes:
            assert [(await anext(changes)).sequence] == [1]


async def test_changes_of_nothing_are_an_error(door):
    async with following(door) as client:
        with pytest.raises(InstanceNotFound):
            await anext(client.get_handle(new_id()).changes())
