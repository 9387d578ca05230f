"""Steps on different instances do not wait for each other. A store with one writer declines this topic."""

import asyncio

from detent.store.messages import InboxQuery
from detent.store.records import Status
from detent.store.run_records import Release
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    a_checkpoint,
    a_claim,
    a_message,
    accepted,
    advance,
    assert_untouched,
    claimed,
    created,
    creation,
    receipt_key,
    remembering,
    step,
    within,
)


class RowLockContract:
    """What is locked is one row."""

    async def test_a_long_step_holds_up_nobody_else(self, kit: StoreKit) -> None:
        held, other, third = [await created(kit.store) for _ in range(3)]

        async with within(), kit.store.transaction(held.id):
            assert await kit.store.apply(other.id, advance) == 2
            assert await kit.store.create(creation(key=receipt_key())) is None
            async with kit.store.transaction(third.id, wait=False) as unit:
                await unit.write(step(third))
            async with kit.store.transaction(None) as unit:
                await unit.write(creation())

    async def test_of_many_steps_at_once_only_that_on_the_held_row_waits(self, kit: StoreKit) -> None:
        held, *others = [await created(kit.store) for _ in range(33)]

        async with within(), asyncio.TaskGroup() as tasks, kit.store.transaction(held.id) as unit:
            waiting = [tasks.create_task(kit.store.apply(held.id, advance, known=remembering(held))) for _ in range(3)]
            free = [tasks.create_task(kit.store.apply(record.id, advance)) for record in others]
            assert await asyncio.gather(*free) == [2] * 32
            assert not any(task.done() for task in waiting)
            await unit.write(step(held))

        assert sorted(task.result() for task in waiting) == [3, 4, 5]

    async def test_a_read_through_a_callers_transaction_takes_no_row(self, kit: StoreKit) -> None:
        held, read = [await created(kit.store) for _ in range(2)]

        async with within(), kit.store.transaction(held.id), kit.lend() as outside:
            assert await kit.store.load(held.id, outside=outside) == held
            assert await kit.store.load(read.id, outside=outside) == read
            assert await kit.store.apply(read.id, advance) == 2

    async def test_a_sweep_passes_over_what_a_step_holds(self, kit: StoreKit) -> None:
        held = await created(kit.store, creation(due=NOW - 2 * DAY))
        free = await created(kit.store, creation(due=NOW - DAY))

        async with within(), kit.store.transaction(held.id):
            assert list(await kit.store.fire_due(advance, limit=1, now=NOW)) == [(free.id, 2)]

        await assert_untouched(kit.store, held)
        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == [(held.id, 2)]

    async def test_a_sweep_passes_over_what_a_callers_transaction_holds(self, kit: StoreKit) -> None:
        held = await created(kit.store, creation(due=NOW - DAY))

        async with within(), kit.lend() as outside:
            async with kit.store.join(outside, held.id):
                pass
            assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == []

        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == [(held.id, 2)]

    async def test_a_message_is_sent_to_an_instance_that_a_step_holds(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        messages = [a_message(record), a_message(record)]

        async with within(), kit.store.transaction(record.id):
            await kit.store.inbox.put(messages[0])
            async with kit.lend() as outside:
                await kit.store.inbox.put(messages[1], outside=outside)

        found = await kit.store.inbox.find(InboxQuery(), limit=10)
        assert [message.id for message in found] == [message.id for message in messages]

    async def test_a_worker_writes_under_its_lease_while_a_step_holds_the_instance(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)

        async with within(), kit.store.transaction(run.instance_id):
            assert list(await kit.store.runs.heartbeat([held.lease], extend=MINUTE, now=NOW)) == [run.id]
            assert await kit.store.runs.keep(held.lease, kept={"page": 1}, extend=MINUTE, now=NOW)
            assert await kit.store.runs.checkpoint(a_checkpoint(held.lease), now=NOW) is Status.ACTIVE
            assert list(await kit.store.runs.release([Release(held.lease)], now=NOW)) == [run.id]

    async def test_a_claim_passes_over_a_run_that_a_step_has_locked(self, kit: StoreKit) -> None:
        locked = await accepted(kit.store, priority=9)
        free = await accepted(kit.store)

        async with within(), kit.store.transaction(locked.instance_id) as unit:
            assert await unit.lock_run(locked.id) == locked
            assert [one.run.id for one in await kit.store.runs.claim(a_claim(1), now=NOW)] == [free.id]
            assert list(await kit.store.runs.claim(a_claim(9), now=NOW)) == []

        assert [one.run.id for one in await kit.store.runs.claim(a_claim(9), now=NOW)] == [locked.id]
