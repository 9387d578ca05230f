"""Notices: payloads that PostgreSQL carries to every process on the same database, by LISTEN and NOTIFY.

They are sent outside of any step's transaction, because a NOTIFY takes a lock on the whole database when it commits.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from detent_pg.engine import Connections
from detent_pg.faults import translated
from detent_pg.listening import listen

_payloads = func.unnest(bindparam("payloads", type_=ARRAY(Text))).table_valued("payload").render_derived(name="said")
_NOTIFY = select(func.pg_notify(bindparam("channel", type_=Text), _payloads.c.payload))


class Notices:
    """A `Carrier`: one channel of a database. `listening` makes the connection that is kept while somebody listens."""

    name = "the database"
    longest = 7_900
    """PostgreSQL takes fewer than 8000 bytes."""

    def __init__(self, connections: Connections, channel: str, listening: AsyncEngine) -> None:
        self._connections = connections
        self._channel = channel
        self._listening = listening

    async def publish(self, payloads: Sequence[str]) -> None:
        """Send these in one statement."""
        async with self._connections.autocommit() as connection:
            with translated():
                await connection.execute(_NOTIFY, {"channel": self._channel, "payloads": list(payloads)})

    async def hear(self, heard: Callable[[str | bytes], None], subscribed: Callable[[], None]) -> None:
        """Listen until the connection is lost."""
        await listen(self._listening, self._channel, heard, subscribed)
