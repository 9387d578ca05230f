"""The steps that go on in their callers' own tasks."""

import asyncio
from types import TracebackType


class Underway:
    """Counts those who are inside its context, so that leaving the runtime can wait for them."""

    __slots__ = ("_count", "_left")

    def __init__(self) -> None:
        self._count = 0
        self._left = asyncio.Event()

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._count -= 1
        if not self._count:
            self._left.set()

    def __bool__(self) -> bool:
        return self._count > 0

    async def left(self) -> None:
        """Wait until nobody is inside."""
        while self._count:
            self._left.clear()
            await self._left.wait()
