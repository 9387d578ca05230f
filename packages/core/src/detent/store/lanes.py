"""What waits for a commit: bounded, and fair between workflows."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Waits(Protocol):
    """A call that waits."""

    @property
    def is_awaited(self) -> bool:
        """Whether its caller waits still."""
        ...

    @property
    def since(self) -> float:
        """When it came, by the event loop's clock."""
        ...


C = TypeVar("C", bound=Waits)


class Lanes(Generic[C]):
    """Calls in lanes of their own, which are served in turn, first come, first served within each.

    A lane has room for so many; whoever comes when it is full waits to get in, and is in nobody's way but of his own lane.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._lanes: dict[Hashable, _Lane[C]] = {}
        self._turns: deque[_Lane[C]] = deque()

    def __bool__(self) -> bool:
        """Whether anybody is in a lane."""
        return bool(self._turns)

    async def enter(self, name: Hashable, call: C) -> None:
        """Put a call at the end of the lane `name` as soon as there is room."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name, self._room)
        lane.people += 1
        try:
            await lane.room.acquire()
        except BaseException:
            self._leave(lane)
            raise
        if not lane.calls:
            self._turns.append(lane)
        lane.calls.append(call)

    def take(self, limit: int) -> list[C]:
        """Up to `limit` calls whose callers still wait, out of the lanes in turn."""
        taken: list[C] = []
        while self._turns and len(taken) < limit:
            lane = self._turns.popleft()
            call = lane.calls.popleft()
            lane.room.release()
            self._leave(lane)
            if lane.calls:
                self._turns.append(lane)
            if call.is_awaited:
                taken.append(call)
        return taken

    def oldest(self) -> float:
        """Since when the one waits who has waited longest."""
        return min(call.since for lane in self._turns for call in lane.calls)

    def remove(self, unwanted: Callable[[C], bool]) -> list[C]:
        """Take those out that are `unwanted`; answers them."""
        removed: list[C] = []
        for lane in self._turns:
            gone = [call for call in lane.calls if unwanted(call)]
            lane.calls = deque(call for call in lane.calls if not unwanted(call))
            for _ in gone:
                lane.room.release()
                self._leave(lane)
            removed += gone
        self._turns = deque(lane for lane in self._turns if lane.calls)
        return removed

    def _leave(self, lane: "_Lane[C]") -> None:
        lane.people -= 1
        if not lane.people:
            del self._lanes[lane.name]


class _Lane(Generic[C]):
    def __init__(self, name: Hashable, room: int) -> None:
        self.name = name
        self.people = 0
        """How many are in it, or wait to get in."""
        self.calls: deque[C] = deque()
        self.room = asyncio.Semaphore(room)
