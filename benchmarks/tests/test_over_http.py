"""What the latency over HTTP is made of: the connection, and both applications behind a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import URL

from benchmarks.cases.over_http import OVER_HTTP, OWN, measure
from benchmarks.given import Given
from benchmarks.keep_alive import Connection, WrongAnswer
from tests.databases import database_beside

Answers = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def connected(*answers: bytes) -> AsyncIterator[Connection]:
    """A connection to somebody who gives these answers, whatever he is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said in answers:
            assert (await reader.readuntil(b"\r\n\r\n{}")).startswith(b"POST /a HTTP/1.1\r\n")
            writer.write(said)
        await reader.read()
        writer.close()

    async with asyncio.timeout(10), await asyncio.start_server(answer, "127.0.0.1") as server:
        connection = await Connection.to(server.sockets[0].getsockname()[1])
        yield connection
        await connection.close()


async def test_one_connection_serves_one_request_after_the_other():
    first, second = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\n[1]"
    async with connected(first, second) as connection:
        assert [await connection.post("/a"), await connection.post("/a")] == [b"{}", b"[1]"]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nbusy", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_an_answer_that_is_no_success_is_an_error_and_counts_for_nothing(answer: bytes):
    async with connected(answer) as connection:
        with pytest.raises(WrongAnswer):
            await connection.post("/a")


@pytest.mark.parametrize("framework", ["litestar", "fastapi"])
async def test_both_sides_are_measured_and_every_answer_is_in_the_database(
    framework: str, postgres_url: URL, monkeypatch: pytest.MonkeyPatch
):
    async with asyncio.timeout(60), database_beside(postgres_url) as url:
        given = Given(url, folder="", seconds=0.1, warmup=0.0)
        for name, value in given.environment().items():
            monkeypatch.setenv(name, value)
        reading = await measure(given, framework=framework, callers=2)
        connection = await asyncpg.connect(url)
        events = await connection.fetchval("SELECT count(*) FROM detent_history WHERE event = 'press'")
        commits = await connection.fetchval("SELECT sum(count) FROM bare_rows HAVING count(*) = $1", 2 * OWN)
        await connection.close()
    bare = reading.beside["bare"]
    assert 0 < reading.operations <= events
    assert 0 < bare.operations <= commits
    assert None not in (reading.p50, reading.p99, bare.p50, bare.p99)


def test_each_framework_is_asked_by_one_caller_and_by_several():
    assert [case.name for case in OVER_HTTP] == [
        "http-litestar-1",
        "http-litestar-16",
        "http-fastapi-1",
        "http-fastapi-16",
    ]
