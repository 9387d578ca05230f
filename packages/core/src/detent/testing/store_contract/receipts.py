"""Receipts: what an idempotency key was answered, until it expires."""

from dataclasses import replace
from datetime import timedelta

import pytest

from detent.errors import ConnectionNotSupported, StoreError
from detent.ids import new_id
from detent.store.change import Change, PutReceipt
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
    receipt_of,
    receipts_only,
    remembered,
    step,
)


class Boom(Exception):
    """What an application may raise."""


class ReceiptContract:
    """A key is answered once."""

    async def test_every_field_of_a_receipt_comes_back(self, kit: StoreKit) -> None:
        key = receipt_key(scope="workflow:return", tenant="acme")
        change = creation(key=key)

        record = await created(kit.store, change)

        assert await remembered(kit.store, record.id, key) == receipt_of(change)

    async def test_a_receipt_may_have_no_fingerprint(self, kit: StoreKit) -> None:
        key = receipt_key()
        change = creation(key=key)
        [effect] = change.effects_of(PutReceipt)
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

        assert existing == Existing(receipt_of(first), await loaded(kit.store, record.id))
        await _assert_never_created(kit, second)
        assert await remembered(kit.store, record.id, key) == receipt_of(first)

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
            assert unit.receipt == receipt_of(change)
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
            assert unit.receipt == receipt_of(first)
            assert await unit.write(second) == Existing(receipt_of(first), record)
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
        assert await remembered(kit.store, record.id, key) == receipt_of(later)

    async def test_an_expired_receipt_is_replaced_by_a_step(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        first = keyed_step(record, key, lasts=DAY)
        await kit.store.apply(record.id, lambda *_: (first, None), now=NOW)
        later = keyed_step(first.instance, key, now=NOW + 2 * DAY)

        await kit.store.apply(record.id, lambda *_: (later, None), key=key, now=NOW + 2 * DAY)

        assert await remembered(kit.store, record.id, key) == receipt_of(later)

    async def test_a_change_may_leave_several_receipts(self, kit: StoreKit) -> None:
        change = creation(key=receipt_key())
        [effect] = change.effects_of(PutReceipt)
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

    async def test_what_a_key_was_answered_is_recalled_with_the_instance_as_it_is_now(self, kit: StoreKit) -> None:
        change = creation(key=receipt_key(tenant="acme"))
        record = await created(kit.store, change)
        await kit.store.apply(record.id, advance)
        [effect] = change.effects_of(PutReceipt)

        existing = await kit.store.recall(effect.receipt.key, now=NOW)

        assert existing == Existing(effect.receipt, await loaded(kit.store, record.id))
        assert existing.instance.version == 2

    @pytest.mark.parametrize(
        "other", [{"scope": "workflow:return"}, {"tenant": "acme"}, {"key": "other"}], ids=["scope", "tenant", "key"]
    )
    async def test_a_key_that_nobody_used_recalls_nothing(self, kit: StoreKit, other: dict[str, str]) -> None:
        key = receipt_key()
        await created(kit.store, creation(key=key))

        assert await kit.store.recall(replace(key, **other), now=NOW) is None

    @pytest.mark.parametrize(("shift", "found"), [(-1, True), (0, False), (1, False)])
    async def test_an_expired_receipt_is_not_recalled(self, kit: StoreKit, shift: int, found: bool) -> None:
        key = receipt_key()
        await created(kit.store, creation(key=key, lasts=DAY))

        existing = await kit.store.recall(key, now=NOW + DAY + timedelta(microseconds=shift))

        assert (existing is not None) == found

    async def test_without_a_given_now_the_stores_clock_says_what_is_recalled(self, kit: StoreKit) -> None:
        expired, kept = receipt_key(), receipt_key()
        await created(kit.store, creation(key=expired, now=kit.store.now() - 2 * DAY, lasts=DAY))
        await created(kit.store, creation(key=kept, now=kit.store.now(), lasts=DAY))

        assert await kit.store.recall(expired) is None
        assert await kit.store.recall(kept) is not None

    async def test_recalling_through_the_callers_transaction_sees_what_it_wrote(self, kit: StoreKit) -> None:
        key, old_key = receipt_key(), receipt_key()
        old, change = await created(kit.store, creation(key=old_key)), creation(key=key)
        after = step(old)

        async with kit.lend() as outside:
            assert await kit.store.recall(key, now=NOW, outside=outside) is None
            async with kit.store.join(outside, None) as unit:
                await unit.write(change)
            async with kit.store.join(outside, old.id) as unit:
                await unit.write(after)

            mine = await kit.store.recall(key, now=NOW, outside=outside)
            assert mine == Existing(receipt_of(change), change.instance)
            assert await kit.store.recall(key, now=NOW + 31 * DAY, outside=outside) is None
            theirs = await kit.store.recall(old_key, now=NOW, outside=outside)
            assert theirs is not None
            assert theirs.instance == after.instance
            assert await kit.store.recall(key, now=NOW) is None
            committed = await kit.store.recall(old_key, now=NOW)
            assert committed is not None
            assert committed.instance == old

        assert await kit.store.recall(key, now=NOW) == mine

    @pytest.mark.parametrize("foreign", [object(), "postgresql://"], ids=["an object", "a text"])
    async def test_recalling_through_what_the_store_did_not_lend_is_refused(
        self, kit: StoreKit, foreign: object
    ) -> None:
        with pytest.raises(ConnectionNotSupported):
            await kit.store.recall(receipt_key(), outside=foreign)

    async def test_a_change_without_entries_leaves_receipts_and_nothing_else(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(due=NOW + DAY, hops=1))
        one, other = receipt_key(scope=str(record.id)), receipt_key(scope=str(record.id))
        change = receipts_only(record, one, other)

        await kit.store.apply(record.id, lambda *_: (change, None))

        await assert_untouched(kit.store, record)
        for effect in change.effects_of(PutReceipt):
            assert await remembered(kit.store, record.id, effect.receipt.key) == effect.receipt
        assert await kit.store.apply(record.id, advance) == record.version + 1

    async def test_a_step_of_its_own_may_leave_receipts_and_nothing_else(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))

        async with kit.store.transaction(record.id) as unit:
            assert await unit.write(receipts_only(record, key)) is None
            assert unit.record == record
            after = step(record)
            await unit.write(after)

        assert await kit.store.load(record.id) == after.instance
        assert await kit.store.recall(key, now=NOW) is not None

    async def test_a_change_without_entries_is_undone_with_its_transaction(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))

        async def undone() -> None:
            async with kit.store.transaction(record.id) as unit:
                await unit.write(receipts_only(record, key))
                raise Boom

        with pytest.raises(Boom):
            await undone()

        assert await kit.store.recall(key, now=NOW) is None

    @pytest.mark.parametrize("ahead", [False, True], ids=["an old version", "a version that is not reached"])
    async def test_a_change_without_entries_is_fenced_as_any_other(self, kit: StoreKit, ahead: bool) -> None:
        first = await created(kit.store)
        await kit.store.apply(first.id, advance)
        current = await loaded(kit.store, first.id)
        expected = step(current).instance if ahead else first
        key = receipt_key(scope=str(first.id))

        async def lost() -> None:
            async with kit.store.transaction(first.id) as unit:
                await unit.write(receipts_only(expected, key))

        with pytest.raises(StoreError):
            await lost()

        assert await kit.store.recall(key, now=NOW) is None
        await assert_untouched(kit.store, current)

    async def test_a_change_without_entries_makes_no_instance(self, kit: StoreKit) -> None:
        unknown, key = creation().instance, receipt_key()

        async def lost() -> None:
            async with kit.store.transaction(None) as unit:
                await unit.write(receipts_only(unknown, key))

        with pytest.raises(StoreError):
            await lost()

        assert await kit.store.load(unknown.id) is None
        assert await kit.store.recall(key, now=NOW) is None

    async def test_a_change_without_entries_does_not_replace_an_answer(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key, free = receipt_key(scope=str(record.id)), receipt_key(scope=str(record.id))
        first = receipts_only(record, key)
        await kit.store.apply(record.id, lambda *_: (first, None))

        async def again() -> None:
            async with kit.store.transaction(record.id) as unit:
                await unit.write(receipts_only(record, free, key, now=NOW + DAY))

        with pytest.raises(StoreError):
            await again()

        assert await remembered(kit.store, record.id, key) == receipt_of(first)
        assert await kit.store.recall(free, now=NOW) is None

    async def test_a_change_without_entries_replaces_an_expired_answer(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        later = receipts_only(record, key, now=NOW + 60 * DAY)
        await kit.store.apply(record.id, lambda *_: (receipts_only(record, key), None))

        await kit.store.apply(record.id, lambda *_: (later, None), now=NOW + 60 * DAY)

        assert await kit.store.recall(key, now=NOW + 60 * DAY) == Existing(receipt_of(later), record)


async def _assert_never_created(kit: StoreKit, change: Change) -> None:
    assert await kit.store.load(change.instance.id) is None
    assert list(await kit.store.history(change.instance.id, limit=1)) == []
