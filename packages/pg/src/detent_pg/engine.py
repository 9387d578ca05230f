"""Engines and connections: how we make one, and how connections are taken from it, or from the application's."""

import ssl as tls
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from detent.errors import InvalidValue
from detent_pg.faults import unreachable
from detent_pg.line import BorrowedLine

SESSION_SETTINGS: Mapping[str, str] = {
    "application_name": "detent",
    # A frozen client keeps its row locks for no longer than this.
    "idle_in_transaction_session_timeout": "10s",
    # A client that was killed during a statement is noticed, and its locks are let go.
    "client_connection_check_interval": "1s",
    # The same for one whose host is gone.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
"""What an engine of ours asks of its sessions."""

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")


def make_engine(
    url: str | URL,
    *,
    pool_size: int = 10,
    max_overflow: int = 5,
    pool_timeout: float = 5.0,
    connect_timeout: float = 5.0,
    command_timeout: float = 30.0,
    ssl: tls.SSLContext | str | bool | None = None,
    session_settings: Mapping[str, str] = SESSION_SETTINGS,
) -> AsyncEngine:
    """An engine over asyncpg in which every wait is bounded, in seconds, and errors do not show parameters.

    `ssl` is what asyncpg takes: a context, or one of libpq's words such as `"verify-full"`. Behind a PgBouncer that refuses
    start-up parameters pass `session_settings={}`.
    """
    plain, word = _plain(url)
    return create_async_engine(
        plain,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=pool_timeout,
        hide_parameters=True,
        json_serializer=_to_json_text,
        json_deserializer=from_json,
        connect_args=_arguments(connect_timeout, command_timeout, word if ssl is None else ssl, session_settings),
    )


def make_listening_engine(
    url: str | URL,
    *,
    beside: str | URL | None = None,
    connect_timeout: float = 5.0,
    command_timeout: float = 30.0,
    ssl: tls.SSLContext | str | bool | None = None,
    session_settings: Mapping[str, str] | None = None,
) -> AsyncEngine:
    """An engine that keeps no connection: whoever listens takes one and holds it.

    Where neither `ssl` nor `url` says how to encrypt, the URL of the engine `beside` which it works does.
    """
    plain, word = _plain(url)
    if word is None and beside is not None:
        _, word = _plain(beside)
    return create_async_engine(
        plain,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=_arguments(connect_timeout, command_timeout, word if ssl is None else ssl, session_settings),
    )


def _arguments(
    connect_timeout: float,
    command_timeout: float,
    encryption: tls.SSLContext | str | bool | None,
    session_settings: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What asyncpg is told about each connection."""
    arguments: dict[str, Any] = {"timeout": connect_timeout, "command_timeout": command_timeout}
    if encryption is not None:
        arguments["ssl"] = encryption
    if session_settings is not None:
        arguments["server_settings"] = dict(session_settings)
    return arguments


def _plain(url: str | URL) -> tuple[URL, str | None]:
    """The URL for SQLAlchemy, and libpq's `sslmode`, which asyncpg takes under another name."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not chained: what could not be parsed may hold a password.
        raise InvalidValue("url", "is not a URL", hint="postgresql://user:password@host/database") from None
    if parsed.drivername not in _SCHEMES:
        raise InvalidValue("url", f"must start with postgresql://, not {parsed.drivername}://")
    word = parsed.query.get("sslmode")
    bare = parsed.set(drivername="postgresql+asyncpg").difference_update_query(["sslmode"])
    return bare, word if isinstance(word, str) else None


def _to_json_text(value: object) -> str:
    return to_json(value).decode()


class Connections:
    """Connections of one engine, for statements by themselves and for transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        # Both are views of the same pool. With AUTOCOMMIT neither BEGIN nor ROLLBACK goes over the wire.
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        # Spelled out, because how a receipt is read after a wait for the row rests on it.
        self._committed = engine.execution_options(isolation_level="READ COMMITTED")

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which every statement is its own transaction."""
        async with _taken(self._autocommit) as connection:
            yield connection

    @asynccontextmanager
    async def line(self) -> AsyncIterator[BorrowedLine]:
        """The same for our own statements."""
        async with _taken(self._autocommit) as connection:
            yield BorrowedLine(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which the first statement begins a transaction, rolled back unless committed."""
        async with _taken(self._committed) as connection:
            yield connection


@asynccontextmanager
async def _taken(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    connection = engine.connect()
    with unreachable(engine.url):
        await connection.start()
    try:
        yield connection
    finally:
        await connection.close()
