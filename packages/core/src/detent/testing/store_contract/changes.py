"""A change is written whole or not at all, and only from the version it expects."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

from dataclasses import replace
from datetime import datetime

import pytest

from detent.errors import StoreError
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    advance,
    assert_untouched,
    created,
    creation,
    keyed_step,
    loaded,
    receipt_key,
    receipt_of,
    remembered,
    sequences,
    step,
)


class Refused(Exception):
    """What a decision may raise."""


class ChangeContract:
    """Atomic and fenced."""

    async def test_apply_writes_what_was_decided_and_hands_back_the_answer(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change = step(record, context={"paid": True})

        answer = await kit.store.apply(record.id, lambda *_: (change, "the answer"))

        assert answer == "the answer"
        assert await kit.store.load(record.id) == change.instance
        assert await sequences(kit.store, record.id) == [2, 1]

    async def test_apply_decides_over_the_current_record(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.apply(record.id, advance)
        seen: list[WorkflowInstance] = []

        def look(current: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> tuple[None, None]:
            seen.append(current)
            return None, None

        await kit.store.apply(record.id, look)

        assert seen == [await loaded(kit.store, record.id)]

    async def test_a_decision_for_nothing_writes_nothing_and_still_answers(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        answer = await kit.store.apply(record.id, lambda current, *_: (None, current.state))

        assert answer == "new"
        await assert_untouched(kit.store, record)

    async def test_editing_the_record_is_no_way_to_change_it(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(context={"list": [1]}))

        def edit(current: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> tuple[None, None]:
            current.context["list"].append(2)
            return None, None

        await kit.store.apply(record.id, edit)
        async with kit.store.transaction(record.id) as unit:
            assert unit.record is not None
            unit.record.context["list"].append(3)

        await assert_untouched(kit.store, record)

    async def test_a_decision_that_raises_reaches_the_caller_unchanged_and_writes_nothing(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        refusal = Refused()

        def refuse(*_: object) -> tuple[None, None]:
            raise refusal

        with pytest.raises(Refused) as caught:
            await kit.store.apply(record.id, refuse)

        assert caught.value is refusal
        await assert_untouched(kit.store, record)
        assert await kit.store.apply(record.id, advance) == 2

    async def test_a_change_from_an_old_version_changes_nothing(self, kit: StoreKit) -> None:
        old = await created(kit.store)
        await kit.store.apply(old.id, advance)
        current = await loaded(kit.store, old.id)
        key = receipt_key()

        with pytest.raises(StoreError):
            async with kit.store.transaction(old.id) as unit:
                await kit.note(unit.connection, f"stale {old.id}")
                await unit.write(keyed_step(old, key))

        await assert_untouched(kit.store, current)
        assert await remembered(kit.store, old.id, key) is None
        assert not await kit.noted(f"stale {old.id}")

    async def test_a_change_from_a_version_that_is_not_reached_changes_nothing(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        ahead = step(step(record).instance)

        with pytest.raises(StoreError):
            async with kit.store.transaction(record.id) as unit:
                await unit.write(ahead)

        await assert_untouched(kit.store, record)

    async def test_a_creation_that_fails_leaves_no_receipt(self, kit: StoreKit) -> None:
        taken = creation()
        record = await created(kit.store, taken)
        key = receipt_key()
        again = creation(key=key)

        with pytest.raises(StoreError):
            await kit.store.create(replace(again, instance=replace(again.instance, id=taken.instance.id)))

        await assert_untouched(kit.store, record)
        assert await remembered(kit.store, record.id, key) is None

    async def test_instance_history_and_receipt_appear_together(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)

        await kit.store.apply(record.id, lambda *_: (change, None))

        assert await kit.store.load(record.id) == change.instance
        assert list(await kit.store.history(record.id, limit=1)) == list(change.entries)
        assert await remembered(kit.store, record.id, key) == receipt_of(change)
