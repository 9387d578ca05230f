"""Steps in a transaction: our own, and those that join the application's.

What is peculiar about lent transactions stays in this file. They are entered by a savepoint, which also makes SQLAlchemy send
the BEGIN it puts off. A lent session is used as it is; a lent connection gets a session for the commands, bound to it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from sqlalchemy import URL, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, AsyncTransaction
from sqlalchemy.orm import Session

from detent.errors import ConnectionNotSupported, OutcomeUnknown, StoreUnavailable
from detent.store.change import Change
from detent.store.records import ReceiptKey
from detent_pg.ending import (
    Ending,
    TransactionEnded,
    ending_of,
    ending_of_session,
    errors_on,
    innermost,
    session_kept_open,
    step_under_way,
    watch,
)
from detent_pg.engine import Connections
from detent_pg.faults import LOCK_TIMEOUT, ConnectionLost, sqlstate, translate, translated
from detent_pg.pen import Pen
from detent_pg.time import LearntClock
from detent_pg.unit import PgUnit, started, unbroken, undo
from detent_pg.verdict import Verdict

logger = logging.getLogger("detent.store")

_ACCEPTED = "an AsyncSession or AsyncConnection of SQLAlchemy on the same PostgreSQL database, with a transaction"
_LOCAL = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}


class Transactions:
    """Opens steps in transactions of the store's engine, and in transactions of the application."""

    def __init__(self, connections: Connections, pen: Pen, clock: LearntClock, verdict: Verdict) -> None:
        self._connections = connections
        self._pen = pen
        self._clock = clock
        self._verdict = verdict
        self._warned = False

    @asynccontextmanager
    async def own(
        self, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None, *, wait: bool
    ) -> AsyncIterator[PgUnit]:
        """A step of its own; see `Store.transaction`."""
        async with self.begin() as unit:
            await unit.enter(instance_id, key, now, wait=wait)
            yield unit

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PgUnit]:
        """A transaction that has not asked anything yet; what the unit writes is looked up when the commit is cut off."""
        ending = Ending()
        async with self._connections.transaction() as connection:
            transaction = await connection.begin()
            session = _session_on(connection)
            tell, now = ending.after_commit.add, self._clock.now()
            unit = PgUnit(self._pen, connection, session, transaction, tell, now, lent=False)
            try:
                with ending.noted_on(connection), step_under_way(connection):
                    yield unit
                    await unit.finish()
            except BaseException as error:
                await undo(transaction)
                _raise_meaning(error, connection)
            await unbroken(self._conclude(connection, transaction, unit, ending))

    async def _conclude(
        self, connection: AsyncConnection, transaction: AsyncTransaction, unit: PgUnit, ending: Ending
    ) -> None:
        """Commit, find out about it where that was cut off, and tell who waits for it."""
        cut = await _commit(connection, transaction)
        await unit.connection.close()
        # Given back before another one is asked for.
        await connection.close()
        if cut:
            await self._settle(unit)
        ending.after_commit.run()

    @asynccontextmanager
    async def join(
        self, outside: object, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None
    ) -> AsyncIterator[PgUnit]:
        """A step inside `outside`; see `Store.join`."""
        connection = await self._accepted(outside)
        lent = outside if isinstance(outside, AsyncSession) else None
        session = lent or _session_on(connection)
        savepoint = (lent or connection).begin_nested()
        with ExitStack() as guards:
            guards.enter_context(step_under_way(connection))
            try:
                await unbroken(started(savepoint))
                if lent is not None:
                    guards.enter_context(session_kept_open(lent.sync_session))
                tell, instant = self._teller(connection, lent), self._clock.now()
                unit = PgUnit(self._pen, connection, session, innermost(connection), tell, instant, lent=True)
                await unit.enter(instance_id, key, now, wait=True)
                yield unit
                await unit.finish()
            except BaseException as error:
                guards.close()
                await undo(savepoint)
                _raise_lent_meaning(error, connection)
        with translated():
            await unbroken(savepoint.commit())
        if ending := ending_of(connection):
            ending.changes += unit.changes

    async def reading(self, outside: object) -> AsyncConnection:
        """The connection of `outside`, for reads that take no lock and undo nothing."""
        return await self._accepted(outside)

    @asynccontextmanager
    async def lend(self, outside: object) -> AsyncIterator[None]:
        """Commit `outside` after the block; see `Store.lend`."""
        connection = await self._accepted(outside)
        transaction: AsyncSession | AsyncConnection = outside if isinstance(outside, AsyncSession) else connection
        # Inside another block there is one transaction still, and one commit, which settles all of it.
        ending, errors = ending_of(connection) or Ending(), errors_on(connection)
        with ending.noted_on(connection):
            try:
                yield
                if errors_on(connection) != errors and transaction.in_transaction():
                    with translated():
                        await transaction.execute(select(1))
            except BaseException:
                await undo(transaction)
                raise
            await unbroken(self._conclude_lent(connection, transaction, ending))

    async def _conclude_lent(
        self, connection: AsyncConnection, transaction: AsyncSession | AsyncConnection, ending: Ending
    ) -> None:
        if await _commit(connection, transaction):
            await self._settle_lent(ending.changes)
        ending.committed()

    async def _settle_lent(self, changes: Sequence[Change]) -> None:
        """Return when the application's transaction was committed. One change that was applied proves it for all."""
        for change in changes:
            with suppress(ConnectionLost):
                return await self._verdict.of_commit([change])
        raise StoreUnavailable("the lent connection was lost at its commit")

    async def _settle(self, unit: PgUnit) -> None:
        if unit.changes:
            return await self._verdict.of_commit(unit.changes)
        if unit.record is not None:
            raise OutcomeUnknown(unit.record.id, unit.record.version)
        raise ConnectionLost

    def _teller(self, connection: AsyncConnection, lent: AsyncSession | None) -> Callable[[Callable[[], None]], None]:
        """Whom the callbacks of a joined step are given to, so that they hear of the commit."""
        ending = ending_of(connection)
        if ending is not None:
            return ending.after_commit.add
        if lent is not None:
            session = lent.sync_session
            return lambda callback: ending_of_session(session).add(session, connection, callback)
        return self._forget

    def _forget(self, callback: Callable[[], None]) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "a bare AsyncConnection does not tell when it committed, so nobody is called after steps that join it; "
                "open it with `async with runtime.transaction(connection)`, or pass an AsyncSession"
            )

    async def _accepted(self, outside: object) -> AsyncConnection:
        """The connection of `outside`; raises `ConnectionNotSupported`."""
        if isinstance(outside, AsyncSession):
            connection = await outside.connection()
        elif isinstance(outside, AsyncConnection) and outside.sync_connection is not None and not outside.closed:
            connection = outside
        else:
            raise ConnectionNotSupported("PgStore", outside, _ACCEPTED)
        if not same_database(connection.engine.url, self._connections.engine.url) or await _is_autocommit(connection):
            raise ConnectionNotSupported("PgStore", outside, _ACCEPTED)
        watch(connection.engine.sync_engine)
        return connection


def same_database(one: URL, other: URL) -> bool:
    """Whether two URLs lead to the same database, as far as their host, port and name tell."""
    return one.get_backend_name() == other.get_backend_name() and _database(one) == _database(other)


def _database(url: URL) -> tuple[str, str, str | None]:
    host = url.query.get("host", url.host or "localhost")
    name = host if isinstance(host, str) else ",".join(host)
    return _LOCAL.get(name, name), str(url.query.get("port", url.port or 5432)), url.database or url.username


async def _is_autocommit(connection: AsyncConnection) -> bool:
    raw = await connection.get_raw_connection()
    return bool(getattr(raw.dbapi_connection, "autocommit", False))


class _StepSession(Session):
    """A session for commands: the transaction it works in is not its own to end."""

    def commit(self) -> None:
        raise TransactionEnded

    def rollback(self) -> None:
        raise TransactionEnded


def _session_on(connection: AsyncConnection) -> AsyncSession:
    """A session for commands in the transaction of `connection`."""
    session = AsyncSession(
        bind=connection,
        sync_session_class=_StepSession,
        expire_on_commit=False,
        join_transaction_mode="rollback_only",
    )
    # Begun already, so that a command cannot begin, and then commit, by itself; it sends nothing.
    session.sync_session.begin()
    return session


async def _commit(connection: AsyncConnection, transaction: AsyncTransaction | AsyncSession | AsyncConnection) -> bool:
    """COMMIT; whether it was cut off, so that nobody knows."""
    try:
        with translated():
            await transaction.commit()
    except ConnectionLost:
        # After a timeout the connection may still be open, and its transaction too.
        if not connection.closed:
            await connection.invalidate()
        return True
    return False


def _raise_meaning(error: BaseException, connection: AsyncConnection) -> NoReturn:
    """Raise what an error inside a step means: a command's own errors are not ours to judge."""
    meaning = translate(error) if isinstance(error, DBAPIError) else None
    elsewhere = isinstance(meaning, ConnectionLost) and not connection.invalidated
    if meaning is None or elsewhere:
        raise error
    raise meaning from error


def _raise_lent_meaning(error: BaseException, connection: AsyncConnection) -> NoReturn:
    """The same in a lent transaction, where a lost connection takes the application's part with it: nothing to repeat.

    How long statements wait there is the application's own doing.
    """
    if isinstance(error, DBAPIError) and sqlstate(error) == LOCK_TIMEOUT:
        raise error
    try:
        _raise_meaning(error, connection)
    except ConnectionLost as lost:
        raise StoreUnavailable("the lent connection was lost") from lost
