"""Two store objects on the same data, as two processes have them. A store inside one object declines this topic."""

import asyncio
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from detent.store.protocol import Existing, Store
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_whole,
    created,
    creation,
    definition,
    receipt_key,
    within,
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
        expected = Existing(winner.effects[0].receipt, winner.instance)
        assert [answer for answer in answers if answer is not None] == [expected] * 7

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
