"""Steps on different instances do not wait for each other. A store with one writer declines this topic."""

from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_untouched,
    created,
    creation,
    receipt_key,
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
