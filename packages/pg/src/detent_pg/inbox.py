"""The inbox of the store: events that were sent and not yet applied."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ClauseElement

from detent.store.messages import InboxMessage, InboxQuery
from detent_pg.batch import Batch
from detent_pg.errands import Errands, rows_of
from detent_pg.limits import Limits
from detent_pg.message_rows import message_of
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.sends import Sends
from detent_pg.statements import inbox


class PgInbox:
    """An `InboxStore` in PostgreSQL; each verb is one statement and one round trip, which messages that are put share."""

    def __init__(self, tables: Tables, limits: Limits, errands: Errands, batch: Batch) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._errands = errands
        self._batch = batch
        self._sends = Sends(tables, limits, errands)

    async def finished(self) -> None:
        """Wait for messages that left the batch."""
        await self._sends.finished()

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message. Raises `InstanceNotFound`, and `OutcomeUnknown` where the answer was lost, the message is not there and
        the instance was written since: it may have been applied already. One with an idempotency key is sent again instead.
        """
        if outside is None:
            await self._batch.do(self._sends, message, instance_id=message.instance_id)
        else:
            await self._errands.through(outside, lambda line: self._sends.within(line, message))

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
            outside, lambda line: rows_of(line, statement, {**asked, **place, "limit": limit})
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

    async def _alone(self, statement: ClauseElement, parameters: Row) -> Sequence[Row]:
        return await self._errands.alone(lambda line: rows_of(line, statement, parameters))


def _ids(found: Sequence[Row]) -> frozenset[UUID]:
    return frozenset(row["id"] for row in found)
