"""Work on connections of ours: repeated while that is no use to anybody else, and kept whole when nobody waits any more.

It runs in tasks of its own, so that a caller who is cancelled neither tears a step nor costs a connection: the work goes on to
its end, or ends before its next statement.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ClauseElement

from detent.errors import StoreUnavailable
from detent_pg.engine import Connections
from detent_pg.faults import ConnectionLost, translated
from detent_pg.line import BorrowedLine, Line
from detent_pg.persistence import persist
from detent_pg.rows import Row
from detent_pg.transaction import Transactions
from detent_pg.unit import unbroken

T = TypeVar("T")
Work: TypeAlias = Callable[[Line], Coroutine[Any, Any, T]]


class Errands:
    """Runs what a store does, in one of four ways."""

    def __init__(self, connections: Connections, transactions: Transactions) -> None:
        self._connections = connections
        self._transactions = transactions
        self._tasks: set[asyncio.Task[Any]] = set()
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def read(self, outside: object | None, work: Work[T]) -> T:
        """What `work` answers, in the application's transaction if there is one."""
        return await (self.alone(work) if outside is None else self.through(outside, work))

    async def alone(self, work: Work[T]) -> T:
        """What a single statement answers on a connection of ours; it may be repeated."""
        return await self.shielded(persist(lambda: self.once(work)))

    async def once(self, work: Work[T]) -> T:
        """The same, a single time and in the caller's task."""
        async with self._connections.line() as line:
            try:
                return await work(line)
            except ConnectionLost:
                # After a timeout it may still be open.
                await line.invalidate()
                raise

    async def committed(self, work: Work[T]) -> T:
        """What `work` answers in a short transaction of ours; it may be repeated, even after it was committed."""

        async def once() -> T:
            async with self._connections.transaction() as connection:
                answer = await work(BorrowedLine(connection, begins=True))
                with translated():
                    await connection.commit()
                return answer

        return await self.shielded(persist(once))

    async def through(self, outside: object, work: Work[T]) -> T:
        """What `work` answers in the application's transaction, which a cancelled caller does not lose."""
        connection = await self._transactions.reading(outside)
        try:
            return await unbroken(work(BorrowedLine(connection, begins=True)))
        except ConnectionLost as lost:
            raise StoreUnavailable("the lent connection was lost") from lost

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in a task of its own, which a cancelled caller leaves behind."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._abandoned.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._abandoned.add(task)
            raise

    def expect_wanted(self) -> None:
        """End the work here when nobody waits for it any more: between two statements, which costs nothing."""
        if asyncio.current_task() in self._abandoned:
            raise asyncio.CancelledError

    async def finished(self) -> None:
        """Wait for what is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)


async def rows_of(line: Line, statement: ClauseElement, parameters: Mapping[str, object]) -> Sequence[Row]:
    """The rows that one of our own statements answers."""
    with translated():
        return await line.fetch(statement, parameters)
