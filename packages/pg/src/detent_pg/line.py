"""Statements sent past SQLAlchemy's execution, on the driver connection that it uses.

A statement is compiled from the tables once and prepared once on each connection. What SQLAlchemy does around every
execution costs several times what asyncpg needs to send it and to read the answer, and nothing of it is needed for
statements whose parameters and columns are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, cast
from uuid import uuid4

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from detent_pg.ending import note_error
from detent_pg.faults import ConnectionLost
from detent_pg.rows import Row

_COMPILED = 1024
"""How many statements are kept compiled, and prepared on each connection. There are some dozens, and variants of them."""


_PREPARED = "detent_prepared"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as the driver takes it."""

    sql: str
    names: tuple[str, ...]
    """The parameters in the order of their numbers."""
    constants: Mapping[str, object]
    """Those that the statement brings along."""

    def values(self, parameters: Mapping[str, object]) -> list[object]:
        """The parameters by number."""
        constants = self.constants
        return [parameters[name] if name in parameters else constants[name] for name in self.names]


@lru_cache(_COMPILED)
def compiled(statement: ClauseElement) -> Compiled:
    """`statement` for asyncpg. Give it statements that are made once, such as those of `detent_pg.statements`."""
    made = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]  # the dialect's constructor has no types
    constants = {name: value for name, value in made.params.items() if value is not None}
    if not isinstance(made, SQLCompiler):
        raise TypeError(f"{type(statement).__name__} is no statement with parameters")
    return Compiled(str(made), tuple(made.positiontup or ()), constants)


class Prepared:
    """What is prepared on one connection."""

    _alterations = 0
    """How often a statement was found to be older than its tables, on any connection."""

    def __init__(self) -> None:
        self._statements: dict[str, PreparedStatement] = {}
        self._as_of = Prepared._alterations

    async def take(self, driver: asyncpg.Connection, sql: str, timeout: float | None) -> PreparedStatement:
        """The prepared statement of `sql`; preparing one takes locks on its tables, and so may wait."""
        if self._as_of != Prepared._alterations or len(self._statements) >= _COMPILED:
            self._statements.clear()
            self._as_of = Prepared._alterations
        found = self._statements.get(sql)
        if found is None:
            # Names of our own making stay unique where a pooler hands one connection to many.
            found = await driver.prepare(sql, name=f"detent_{uuid4()}", timeout=timeout)
            self._statements[sql] = found
        return found

    @staticmethod
    def outdated() -> None:
        """The tables were altered: every connection of this process prepares its statements again."""
        Prepared._alterations += 1


class Line:
    """One connection of the driver, for our own statements. Errors are asyncpg's.

    `prepared` is what was prepared on it, where that outlives this object.
    """

    def __init__(self, driver: asyncpg.Connection, prepared: Prepared | None = None) -> None:
        self.driver = driver
        self._prepared = prepared or Prepared()

    async def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, object], *, timeout: float | None = None
    ) -> Sequence[Row]:
        """The rows that `statement` answers; `timeout` in seconds replaces the connection's own."""
        asked = compiled(statement)
        prepared = await self._prepared.take(self.driver, asked.sql, timeout)
        try:
            found: Sequence[Row] = await prepared.fetch(*asked.values(parameters), timeout=timeout)
        except asyncpg.InvalidCachedStatementError:
            Prepared.outdated()
            raise
        return found


class BorrowedLine(Line):
    """The line of a connection that SQLAlchemy lends, and that goes on using it.

    With `begins` the first statement goes through SQLAlchemy, which puts BEGIN off until then.
    """

    def __init__(self, connection: AsyncConnection, *, begins: bool = False) -> None:
        lent = _in_use(connection)
        # The pool's slot keeps what is prepared, and forgets it together with its connection.
        super().__init__(lent.connection.driver_connection, lent.info.setdefault(_PREPARED, Prepared()))
        self._connection = connection
        self._begins = begins

    async def fetch(
        self, statement: ClauseElement, parameters: Mapping[str, object], *, timeout: float | None = None
    ) -> Sequence[Row]:
        """The rows that `statement` answers. An error is counted as one of the connection's."""
        if self._begins:
            return await self._first(compiled(statement), parameters)
        try:
            return await super().fetch(statement, parameters, timeout=timeout)
        except BaseException:
            await self._failed()
            raise

    async def send(self, sql: str) -> None:
        """Have a statement executed that has neither parameters nor rows, such as SAVEPOINT."""
        try:
            await self.driver.execute(sql)
        except BaseException:
            await self._failed()
            raise

    @property
    def in_use(self) -> Connection:
        """The connection as SQLAlchemy holds it. Raises `ConnectionLost` when it does no more."""
        return _in_use(self._connection)

    async def invalidate(self) -> None:
        """Have the connection replaced: it broke, or nobody knows what it is doing."""
        if not self._connection.closed:
            await self._connection.invalidate()

    async def _failed(self) -> None:
        note_error(self._connection)
        if self.driver.is_closed():
            await self.invalidate()

    async def _first(self, asked: Compiled, parameters: Mapping[str, object]) -> Sequence[Row]:
        try:
            found = await self._connection.exec_driver_sql(asked.sql, tuple(asked.values(parameters)))
        except DBAPIError as error:
            _raise_drivers_own(error)
        self._begins = False
        return [cast(Row, row._mapping) for row in found]


def _in_use(connection: AsyncConnection) -> Connection:
    if connection.sync_connection is None or connection.closed or connection.invalidated:
        raise ConnectionLost
    return connection.sync_connection


def _raise_drivers_own(error: DBAPIError) -> NoReturn:
    """Raise what asyncpg raised, where PostgreSQL said something; of a connection that broke SQLAlchemy tells."""
    cause = error.orig.__cause__ if error.orig else None
    if isinstance(cause, asyncpg.PostgresError) and not error.connection_invalidated:
        raise cause
    raise error
