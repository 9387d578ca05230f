"""Time: a given `now` replaces the store's clock in decisions and in comparisons alike."""

from datetime import UTC, datetime, timedelta

import pytest

from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    created,
    creation,
    receipt_key,
)

# Clocks of a database and of this process may differ; a contract cannot ask for more.
TOLERANCE = timedelta(minutes=5)


def tell(_record: WorkflowInstance, _receipt: Receipt | None, now: datetime) -> tuple[None, datetime]:
    """A decision that only answers what time it is."""
    return None, now


class TimeContract:
    """Whose clock counts."""

    async def test_the_store_tells_the_time_with_its_zone(self, kit: StoreKit) -> None:
        now = kit.store.now()

        assert now.utcoffset() is not None
        assert abs(now - datetime.now(UTC)) < TOLERANCE

    async def test_without_a_given_now_steps_happen_by_the_stores_clock(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        told = await kit.store.apply(record.id, tell)
        async with kit.store.transaction(record.id) as unit:
            in_a_transaction = unit.now

        for instant in (told, in_a_transaction):
            assert instant.utcoffset() is not None
            assert abs(instant - kit.store.now()) < TOLERANCE

    async def test_a_given_now_is_the_instant_of_the_step(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        assert await kit.store.apply(record.id, tell, now=NOW) == NOW
        async with kit.store.transaction(record.id, now=NOW) as unit:
            assert unit.now == NOW
        async with kit.store.transaction(None, now=NOW) as unit:
            assert unit.now == NOW
        async with kit.lend() as outside, kit.store.join(outside, record.id, now=NOW) as unit:
            assert unit.now == NOW

    async def test_a_given_now_governs_what_is_due(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW))

        assert list(await kit.store.fire_due(advance, limit=10, now=NOW - timedelta(microseconds=1))) == []
        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == [(record.id, 2)]

    async def test_without_a_given_now_the_stores_clock_governs_what_is_due(self, kit: StoreKit) -> None:
        due = await created(kit.store, creation(due=kit.store.now() - DAY))
        await created(kit.store, creation(due=kit.store.now() + DAY))

        assert list(await kit.store.fire_due(advance, limit=10)) == [(due.id, 2)]

    @pytest.mark.parametrize(("shift", "seen"), [(-1, True), (0, False), (1, False)])
    async def test_a_given_now_governs_when_a_receipt_expires(self, kit: StoreKit, shift: int, seen: bool) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, lasts=DAY))
        now = NOW + DAY + timedelta(microseconds=shift)

        receipts = [await kit.store.apply(record.id, lambda _, receipt, __: (None, receipt), key=key, now=now)]
        async with kit.store.transaction(record.id, key=key, now=now) as unit:
            receipts.append(unit.receipt)
        async with kit.store.transaction(None, key=key, now=now) as unit:
            receipts.append(unit.receipt)
        async with kit.lend() as outside, kit.store.join(outside, record.id, key=key, now=now) as unit:
            receipts.append(unit.receipt)

        assert [receipt is not None for receipt in receipts] == [seen] * 4

    @pytest.mark.parametrize(("shift", "found"), [(-1, True), (0, False), (1, False)])
    async def test_a_creation_happens_when_its_receipt_was_made(self, kit: StoreKit, shift: int, found: bool) -> None:
        """`create` takes no `now`: whether a receipt has expired is judged by `created_at` of the new one."""
        key = receipt_key()
        await created(kit.store, creation(key=key, lasts=DAY))
        again = creation(key=key, now=NOW + DAY + timedelta(microseconds=shift))

        existing = await kit.store.create(again)

        assert (existing is not None) == found
        assert (await kit.store.load(again.instance.id) is None) == found
