"""The savepoints that joined steps run in, inside a transaction of the application."""

from contextlib import ExitStack, suppress

import asyncpg
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, AsyncSessionTransaction, AsyncTransaction

from detent_pg.ending import TransactionEnded, innermost, may_leave_open, session_kept_open
from detent_pg.faults import translated
from detent_pg.line import BorrowedLine

_NAME = "detent_step"
_SET = f"SAVEPOINT {_NAME}"
_RELEASE = f"RELEASE SAVEPOINT {_NAME}"
_UNDO = f"ROLLBACK TO SAVEPOINT {_NAME}; {_RELEASE}"


class ObjectSavepoint:
    """A savepoint as SQLAlchemy sets it: where it is undone, the objects of a lent session are what they were before."""

    def __init__(self, connection: AsyncConnection, lent: AsyncSession | None) -> None:
        self._connection = connection
        self._lent = lent
        self._savepoint = (lent or connection).begin_nested()
        self._guards = ExitStack()

    @property
    def is_active(self) -> bool:
        """Whether nobody has ended it or what is around it."""
        return self._extent.is_active

    async def start(self) -> None:
        """Set it. SQLAlchemy puts BEGIN off until its first statement: afterwards it has been sent."""
        await started(self._savepoint)
        if self._lent is not None:
            self._guards.enter_context(session_kept_open(self._lent.sync_session))
        self._extent = innermost(self._connection)

    async def release(self) -> None:
        """Keep what was done since."""
        self._guards.close()
        with translated():
            await self._savepoint.commit()

    async def undo(self) -> None:
        """Undo what was done since, as far as the connection still knows of it."""
        self._guards.close()
        with suppress(DBAPIError, OSError, InvalidRequestError):
            # A failed flush has rolled back the transaction already; of a session's savepoint the session's part remains.
            if isinstance(self._savepoint, AsyncTransaction) and not self._savepoint.is_active:
                return
            await self._savepoint.rollback()


class BareSavepoint:
    """A savepoint on the driver's connection, for steps in which nobody but us sends anything: SQLAlchemy's own costs as much as
    all the rest of such a step.
    """

    def __init__(self, connection: AsyncConnection, line: BorrowedLine) -> None:
        self._connection = connection
        self._line = line
        self._is_set = False

    def check(self) -> None:
        """Raise `TransactionEnded` when somebody ended what it is in."""
        if not self._extent.is_active:
            raise TransactionEnded

    async def start(self) -> None:
        """The same as of the other."""
        connection = self._line.in_use
        with translated():
            if connection.in_transaction() and self._line.driver.is_in_transaction():
                await self._line.send(_SET)
            else:
                await self._connection.exec_driver_sql(_SET)
        self._is_set = True
        extent = connection.get_nested_transaction() or connection.get_transaction()
        if extent is None:
            raise TransactionEnded
        self._extent = extent

    async def release(self) -> None:
        """Keep what was done since. It may stay set until what is around it ends, which saves a round trip."""
        if not may_leave_open(self._connection, self._extent):
            with translated():
                await self._line.send(_RELEASE)

    async def undo(self) -> None:
        """Undo what was done since, as far as the connection still knows of it."""
        # One that was not set is perhaps another step's, around this one.
        if self._is_set and self._extent.is_active and not self._line.driver.is_closed():
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._line.send(_UNDO)


async def started(savepoint: AsyncTransaction | AsyncSessionTransaction) -> None:
    """Send SAVEPOINT, which a session would put off until it is used, and its connection may be used without it."""
    with translated():
        await savepoint.start()
        if isinstance(savepoint, AsyncSessionTransaction):
            await savepoint.session.connection()
