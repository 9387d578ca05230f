"""Two store objects on the same data, as two processes have them. A store inside one object declines this topic."""

import asyncio
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import pytest

from detent.store.change import Publish
from detent.store.protocol import Existing, Store
from detent.store.run_records import Throttle
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    a_checkpoint,
    a_claim,
    a_delivery,
    a_message,
    accepted,
    advance,
    assert_whole,
    claimed,
    created,
    creation,
    definition,
    receipt_key,
    receipt_of,
    within,
    written,
)


class SharingContract:
    """What one wrote, the other sees; what both want, one gets."""

    async def test_the_other_sees_what_was_committed(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        snapshot = definition()
        await kit.store.save_definitions([snapshot])

        async with _second(kit) as second:
            assert await second.load(record.id) == record
            assert await second.apply(record.id, advance) == 2
            assert await second.load_definition(snapshot.workflow, snapshot.version) == snapshot

        assert await assert_whole(kit.store, record.id) == 2

    async def test_closing_one_leaves_the_other_open(self, kit: StoreKit) -> None:
        async with _second(kit):
            pass

        assert (await created(kit.store)).version == 1

    async def test_steps_from_both_happen_one_after_the_other(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with within(), _second(kit) as second:
            stores = [kit.store, second] * 12
            answers = await asyncio.gather(*(store.apply(record.id, advance) for store in stores))

        assert sorted(answers) == list(range(2, 26))
        assert await assert_whole(kit.store, record.id) == 25

    async def test_creations_with_one_key_from_both_leave_one_instance(self, kit: StoreKit) -> None:
        key = receipt_key()
        changes = [creation(key=key) for _ in range(8)]

        async with within(), _second(kit) as second:
            stores = [kit.store, second] * 4
            pairs = zip(stores, changes, strict=True)
            answers = await asyncio.gather(*(store.create(change) for store, change in pairs))

        [winner] = [change for change, answer in zip(changes, answers, strict=True) if answer is None]
        expected = Existing(receipt_of(winner), winner.instance)
        assert [answer for answer in answers if answer is not None] == [expected] * 7

    async def test_claims_of_both_never_take_one_run_twice(self, kit: StoreKit) -> None:
        runs = [await accepted(kit.store) for _ in range(12)]
        taken: list[UUID] = []

        async def work(store: Store) -> None:
            while len(taken) < len(runs):
                taken.extend(one.run.id for one in await store.runs.claim(a_claim(2), now=NOW))
                await asyncio.sleep(0)

        async with within(), _second(kit) as second:
            await asyncio.gather(work(kit.store), work(second))

        assert sorted(taken) == sorted(run.id for run in runs)

    async def test_a_run_that_one_lost_the_other_takes_over_and_is_not_disturbed(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        stale = await claimed(kit.store)

        async with _second(kit) as second:
            current = await claimed(second, now=NOW + MINUTE)

            assert await kit.store.runs.checkpoint(a_checkpoint(stale.lease), now=NOW + MINUTE) is None
            assert list(await kit.store.runs.heartbeat([stale.lease], extend=DAY, now=NOW + MINUTE)) == []
            assert await second.runs.load(stale.run.id) == current.run
            assert list(await second.runs.heartbeat([current.lease], extend=DAY, now=NOW + MINUTE)) == [stale.run.id]

    @pytest.mark.parametrize(
        "throttle", [Throttle(concurrency=3), Throttle(rate=3, per=DAY)], ids=["concurrency", "rate"]
    )
    async def test_a_throttle_holds_for_both_together(self, kit: StoreKit, throttle: Throttle) -> None:
        for _ in range(8):
            await accepted(kit.store)
        claim = a_claim(2, queues=("default",), throttle=throttle)

        async with within(), _second(kit) as second:
            at_once = await asyncio.gather(*(store.runs.claim(claim, now=NOW) for store in (kit.store, second) * 3))
            # Who is passed over at once may get nothing although there is room; one after the other they fill it.
            after = [await store.runs.claim(claim, now=NOW) for store in (second, kit.store) * 2]

        assert sum(len(answer) for answer in (*at_once, *after)) == 3

    async def test_deliveries_and_messages_of_one_are_there_for_the_other(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        delivery, message = a_delivery(record), a_message(record)
        await written(kit.store, record.id, Publish(delivery))

        async with _second(kit) as second:
            await second.inbox.put(message)
            [taken] = await second.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)
            assert list(await kit.store.outbox.claim(["mail"], lease=MINUTE, limit=9, now=NOW)) == []

        assert taken.id == delivery.id
        assert list(await kit.store.inbox.due(limit=9, now=NOW)) == [record.id]

    async def test_values_of_one_are_there_for_the_other(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with _second(kit) as second:
            await second.values.put(record.id, "a", {"list": [1]})
            await kit.store.values.put(record.id, "a", "the same ref")
            assert await kit.store.values.load(record.id, ["a"]) == {"a": {"list": [1]}}
            assert await kit.store.values.clear(record.id) == 1
            assert await second.values.sizes(record.id) == {}

    async def test_sweepers_of_both_never_take_one_row_twice(self, kit: StoreKit) -> None:
        records = [await created(kit.store, creation(due=NOW - DAY)) for _ in range(20)]
        fired: list[UUID] = []

        async def sweep(store: Store) -> None:
            while len(fired) < len(records):
                fired.extend(instance_id for instance_id, _ in await store.fire_due(advance, limit=3, now=NOW))
                await asyncio.sleep(0)

        async with within(), _second(kit) as second:
            await asyncio.gather(sweep(kit.store), sweep(second))

        assert sorted(fired) == sorted(record.id for record in records)


def _second(kit: StoreKit) -> AbstractAsyncContextManager[Store]:
    assert kit.second is not None
    return kit.second()
