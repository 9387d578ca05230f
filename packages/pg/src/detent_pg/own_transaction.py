"""A transaction of ours, begun and ended on the driver's connection.

SQLAlchemy's connection is in AUTOCOMMIT: it lends itself to commands and believes in a transaction of its own, which sends
nothing. So what it does around BEGIN and COMMIT is not paid for by every step, and our first statement goes past it like the
others.
"""

from contextlib import suppress

import asyncpg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from detent_pg.faults import ConnectionLost, translated
from detent_pg.line import BorrowedLine

_INTEGRITY_CLASS = "23"


class OwnTransaction:
    """A transaction on a connection that was taken for it. While it is open, that cannot be given back before `finished`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.line = BorrowedLine(connection)
        # What commands work in, as far as SQLAlchemy knows.
        self._extent = self.line.in_use.begin()
        # Spelled out, because how a receipt is read after a wait for the row rests on it.
        self._transaction = self.line.driver.transaction(isolation="read_committed")
        self.is_open = False
        """Whether `finished` has something to do."""

    @property
    def is_active(self) -> bool:
        """Whether no command has ended it."""
        return self._extent.is_active

    async def start(self) -> None:
        """BEGIN."""
        self.is_open = True
        with translated():
            await self._transaction.start()

    async def commit(self) -> bool:
        """COMMIT; whether it was cut off, so that nobody knows."""
        # First, for events of the engine that may refuse it.
        self._extent.commit()
        try:
            with translated():
                await self._transaction.commit()
        except ConnectionLost:
            # After a timeout the connection may still be open, and its transaction too.
            await self.line.invalidate()
            self.is_open = False
            return True
        except Exception as error:
            # PostgreSQL has answered, and rolled back.
            self.is_open = self.line.driver.is_in_transaction()
            if not isinstance(error, asyncpg.PostgresError):
                raise
            # A constraint that was put off until now, for one: commands and callers know SQLAlchemy's errors.
            kind = IntegrityError if (error.sqlstate or "").startswith(_INTEGRITY_CLASS) else DBAPIError
            raise kind("COMMIT", None, error) from error
        self.is_open = False
        return False

    async def finished(self) -> None:
        """Make sure that the connection can be given back: what was not committed is rolled back, or goes with its connection."""
        if self.line.driver.is_in_transaction() and not self.line.driver.is_closed():
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._transaction.rollback()
                self.is_open = False
        if self.is_open:
            await self.line.invalidate()
