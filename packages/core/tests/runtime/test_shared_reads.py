"""Reads that are made once for all who ask before they begin."""

import asyncio

import pytest

from detent.runtime.shared_reads import SharedReads


class Library:
    """Reads that end when they are told to."""

    def __init__(self) -> None:
        self.begun = list[asyncio.Future[str]]()
        self.more = asyncio.Event()

    async def read(self, key: str) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.begun.append(answer)
        self.more.set()
        return f"{key} {await answer}"

    async def nth(self, number: int) -> asyncio.Future[str]:
        async with asyncio.timeout(5):
            while len(self.begun) < number:
                self.more.clear()
                await self.more.wait()
        return self.begun[number - 1]


async def test_who_comes_while_a_read_is_under_way_gets_the_next_one_with_all_others():
    library = Library()
    shared = SharedReads(library.read)
    first = asyncio.create_task(shared.get("a"))
    one = await library.nth(1)
    later = [asyncio.create_task(shared.get("a")) for _ in range(3)]
    one.set_result("old")
    (await library.nth(2)).set_result("new")
    assert await first == "a old"
    assert await asyncio.gather(*later) == ["a new"] * 3
    assert len(library.begun) == 2


async def test_a_failing_read_is_told_to_those_who_asked_and_spoils_no_later_one():
    library = Library()
    shared = SharedReads(library.read)
    first = asyncio.create_task(shared.get("a"))
    (await library.nth(1)).set_exception(OSError("away"))
    with pytest.raises(OSError, match="away"):
        await first
    again = asyncio.create_task(shared.get("a"))
    (await library.nth(2)).set_result("back")
    assert await again == "a back"


async def test_a_caller_who_goes_away_leaves_the_read_to_the_others():
    library = Library()
    shared = SharedReads(library.read)
    first, second = (asyncio.create_task(shared.get("a")) for _ in range(2))
    one = await library.nth(1)
    first.cancel()
    await asyncio.wait([first])
    one.set_result("there")
    assert await second == "a there"


async def test_a_read_that_was_cancelled_spoils_no_later_one():
    library = Library()
    shared = SharedReads(library.read)
    first = asyncio.create_task(shared.get("a"))
    await library.nth(1)
    waiting = asyncio.create_task(shared.get("a"))
    await asyncio.wait([waiting], timeout=0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.wait([first, waiting])
    again = asyncio.create_task(shared.get("a"))
    (await library.nth(2)).set_result("back")
    assert await again == "a back"
