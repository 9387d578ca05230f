"""The outbox of the store: deliveries of published messages."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ClauseElement

from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult
from detent_pg.errands import Errands, rows_of
from detent_pg.limits import Limits
from detent_pg.message_rows import delivery_of
from detent_pg.rows import Row, encode_optional
from detent_pg.schema import Tables
from detent_pg.statements import outbox
from detent_pg.statements.arrays import arrays


class PgOutbox:
    """An `OutboxStore` in PostgreSQL; each verb is one statement and one round trip.

    A claim whose answer is lost is made again, and what it took comes back when its lease ends.
    """

    def __init__(self, tables: Tables, limits: Limits, errands: Errands) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._errands = errands

    async def claim(
        self,
        subscribers: Collection[str],
        *,
        lease: timedelta,
        limit: int,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[Delivery]:
        """Take up to `limit` deliveries to these subscribers whose turn it is, the lowest numbers first."""
        asked = {"subscribers": list(subscribers), "lease": lease, "limit": limit, "of_tenant": tenant, "now": now}
        return [delivery_of(row) for row in await self._alone(outbox.claim(self._tables), asked)]

    async def settle(self, results: Sequence[DeliveryResult], *, now: datetime | None = None) -> Collection[UUID]:
        """Note what came of claimed deliveries; answers the ids of those still held under the token they name."""
        rows = [_result_row(result) for result in results]
        parameters = arrays("results", rows, ("id", "lease_token", "status", "delay", "failure")) | self._limits
        return _ids(await self._alone(outbox.settle(self._tables), parameters | {"now": now}))

    async def find(
        self, query: DeliveryQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[Delivery]:
        """Up to `limit` deliveries by rising number; with `after`, those above it."""
        asked = outbox.asked(query)
        statement = outbox.find(self._tables, frozenset(asked), paged=after is not None)
        place = {} if after is None else {"after": after}
        found = await self._errands.read(
            outside, lambda line: rows_of(line, statement, {**asked, **place, "limit": limit})
        )
        return [delivery_of(row) for row in found]

    async def replay(self, query: DeliveryQuery, *, limit: int, now: datetime | None = None) -> Collection[UUID]:
        """Make up to `limit` delivered or dead ones pending again, at once; answers which."""
        asked = outbox.asked(query)
        statement = outbox.replay(self._tables, frozenset(asked))
        return _ids(await self._alone(statement, {**asked, **self._limits, "limit": limit, "now": now}))

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` deliveries that were delivered before an instant; answers how many."""
        [row] = await self._alone(outbox.prune(self._tables), {"before": before, "limit": limit})
        return int(next(iter(row.values())))

    async def _alone(self, statement: ClauseElement, parameters: Row) -> Sequence[Row]:
        return await self._errands.alone(lambda line: rows_of(line, statement, parameters))


def _ids(found: Sequence[Row]) -> frozenset[UUID]:
    return frozenset(row["id"] for row in found)


def _result_row(result: DeliveryResult) -> Row:
    return {
        "id": result.id,
        "lease_token": result.token,
        "status": result.status.value,
        "delay": result.delay,
        "failure": encode_optional(result.error),
    }
