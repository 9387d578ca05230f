"""The outbox of the memory store: deliveries of published messages.

Steps only add deliveries; what becomes of them is written here, without giving up the event loop, so that nobody holds one.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from detent.store.copies import copy_delivery
from detent.store.memory_database import MemoryDatabase
from detent.store.memory_delivery_steps import claimed, foremost, is_held_under, may_be_tried, pending_again, settled
from detent.store.memory_query import delivery_matches
from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult, DeliveryStatus


class MemoryOutbox:
    """An `OutboxStore` in memory."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def claim(
        self,
        subscribers: Collection[str],
        *,
        lease: timedelta,
        limit: int,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[Delivery]:
        """Take up to `limit` deliveries whose turn it is, the lowest numbers first."""
        instant = now or self._database.now()
        async with self._database.begin() as transaction:
            ready = [
                each
                for each in foremost(transaction.rows.deliveries(), subscribers)
                if may_be_tried(each, instant) and tenant in (None, each.tenant)
            ]
            taken = [claimed(delivery, uuid4(), instant + lease) for delivery in ready[: max(0, limit)]]
            for delivery in taken:
                transaction.rows.put_delivery(delivery)
        return [copy_delivery(delivery) for delivery in taken]

    async def settle(self, results: Sequence[DeliveryResult], *, now: datetime | None = None) -> Collection[UUID]:
        """Note what came of claimed deliveries; answers the ids of those that nobody claimed since."""
        instant = now or self._database.now()
        noted: set[UUID] = set()
        async with self._database.begin() as transaction:
            for result in results:
                delivery = transaction.rows.delivery(result.id)
                if delivery is not None and is_held_under(delivery, result.token):
                    transaction.rows.put_delivery(settled(delivery, result, instant))
                    noted.add(result.id)
        return noted

    async def find(
        self, query: DeliveryQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[Delivery]:
        """Up to `limit` deliveries that `query` asks for, by rising number."""
        asked = [
            delivery
            for delivery in self._database.view(outside).deliveries()
            if delivery_matches(delivery, query) and (after is None or delivery.number > after)
        ]
        return [copy_delivery(delivery) for delivery in asked[:limit]]

    async def replay(self, query: DeliveryQuery, *, limit: int, now: datetime | None = None) -> Collection[UUID]:
        """Make up to `limit` delivered or dead ones pending again, the lowest numbers first; answers which."""
        instant = now or self._database.now()
        async with self._database.begin() as transaction:
            asked = [
                delivery
                for delivery in transaction.rows.deliveries()
                if delivery.status is not DeliveryStatus.PENDING and delivery_matches(delivery, query)
            ][:limit]
            for delivery in asked:
                transaction.rows.put_delivery(pending_again(delivery, instant))
        return {delivery.id for delivery in asked}

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` deliveries that were delivered before an instant; answers how many."""
        return self._database.committed.prune_deliveries(before, limit)
