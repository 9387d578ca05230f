"""The outbox of the journal store: deliveries of published messages."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

from detent.store.copies import copy_delivery
from detent.store.memory_delivery_steps import claimed, foremost, is_held_under, may_be_tried, pending_again, settled
from detent.store.memory_query import delivery_matches
from detent.store.messages import Delivery, DeliveryQuery, DeliveryResult, DeliveryStatus
from examples.own_store.database import JournalDatabase, PassedOver


class JournalOutbox:
    """An `OutboxStore`. Its writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, database: JournalDatabase) -> None:
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
        """Take up to `limit` deliveries whose turn it is; none, when a long step keeps the writer."""
        taken: list[Delivery] = []
        with suppress(PassedOver):
            async with self._database.begin(PassedOver) as transaction:
                instant = now or self._database.now()
                first = foremost(transaction.rows.deliveries.values(), subscribers)
                ready = [each for each in first if may_be_tried(each, instant) and tenant in (None, each.tenant)]
                for delivery in ready[: max(0, limit)]:
                    taken.append(transaction.put_delivery(claimed(delivery, uuid4(), instant + lease)))
        return taken

    async def settle(self, results: Sequence[DeliveryResult], *, now: datetime | None = None) -> Collection[UUID]:
        """Note what came of claimed deliveries; answers the ids of those that nobody claimed since."""
        noted: set[UUID] = set()
        async with self._database.begin() as transaction:
            instant = now or self._database.now()
            for result in results:
                delivery = transaction.rows.deliveries.get(result.id)
                if delivery and is_held_under(delivery, result.token):
                    transaction.put_delivery(settled(delivery, result, instant))
                    noted.add(result.id)
        return noted

    async def find(
        self, query: DeliveryQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[Delivery]:
        """Up to `limit` deliveries that `query` asks for, by rising number."""
        deliveries = self._database.seen(outside).deliveries.values()
        asked = (
            each for each in deliveries if delivery_matches(each, query) and (after is None or each.number > after)
        )
        return [copy_delivery(delivery) for delivery in islice(asked, limit)]

    async def replay(self, query: DeliveryQuery, *, limit: int, now: datetime | None = None) -> Collection[UUID]:
        """Make up to `limit` delivered or dead ones pending again, the lowest numbers first; answers which."""
        async with self._database.begin() as transaction:
            instant = now or self._database.now()
            asked = [
                delivery
                for delivery in transaction.rows.deliveries.values()
                if delivery.status is not DeliveryStatus.PENDING and delivery_matches(delivery, query)
            ][:limit]
            for delivery in asked:
                transaction.put_delivery(pending_again(delivery, instant))
        return {delivery.id for delivery in asked}

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` deliveries that were made before an instant; answers how many."""
        async with self._database.begin() as transaction:
            made = [
                delivery.id
                for delivery in transaction.rows.deliveries.values()
                if delivery.status is DeliveryStatus.DELIVERED
                and delivery.finished_at is not None
                and delivery.finished_at < before
            ]
            return transaction.drop("deliveries", made[:limit])
