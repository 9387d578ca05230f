"""Receipts: what an idempotency key was answered, until it expires."""

from dataclasses import replace

import pytest

from detent.ids import new_id
from detent.store.change import Change
from detent.store.protocol import Existing
from detent.store.records import ReceiptKey
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_untouched,
    created,
    creation,
    keyed_step,
    loaded,
    receipt_key,
    remembered,
)


class ReceiptContract:
    """A key is answered once."""

    async def test_every_field_comes_back(self, kit: StoreKit) -> None:
        key = receipt_key(scope="workflow:return", tenant="acme")
        change = creation(key=key)

        record = await created(kit.store, change)

        assert await remembered(kit.store, record.id, key) == change.effects[0].receipt

    async def test_a_receipt_may_have_no_fingerprint(self, kit: StoreKit) -> None:
        key = receipt_key()
        change = creation(key=key)
        [effect] = change.effects
        bare = replace(effect, receipt=replace(effect.receipt, fingerprint=None, answer={}))

        record = await created(kit.store, replace(change, effects=(bare,)))

        assert await remembered(kit.store, record.id, key) == bare.receipt

    async def test_a_second_creation_finds_what_the_first_left(self, kit: StoreKit) -> None:
        key = receipt_key()
        first = creation(key=key)
        record = await created(kit.store, first)
        await kit.store.apply(record.id, advance)
        second = creation(key=key)

        existing = await kit.store.create(second)

        assert existing == Existing(first.effects[0].receipt, await loaded(kit.store, record.id))
        await _assert_never_created(kit, second)
        assert await remembered(kit.store, record.id, key) == first.effects[0].receipt

    @pytest.mark.parametrize(
        "other", [{"scope": "workflow:return"}, {"tenant": "acme"}, {"key": "other"}], ids=["scope", "tenant", "key"]
    )
    async def test_another_scope_tenant_or_text_is_another_key(self, kit: StoreKit, other: dict[str, str]) -> None:
        key = receipt_key()
        await created(kit.store, creation(key=key))

        assert await kit.store.create(creation(key=replace(key, **other))) is None

    async def test_a_step_sees_the_receipt_under_its_key(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)

        await kit.store.apply(record.id, lambda *_: (change, None), key=key)

        async with kit.store.transaction(record.id, key=key) as unit:
            assert unit.receipt == change.effects[0].receipt
        async with kit.store.transaction(record.id) as unit:
            assert unit.receipt is None
        async with kit.store.transaction(record.id, key=receipt_key()) as unit:
            assert unit.receipt is None

    async def test_a_creation_with_commands_finds_what_exists_and_writes_nothing(self, kit: StoreKit) -> None:
        key = receipt_key()
        first = creation(key=key)
        record = await created(kit.store, first)
        second = creation(key=key)

        async with kit.store.transaction(None, key=key, now=NOW) as unit:
            assert unit.receipt == first.effects[0].receipt
            assert await unit.write(second) == Existing(first.effects[0].receipt, record)
            assert unit.record is None
            await kit.note(unit.connection, f"still usable {record.id}")

        assert await kit.noted(f"still usable {record.id}")
        await _assert_never_created(kit, second)
        await assert_untouched(kit.store, record)

    async def test_an_expired_receipt_is_not_seen(self, kit: StoreKit) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, lasts=DAY))

        assert await remembered(kit.store, record.id, key, now=NOW + DAY / 2) is not None
        assert await remembered(kit.store, record.id, key, now=NOW + DAY) is None

    async def test_an_expired_receipt_is_replaced_by_a_creation(self, kit: StoreKit) -> None:
        key = receipt_key()
        await created(kit.store, creation(key=key, lasts=DAY))
        later = creation(key=key, now=NOW + 2 * DAY)

        record = await created(kit.store, later)

        assert record.id == later.instance.id
        assert await remembered(kit.store, record.id, key) == later.effects[0].receipt

    async def test_an_expired_receipt_is_replaced_by_a_step(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        first = keyed_step(record, key, lasts=DAY)
        await kit.store.apply(record.id, lambda *_: (first, None), now=NOW)
        later = keyed_step(first.instance, key, now=NOW + 2 * DAY)

        await kit.store.apply(record.id, lambda *_: (later, None), key=key, now=NOW + 2 * DAY)

        assert await remembered(kit.store, record.id, key) == later.effects[0].receipt

    async def test_a_change_may_leave_several_receipts(self, kit: StoreKit) -> None:
        change = creation(key=receipt_key())
        [effect] = change.effects
        other = replace(effect, receipt=replace(effect.receipt, key=ReceiptKey(scope="b", key="b", tenant="b")))

        record = await created(kit.store, replace(change, effects=(effect, other)))

        for written in (effect, other):
            assert await remembered(kit.store, record.id, written.receipt.key) == written.receipt

    async def test_keys_are_kept_letter_by_letter(self, kit: StoreKit) -> None:
        keys = ["Key", "key", "key ", "ключ", f"'; -- {new_id()}", "k" * 200]
        for text in keys:
            assert await kit.store.create(creation(key=receipt_key(text))) is None
        for text in keys:
            existing = await kit.store.create(creation(key=receipt_key(text)))
            assert existing is not None
            assert existing.receipt.key.key == text


async def _assert_never_created(kit: StoreKit, change: Change) -> None:
    assert await kit.store.load(change.instance.id) is None
    assert list(await kit.store.history(change.instance.id, limit=1)) == []
