"""A stream of changes is read as it is written, and opened again where it stood."""

import asyncio
from contextlib import aclosing

import httpx
import pytest

from detent import Retry
from detent.client import ServerUnreachable, Timing, WorkflowClient
from detent.ids import new_id
from detent.service.schemas import HistoryEntryView
from detent.testing.clock import FakeClock

OVER = httpx.Response(204)


def entry(sequence: int, said: str = "") -> HistoryEntryView:
    return HistoryEntryView(
        sequence=sequence,
        event="press",
        from_state="off",
        to_state="on",
        outcome="success",
        commands=[],
        reason=said,
        error=None,
        payload=None,
        trigger_metadata={},
        transition_id=new_id(),
        definition_version="1",
        created_at=FakeClock().now(),
    )


def event(told: HistoryEntryView) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (told.sequence, told.model_dump_json().encode())


class Torn(httpx.AsyncByteStream):
    """Pieces of a stream that then breaks off."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self):
        for piece in self._pieces:
            yield piece
        raise httpx.ReadError("the line went dead")


class Endless(httpx.AsyncByteStream):
    """One piece of a stream, and then silence."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.is_closed = False

    async def __aiter__(self):
        yield self._piece
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.is_closed = True


class Server:
    """Gives one answer after the other, and knows what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self.pauses: list[float] = []

    async def follow(self, after: int = 0) -> list[HistoryEntryView]:
        """What came until the end."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://shop.test")
        timing = Timing(pause=self._pause)
        async with http, WorkflowClient(http=http, retry=Retry(attempts=2, jitter=0), timing=timing) as client:
            return [came async for came in client.get_handle(new_id()).changes(after=after)]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params["after"])
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def test_entries_come_in_order_and_the_end_is_the_end():
    told = [entry(1), entry(2)]
    server = Server(
        httpx.Response(200, content=b"retry: 3000\n\n" + event(told[0]) + b": idle\n\n" + event(told[1])), OVER
    )
    assert await server.follow() == told
    assert (server.asked, server.pauses) == (["0", "2"], [])


async def test_a_stream_that_broke_off_goes_on_where_it_stood():
    told = [entry(5), entry(6)]
    torn = httpx.Response(200, stream=Torn(event(told[0])[:7], event(told[0])[7:] + event(told[1])[:-1]))
    server = Server(torn, httpx.ConnectError("refused"), httpx.Response(200, content=event(told[1])), OVER)
    assert await server.follow(after=4) == told
    assert server.asked == ["4", "5", "5", "6"]


async def test_a_text_may_hold_whatever_ends_a_line_elsewhere():
    told = entry(1, said="one\u2028two\x85three\r\nfour")
    assert await Server(httpx.Response(200, content=event(told)), OVER).follow() == [told]


async def test_a_stream_in_which_nothing_came_is_opened_again_after_a_pause():
    empty = httpx.Response(200, content=b"retry: 3000\n\n: idle\n\n")
    server = Server(empty, OVER)
    assert (await server.follow(), server.pauses) == ([], [1])


async def test_a_server_that_stays_away_is_told():
    server = Server(httpx.Response(200, content=event(entry(1))), *[httpx.ConnectError("refused")] * 2)
    with pytest.raises(ServerUnreachable):
        await server.follow()


async def test_whoever_leaves_in_the_middle_holds_no_connection():
    stream = Endless(event(entry(1)))
    http = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=stream)), base_url="http://shop.test"
    )
    async with http, WorkflowClient(http=http) as client:
        async with aclosing(client.get_handle(new_id()).changes()) as changes:
            assert (await anext(changes)).sequence == 1
        assert stream.is_closed
