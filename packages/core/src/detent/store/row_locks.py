"""Who holds which row in this process, and who waits for it: first come, first served."""

import asyncio
from collections import deque
from collections.abc import Hashable


class RowLocks:
    """Locks by name; a name takes memory only while somebody holds it."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def held(self, row: Hashable) -> bool:
        """Whether somebody holds `row`."""
        return row in self._waiting

    def take(self, row: Hashable) -> bool:
        """Hold `row` if nobody does; says whether it is held by the caller now."""
        if row in self._waiting:
            return False
        self._waiting[row] = deque()
        return True

    async def wait(self, row: Hashable) -> None:
        """Hold `row` as soon as all who asked before are done. May be cancelled, and then does not hold it."""
        if self.take(row):
            return
        turn = asyncio.get_running_loop().create_future()
        queue = self._waiting[row]
        queue.append(turn)
        try:
            await turn
        except BaseException:
            # The turn may have come in the same moment as the cancellation; then it is passed on.
            if turn.done() and not turn.cancelled():
                self.release(row)
            elif turn in queue:
                queue.remove(turn)
            raise

    def release(self, row: Hashable) -> None:
        """Let the next one have `row`."""
        queue = self._waiting[row]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[row]
