"""Who waits for whom over the messages of the memory store; everything else about them is in the contract of all stores."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest

from detent.errors import InstanceBusy
from detent.store.change import PutBack, TakeMessage
from detent.store.memory import MemoryStore
from detent.store.messages import InboxMessage, InboxQuery
from detent.store.records import WorkflowInstance
from detent.testing.store_contract.samples import DAY, NOW, a_message, created, effects_only, removal, within


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def sent(store: MemoryStore, record: WorkflowInstance, **fields: object) -> InboxMessage:
    message = a_message(record, **fields)
    await store.inbox.put(message)
    [found] = await store.inbox.find(InboxQuery(instance_id=record.id), limit=1)
    return found


async def discarded(store: MemoryStore, message: InboxMessage) -> Collection[UUID]:
    return await store.inbox.discard([message.id])


async def revived(store: MemoryStore, message: InboxMessage) -> Collection[UUID]:
    return await store.inbox.revive([message.id], now=NOW)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_who_discards_a_message_that_a_step_is_taking_finds_nothing(store: MemoryStore):
    record = await created(store)
    message = await sent(store, record)

    async with within():
        async with store.transaction(record.id) as unit:
            await unit.write(effects_only(record, TakeMessage(message.id)))
            assert list(await unit.messages()) == []
            waiting = asyncio.create_task(discarded(store, message))
            await turns()
            assert not waiting.done()
        assert list(await waiting) == []


async def test_who_revives_a_message_that_a_step_is_burying_revives_it_afterwards(store: MemoryStore):
    record = await created(store)
    message = await sent(store, record)

    async with within():
        async with store.transaction(record.id) as unit:
            await unit.write(effects_only(record, PutBack(replace(message, attempts=3, dead_at=NOW))))
            waiting = asyncio.create_task(revived(store, message))
            await turns()
            assert not waiting.done()
        assert list(await waiting) == [message.id]

    assert list(await store.inbox.find(InboxQuery(), limit=10)) == [message]


async def test_a_message_that_a_step_holds_too_long_is_busy_and_nothing_is_discarded():
    store = MemoryStore(lock_timeout=0.01)
    record, other = await created(store), await created(store)
    held, free = await sent(store, record), await sent(store, other)

    async with store.transaction(record.id) as unit:
        await unit.write(effects_only(record, PutBack(held)))
        with pytest.raises(InstanceBusy) as caught:
            await store.inbox.discard([free.id, held.id])

    assert caught.value.instance_id == record.id
    assert list(await store.inbox.find(InboxQuery(), limit=10)) == [held, free]


async def test_a_message_that_a_step_holds_is_not_pruned(store: MemoryStore):
    record, other = await created(store), await created(store)
    held, _ = await sent(store, record, dead_at=NOW), await sent(store, other, dead_at=NOW)

    async with store.transaction(record.id) as unit:
        await unit.write(effects_only(record, PutBack(replace(held, reason="looked at"))))
        assert await store.inbox.prune(before=NOW + DAY, limit=10) == 1

    [left] = await store.inbox.find(InboxQuery(), limit=10)
    assert (left.id, left.reason) == (held.id, "looked at")


async def test_a_message_to_an_instance_that_is_removed_before_the_commit_goes_with_it(store: MemoryStore):
    record = await created(store)

    async with store.begin() as outside:
        await store.inbox.put(a_message(record), outside=outside)
        await store.remove([removal(record)])

    assert list(await store.inbox.find(InboxQuery(), limit=10)) == []
    assert list(await store.inbox.due(limit=10, now=NOW)) == []


async def test_a_number_that_was_rolled_back_is_not_given_again(store: MemoryStore):
    record = await created(store)
    first = await sent(store, record)

    with suppress(LookupError):
        async with store.begin() as outside:
            await store.inbox.put(a_message(record), outside=outside)
            raise LookupError
    last = a_message(record)
    await store.inbox.put(last)

    found = await store.inbox.find(InboxQuery(), limit=10)
    assert [(each.id, each.number) for each in found] == [(first.id, 1), (last.id, 3)]
