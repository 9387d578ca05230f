"""The inbox of the journal store: events that were sent and not yet applied."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.store.copies import copy_message
from detent.store.memory_query import message_is_to_judge, message_matches
from detent.store.messages import InboxMessage, InboxQuery
from examples.own_store.database import JournalDatabase


class JournalInbox:
    """An `InboxStore`. Its writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    async def put(self, message: InboxMessage, *, outside: object | None = None) -> None:
        """Keep a message to an instance that is there."""
        async with self._database.within(outside) as transaction:
            if message.instance_id not in transaction.rows.instances:
                raise InstanceNotFound(message.instance_id)
            transaction.put_message(message)

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
        rows = self._database.seen()
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
        messages = self._database.seen(outside).messages.values()
        asked = (each for each in messages if message_matches(each, query) and (after is None or each.number > after))
        return [copy_message(message) for message in islice(asked, limit)]

    async def revive(self, ids: Sequence[UUID], *, now: datetime | None = None) -> Collection[UUID]:
        """Let dead messages be tried again at once; answers which were dead."""
        async with self._database.begin() as transaction:
            instant = now or self._database.now()
            there = [transaction.rows.messages.get(message_id) for message_id in set(ids)]
            dead = [message for message in there if message and message.dead_at is not None]
            for message in dead:
                again = replace(message, dead_at=None, attempts=0, seen_version=0, available_at=instant)
                transaction.put_message(again)
        return {message.id for message in dead}

    async def discard(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Take messages out; answers which were there."""
        async with self._database.begin() as transaction:
            there = set(ids) & transaction.rows.messages.keys()
            transaction.drop("messages", list(there))
        return there

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Take out up to `limit` messages that died before an instant; answers how many."""
        async with self._database.begin() as transaction:
            messages = transaction.rows.messages.values()
            old = [message.id for message in messages if message.dead_at is not None and message.dead_at < before]
            return transaction.drop("messages", old[:limit])
