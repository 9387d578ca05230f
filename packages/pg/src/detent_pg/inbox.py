"""The inbox of the store: events that were sent and not yet applied."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.errors import InstanceNotFound, OutcomeUnknown, StoreUnavailable
from detent.store.messages import InboxMessage, InboxQuery
from detent_pg.errands import Errands, rows_of
from detent_pg.faults import ConnectionLost
from detent_pg.limits import Limits
from detent_pg.message_rows import message_of, message_row
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.statements import inbox
from detent_pg.statements.arrays import arrays

_SKEW = timedelta(minutes=1)
"""By how much the clock that dates messages may be ahead of the one that dates instances."""


class PgInbox:
    """An `InboxStore` in PostgreSQL; each verb is one statement and one round trip."""

    def __init__(self, tables: Tables, limits: Limits, errands: Errands) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._errands = errands

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message. Raises `InstanceNotFound`, and `OutcomeUnknown` where the answer was lost, the message is not there and
        the instance was written since: it may have been applied already. One with an idempotency key is sent again instead.
        """
        if outside is None:
            await self._errands.shielded(self._put(message))
        else:
            await self._errands.through(outside, lambda connection: self._insert(connection, message, limited=False))

    async def due(
        self,
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[UUID]:
        """Up to `limit` instances with a message to judge, the longest waiting message first."""
        names = None if workflows is None else list(workflows)
        asked = {"limit": limit, "workflows": names, "tenant": tenant, "now": now}
        return [row["instance_id"] for row in await self._alone(inbox.due(self._tables), asked)]

    async def find(
        self, query: InboxQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[InboxMessage]:
        """Up to `limit` messages by rising number; with `after`, those above it."""
        asked = inbox.asked(query)
        statement = inbox.find(self._tables, frozenset(asked), paged=after is not None)
        place = {} if after is None else {"after": after}
        found = await self._errands.read(
            outside, lambda connection: rows_of(connection, statement, {**asked, **place, "limit": limit})
        )
        return [message_of(row) for row in found]

    async def revive(self, ids: Sequence[UUID], *, now: datetime | None = None) -> Collection[UUID]:
        """Let dead messages be tried again at once, their attempts forgotten; answers which were dead."""
        return _ids(await self._alone(inbox.revive(self._tables), {"ids": list(ids), "now": now, **self._limits}))

    async def discard(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Take messages out; answers which were there."""
        return _ids(await self._alone(inbox.discard(self._tables), {"ids": list(ids), **self._limits}))

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` messages that died before an instant; answers how many."""
        [row] = await self._alone(inbox.prune(self._tables), {"before": before, "limit": limit})
        return int(next(iter(row.values())))

    async def _alone(self, statement: Executable, parameters: Row) -> list[Row]:
        return await self._errands.alone(lambda connection: rows_of(connection, statement, parameters))

    async def _put(self, message: InboxMessage) -> None:
        try:
            await self._errands.persist(lambda: self._put_once(message))
        except _CutOff:
            await self._errands.committed(lambda connection: self._put_again(connection, message))

    async def _put_once(self, message: InboxMessage) -> None:
        try:
            await self._errands.once(lambda connection: self._insert(connection, message, limited=True))
        except ConnectionLost as lost:
            raise _CutOff from lost

    async def _put_again(self, connection: AsyncConnection, message: InboxMessage) -> None:
        """The same behind a first attempt that was cut off: what is not there now never was, or was applied since."""
        added = await self._insert(connection, message, limited=True)
        if added and message.key is None:
            [row] = await rows_of(connection, inbox.receiver(self._tables), {"id": message.instance_id})
            if row["updated_at"] >= message.created_at - _SKEW:
                raise OutcomeUnknown(message.instance_id, row["version"])

    async def _insert(self, connection: AsyncConnection, message: InboxMessage, *, limited: bool) -> bool:
        """Whether it was not there before."""
        parameters = arrays("sent", [message_row(message)], inbox.columns(self._tables))
        if limited:
            parameters |= self._limits
        found = await rows_of(connection, inbox.put(self._tables, limited=limited), parameters)
        if not found:
            raise InstanceNotFound(message.instance_id)
        return bool(found[0]["added"])


class _CutOff(StoreUnavailable):
    """A message was sent to the database, and nobody knows what became of it."""

    def __init__(self) -> None:
        super().__init__("the connection was lost while a message was sent")


def _ids(found: Sequence[Row]) -> frozenset[UUID]:
    return frozenset(row["id"] for row in found)
