"""Steps in a transaction: our own, and those that join the application's.

What is peculiar about lent transactions stays in this file. They are entered by a savepoint, which also makes SQLAlchemy send
the BEGIN it puts off. A lent session is used as it is; a lent connection gets a session for the commands, bound to it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any, NoReturn, TypeAlias, cast
from uuid import UUID
from weakref import WeakSet

from sqlalchemy import URL, Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from detent.errors import ConnectionNotSupported, InstanceNotFound, OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, Publish
from detent.store.protocol import A
from detent.store.records import ReceiptKey
from detent_pg.decisions import Decision
from detent_pg.effects import kinds_of
from detent_pg.ending import Ending, ending_of, ending_of_session, errors_on, step_under_way, watch
from detent_pg.engine import Connections
from detent_pg.faults import LOCK_TIMEOUT, ConnectionLost, sqlstate, translate, translated
from detent_pg.line import BorrowedLine
from detent_pg.own_transaction import OwnTransaction
from detent_pg.pen import Pen
from detent_pg.savepoints import BareSavepoint, ObjectSavepoint
from detent_pg.statements.writing import Rows
from detent_pg.time import LearntClock
from detent_pg.unit import PgUnit, unbroken, undo
from detent_pg.verdict import Verdict

logger = logging.getLogger("detent.store")

_ACCEPTED = "an AsyncSession or AsyncConnection of SQLAlchemy on the same PostgreSQL database, with a transaction"
Decided: TypeAlias = tuple[Change | None, Any]
"""What a decision came to."""

_LOCAL = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}


class Transactions:
    """Opens steps in transactions of the store's engine, and in transactions of the application."""

    def __init__(self, connections: Connections, pen: Pen, clock: LearntClock, verdict: Verdict) -> None:
        self._connections = connections
        self._pen = pen
        self._clock = clock
        self._verdict = verdict
        self._warned = False
        self._known: WeakSet[Engine] = WeakSet()
        """Engines that lead to our database, and are listened to."""

    @asynccontextmanager
    async def own(
        self, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None, *, wait: bool
    ) -> AsyncIterator[PgUnit]:
        """A step of its own; see `Store.transaction`. What the unit writes is looked up when the commit is cut off."""
        ending = Ending()
        async with self._connections.autocommit() as connection:
            transaction = OwnTransaction(connection)
            unit = PgUnit(
                self._pen,
                connection,
                transaction.line,
                None,
                transaction,
                ending.after_commit,
                self._clock.now(),
                lent=False,
            )
            try:
                try:
                    with ending.noted_on(connection), step_under_way(connection):
                        await unbroken(_begun(transaction, unit, instance_id, key, now, wait=wait))
                        yield unit
                        await unit.finish()
                except BaseException as error:
                    _raise_meaning(error, connection)
                await unbroken(self._conclude(connection, transaction, unit, ending))
            finally:
                if transaction.is_open:
                    await unbroken(transaction.finished())

    async def _conclude(
        self, connection: AsyncConnection, transaction: OwnTransaction, unit: PgUnit, ending: Ending
    ) -> None:
        """Commit, find out about it where that was cut off, and tell who waits for it."""
        cut = await transaction.commit()
        await unit.close()
        # Given back before another one is asked for.
        await connection.close()
        if cut:
            await self._settle(unit)
        ending.after_commit.run()

    async def apply(self, outside: object, decision: Decision, after_commit: Callable[[A], None] | None) -> A:
        """A step inside `outside` that only decides; see `Store.apply`."""
        connection = await self._accepted(outside)
        line = BorrowedLine(connection)
        savepoint = BareSavepoint(connection, line)
        with step_under_way(connection):
            try:
                change, answer = await unbroken(self._take(savepoint, line, decision))
            except BaseException as error:
                await unbroken(savepoint.undo())
                _raise_lent_meaning(error, connection)
        await unbroken(savepoint.release())
        if change is not None:
            if after_commit is not None:
                self._tell(connection, outside, partial(after_commit, answer))
            if ending := ending_of(connection):
                ending.changes.append(change)
        return cast(A, answer)

    async def _take(self, savepoint: BareSavepoint, line: BorrowedLine, decision: Decision) -> Decided:
        await savepoint.start()
        decided = await self._over_seen(line, decision)
        if decided is not None:
            return decided
        asked = decision.instance_id, decision.key, decision.now
        seen = await self._pen.lock(line, *asked, lent=True)
        if seen is None:
            raise InstanceNotFound(decision.instance_id)
        change, answer = decision.decide(seen.record, seen.receipt, seen.now)
        if change is not None:
            savepoint.check()
            if not await self._pen.write(line, [change], Rows.HELD, now=seen.now):
                raise StepRolledBack(f"instance {decision.instance_id} has no longer version {change.expected_version}")
        return change, answer

    async def _over_seen(self, line: BorrowedLine, decision: Decision) -> Decided | None:
        """Decide over what the caller has seen last, and write that if the row is free and as it was."""
        record = decision.seen() if self._clock.is_fresh else None
        if record is None:
            return None
        now = decision.now or self._clock.now()
        try:
            change, answer = decision.decide(record, None, now)
        except Exception:
            # It may speak of what is no longer so.
            return None
        if change is None or not kinds_of([change]) <= {Publish}:
            return None
        written = await self._pen.write(line, [change], Rows.PASSED_OVER, now=now)
        return (change, answer) if written else None

    @asynccontextmanager
    async def join(
        self, outside: object, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None
    ) -> AsyncIterator[PgUnit]:
        """A step inside `outside`; see `Store.join`."""
        connection = await self._accepted(outside)
        lent = outside if isinstance(outside, AsyncSession) else None
        line, told = BorrowedLine(connection), AfterCommit()
        savepoint = ObjectSavepoint(connection, lent)
        unit = PgUnit(self._pen, connection, line, lent, savepoint, told, self._clock.now(), lent=True)
        with step_under_way(connection):
            try:
                await unbroken(_entered(savepoint, unit, instance_id, key, now))
                yield unit
                await unit.finish()
            except BaseException as error:
                await unbroken(savepoint.undo())
                _raise_lent_meaning(error, connection)
        await unbroken(savepoint.release())
        if told.mark():
            self._tell(connection, outside, told.run)
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

    def _tell(self, connection: AsyncConnection, outside: object, callback: Callable[[], None]) -> None:
        """Have `callback` called when what a step has joined is committed."""
        if (ending := ending_of(connection)) is not None:
            ending.after_commit.add(callback)
        elif isinstance(outside, AsyncSession):
            session = outside.sync_session
            ending_of_session(session).add(session, connection, callback)
        else:
            self._forget()

    def _forget(self) -> None:
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
        engine = connection.sync_connection.engine if connection.sync_connection else None
        if engine not in self._known:
            if engine is None or not same_database(engine.url, self._connections.engine.url):
                raise ConnectionNotSupported("PgStore", outside, _ACCEPTED)
            watch(engine)
            self._known.add(engine)
        # That of a step of our own has a transaction, though SQLAlchemy knows nothing of it.
        if ending_of(connection) is None and await _is_autocommit(connection):
            raise ConnectionNotSupported("PgStore", outside, _ACCEPTED)
        return connection


async def _begun(
    transaction: OwnTransaction,
    unit: PgUnit,
    instance_id: UUID | None,
    key: ReceiptKey | None,
    now: datetime | None,
    *,
    wait: bool,
) -> None:
    await transaction.start()
    await unit.enter(instance_id, key, now, wait=wait)


async def _entered(
    savepoint: ObjectSavepoint, unit: PgUnit, instance_id: UUID | None, key: ReceiptKey | None, now: datetime | None
) -> None:
    await savepoint.start()
    await unit.enter(instance_id, key, now, wait=True)


def same_database(one: URL, other: URL) -> bool:
    """Whether two URLs lead to the same database, as far as their host, port and name tell."""
    return one.get_backend_name() == other.get_backend_name() and _database(one) == _database(other)


def _database(url: URL) -> tuple[str, str, str | None]:
    host = url.query.get("host", url.host or "localhost")
    name = host if isinstance(host, str) else ",".join(host)
    return _LOCAL.get(name, name), str(url.query.get("port", url.port or 5432)), url.database or url.username


async def _is_autocommit(connection: AsyncConnection) -> bool:
    sync = connection.sync_connection
    raw = await connection.get_raw_connection() if sync is None or sync.invalidated else sync.connection
    return bool(getattr(raw.dbapi_connection, "autocommit", False))


async def _commit(connection: AsyncConnection, transaction: AsyncSession | AsyncConnection) -> bool:
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
