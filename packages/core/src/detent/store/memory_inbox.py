"""The inbox of the memory store: events that were sent and not yet applied."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.store.copies import copy_message
from detent.store.memory_database import MemoryDatabase
from detent.store.memory_effects import add_message, message_row
from detent.store.memory_query import message_is_to_judge, message_matches
from detent.store.memory_transaction import MemoryTransaction
from detent.store.messages import InboxMessage, InboxQuery


class MemoryInbox:
    """An `InboxStore` in memory. `revive` and `discard` raise `InstanceBusy` when a step holds a message for too long."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message to an instance that is there, whoever holds it."""
        async with self._database.within(outside) as transaction:
            if not add_message(transaction.rows, message):
                raise InstanceNotFound(message.instance_id)

    async def due(
        self,
        *,
        limit: int,
        workflows: Collection[str] | None = None,
        tenant: str | None = None,
        now: datetime | None = None,
    ) -> Sequence[UUID]:
        """Up to `limit` instances with a message to judge, the one whose message could be tried longest ago first."""
        instant = now or self._database.now()
        rows = self._database.committed
        waiting = [
            (message.available_at, message.number, message.instance_id)
            for message in rows.messages.values()
            if message_is_to_judge(message, rows.instances[message.instance_id], instant)
            and (workflows is None or rows.instances[message.instance_id].workflow in workflows)
            and tenant in (None, message.tenant)
        ]
        # A dict keeps the order in which its keys came first.
        return list(dict.fromkeys(instance_id for _, _, instance_id in sorted(waiting)))[:limit]

    async def find(
        self, query: InboxQuery, *, limit: int, after: int | None = None, outside: object | None = None
    ) -> Sequence[InboxMessage]:
        """Up to `limit` messages that `query` asks for, by rising number."""
        asked = [
            message
            for message in self._database.view(outside).messages()
            if message_matches(message, query) and (after is None or message.number > after)
        ]
        return [copy_message(message) for message in asked[:limit]]

    async def revive(self, ids: Sequence[UUID], *, now: datetime | None = None) -> Collection[UUID]:
        """Let dead messages be tried again at once; answers which were dead."""
        revived: set[UUID] = set()
        async with self._database.begin() as transaction:
            for message in await _hold(transaction, ids):
                if message.dead_at is not None:
                    instant = now or self._database.now()
                    again = replace(message, dead_at=None, attempts=0, seen_version=0, available_at=instant)
                    transaction.rows.put_message(again)
                    revived.add(message.id)
        return revived

    async def discard(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Take messages out; answers which were there."""
        async with self._database.begin() as transaction:
            there = {message.id for message in await _hold(transaction, ids)}
            for message_id in there:
                transaction.rows.take_message(message_id)
        return there

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` messages that died before an instant and that no step holds; answers how many."""
        dropped = 0
        async with self._database.begin() as transaction:
            for message in transaction.rows.messages():
                old = message.dead_at is not None and message.dead_at < before
                if dropped < limit and old and transaction.try_hold(message_row(message.id)):
                    transaction.rows.take_message(message.id)
                    dropped += 1
        return dropped


async def _hold(transaction: MemoryTransaction, ids: Sequence[UUID]) -> list[InboxMessage]:
    """The messages that are there, held. Everybody holds rows in the order of ids."""
    rows = transaction.rows
    for message_id in sorted(set(ids)):
        message = rows.message(message_id)
        if message is not None:
            await transaction.hold(message_row(message_id), message.instance_id)
    # Asked after the waits: who held a message may have taken it.
    return [message for message_id in set(ids) if (message := rows.message(message_id)) is not None]
