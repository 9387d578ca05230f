"""Many at once, and only so many: how verbs over many instances let a store write them together."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

from detent.runtime.caller import Caller

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 128
"""How many items of one call are under way at once, unless it says otherwise: what a store that groups commits can use."""
MOST_AT_ONCE = 1000
"""What a call may say at most."""
LOCKED_AT_ONCE = 8
"""How many of them may hold a connection each, to lock a row or to read: a pool of 10 has some left for others."""


def at_once_for(caller: Caller, at_once: int = AT_ONCE) -> int:
    """How many items of one call may be under way for this caller: one, where he lends his only connection."""
    return at_once if caller.connection is None else 1


async def in_order(
    items: Iterable[T], act: Callable[[T], Awaitable[R]], *, at_once: int = AT_ONCE
) -> AsyncGenerator[R, None]:
    """What `act` answers for each item, in the order of the items, of which `at_once` are under way or wait to be fetched.

    Items are taken one by one as there is room, so that any number may be streamed; what `items` raises is raised behind the
    answers for those before. When the caller stops fetching, or `act` raises, the rest is cancelled and waited for.
    """
    source, under_way, broken = iter(items), deque[asyncio.Future[R]](), list[Exception]()
    try:
        while not broken:
            if len(under_way) == at_once:
                yield await under_way.popleft()
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:
                broken.append(error)
            else:
                under_way.append(asyncio.ensure_future(act(item)))
        while under_way:
            yield await under_way.popleft()
        for raised in broken:
            raise raised
    finally:
        for left in under_way:
            left.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
