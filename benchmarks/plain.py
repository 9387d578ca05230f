"""The same transition by hand: SQL that a careful programmer would write with asyncpg, on Detent's own tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg

_SELECT = """
SELECT workflow, definition_version, state, status, version, context, metadata, timers, due_at, entered_at, created_at,
    updated_at, finished_at, parked_at, tenant, parent_id, run_id, parent_link
FROM detent_instances WHERE id = $1
"""
_LOCK = _SELECT + "FOR UPDATE"
_UPDATE = """
UPDATE detent_instances SET state = $3, version = version + 1, context = $4::text::jsonb, timers = $5::text::jsonb, due_at = NULL,
    entered_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = $1 AND version = $2
"""
_HISTORY = """
INSERT INTO detent_history (instance_id, sequence, event, from_state, to_state, outcome, commands, trigger_metadata,
    transition_id, definition_version, created_at)
"""
_ENTRY = _HISTORY + "VALUES ($1, $2, 'press', $3, $4, 'success', '[]', '{}', $5, $6, clock_timestamp())"
_BOTH = f"""
WITH moved AS ({_UPDATE} RETURNING id)
{_HISTORY} SELECT id, $2 + 1, 'press', $6, $3, 'success', '[]', '{{}}', $7, $8, clock_timestamp() FROM moved
"""

_AFTER = {"off": "on", "on": "off"}


async def press_locked(connection: asyncpg.Connection, identity: UUID) -> None:
    """One transaction: lock and read the row, decide, write the row, write history, commit."""
    async with connection.transaction():
        row = await connection.fetchrow(_LOCK, identity)
        state, version = _AFTER[row["state"]], row["version"]
        await connection.execute(_UPDATE, identity, version, state, row["context"], row["timers"])
        await connection.execute(_ENTRY, identity, version + 1, row["state"], state, uuid4(), row["definition_version"])


async def press_checked(connection: asyncpg.Connection, identity: UUID) -> None:
    """Two statements: read, decide, and write both rows where the version is still that one; each commits by itself."""
    row = await connection.fetchrow(_SELECT, identity)
    given = (row["version"], _AFTER[row["state"]], row["context"], row["timers"])
    written = await connection.execute(_BOTH, identity, *given, row["state"], uuid4(), row["definition_version"])
    assert written == "INSERT 0 1"


@asynccontextmanager
async def kept_connections(url: str, count: int) -> AsyncIterator[asyncpg.Pool]:
    """A pool that does not reset its connections: a reset would cost each transaction a round trip."""
    async with asyncpg.create_pool(url, min_size=count, max_size=count, reset=_as_it_is) as pool:
        yield pool


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Leaves the connection as it was left."""
