"""How the database does: the values that `PgStore.health`, `pool_stats` and `open` look at."""

import logging
import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from detent.errors import DetentError, StoreError, StoreOutdated
from detent.store.health import Health
from detent_pg import migrate
from detent_pg.engine import Connections
from detent_pg.faults import translated
from detent_pg.names import Names
from detent_pg.schema import schema_version

logger = logging.getLogger("detent.store")

_OLDEST = 140_000
"""PostgreSQL 14, as `server_version_num`."""


@dataclass(frozen=True, slots=True)
class PgHealth(Health):
    """Whether the database can be used right now."""

    server_version: str | None = None
    """As PostgreSQL spells it; `None` when it did not answer."""
    schema_version: int | None = None
    """The last migration that was applied."""
    latency: float | None = None
    """Seconds from asking for a connection to the answer."""


@dataclass(frozen=True, slots=True)
class PoolStats:
    """How the connections of an engine are used right now."""

    size: int
    """How many it keeps."""
    idle: int
    """How many of those wait for work."""
    in_use: int
    """How many are at work, those beyond `size` included."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a database says of itself."""

    version: str
    number: int
    idle_timeout: str
    """How long a session may idle inside a transaction; `0` without end."""


async def measure(connections: Connections, names: Names) -> PgHealth:
    """Ask the database once; whatever stands in the way becomes a sentence."""
    started = time.perf_counter()
    try:
        async with connections.autocommit() as connection:
            server = await _server(connection)
            latency = time.perf_counter() - started
            version = await migrate.current_version(connection, names)
    except Exception as error:
        said = error.message if isinstance(error, DetentError) else type(error).__name__
        return PgHealth(ok=False, detail=said)
    ok = version == schema_version
    detail = (
        f"PostgreSQL {server.version}" if ok else str(StoreOutdated(version, schema_version, upgrade=names.upgrade))
    )
    return PgHealth(ok, detail, server_version=server.version, schema_version=version, latency=latency)


async def check_schema(connections: Connections, names: Names, *, owned: bool) -> None:
    """Raise `StoreOutdated`, or `StoreError` for a server that is too old; warn of what an engine of the application lacks."""
    async with connections.autocommit() as connection:
        server = await _server(connection)
        if server.number < _OLDEST:
            raise StoreError(f"PostgreSQL {server.version} is too old", hint="Detent needs PostgreSQL 14 or later")
        found = await migrate.current_version(connection, names)
    if found != schema_version:
        raise StoreOutdated(found, schema_version, upgrade=names.upgrade)
    if not owned and server.idle_timeout == "0":
        logger.warning(
            "the engine's sessions have no idle_in_transaction_session_timeout: a frozen process would keep its row locks"
        )


def pool_stats(engine: AsyncEngine) -> PoolStats:
    """The pool of `engine` as it is now; a pool that keeps nothing has only zeros."""
    pool = engine.sync_engine.pool
    if not isinstance(pool, QueuePool):
        return PoolStats(size=0, idle=0, in_use=0)
    return PoolStats(size=pool.size(), idle=pool.checkedin(), in_use=pool.checkedout())


async def _server(connection: AsyncConnection) -> Server:
    settings = ("server_version", "server_version_num", "idle_in_transaction_session_timeout")
    with translated():
        row = (await connection.execute(select(*(func.current_setting(name) for name in settings)))).one()
    return Server(version=row[0], number=int(row[1]), idle_timeout=row[2])
