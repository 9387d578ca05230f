"""`apply` inside a transaction of the caller: decided like any other step, and with one fate with what is around it."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

from dataclasses import replace

import pytest

from detent.errors import InstanceBusy, InstanceNotFound
from detent.ids import new_id
from detent.store.records import WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    advance,
    assert_untouched,
    assert_whole,
    created,
    keyed_step,
    loaded,
    receipt_key,
    receipt_of,
    remembering,
)


class Boom(Exception):
    """What an application or a decision may raise."""


HOW = pytest.mark.parametrize("how", ["known", "not known"])


def _as_seen(record: WorkflowInstance, how: str) -> WorkflowInstance | None:
    return record if how == "known" else None


class ApplyInsideContract:
    """The caller commits, and until then nothing is so; with a record that the caller has seen, and without."""

    @HOW
    async def test_it_is_visible_when_the_caller_commits_and_not_before(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        known, told = remembering(_as_seen(record, how)), list[int]()

        async with kit.lend() as outside:
            await kit.note(outside, f"before {record.id}")
            answer = await kit.store.apply(record.id, advance, known=known, after_commit=told.append, outside=outside)
            await assert_untouched(kit.store, record)
            assert (answer, told) == (2, [])

        assert told == [2]
        assert await assert_whole(kit.store, record.id) == 2
        assert await kit.noted(f"before {record.id}")

    @HOW
    async def test_it_goes_when_the_caller_rolls_back(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        known, told = remembering(_as_seen(record, how)), list[int]()

        with pytest.raises(Boom):
            async with kit.lend() as outside:
                await kit.store.apply(record.id, advance, known=known, after_commit=told.append, outside=outside)
                raise Boom

        assert told == []
        await assert_untouched(kit.store, record)

    @HOW
    async def test_a_savepoint_of_the_caller_takes_it_with_it_and_nothing_else(self, kit: StoreKit, how: str) -> None:
        first, second, third = [await created(kit.store) for _ in range(3)]
        told = list[str]()

        async def take(record: WorkflowInstance, name: str, outside: object) -> None:
            known = remembering(_as_seen(record, how))
            await kit.store.apply(
                record.id, advance, known=known, after_commit=lambda _: told.append(name), outside=outside
            )

        async with kit.lend() as outside:
            await take(first, "first", outside)
            with pytest.raises(Boom):
                async with kit.savepoint(outside):
                    await take(second, "second", outside)
                    raise Boom
            async with kit.savepoint(outside):
                await take(third, "third", outside)

        assert told == ["first", "third"]
        assert [(await loaded(kit.store, one.id)).version for one in (first, second, third)] == [2, 1, 2]

    @HOW
    async def test_many_in_one_transaction_follow_each_other(self, kit: StoreKit, how: str) -> None:
        records = [await created(kit.store) for _ in range(3)]
        told = list[int]()

        async with kit.lend() as outside:
            for version in (2, 3, 4):
                for record in records:
                    known = remembering(_as_seen(record, how))
                    answer = await kit.store.apply(
                        record.id, advance, known=known, after_commit=told.append, outside=outside
                    )
                    assert answer == version
                    assert await kit.store.load(record.id, outside=outside) is not None

        assert told == [2, 2, 2, 3, 3, 3, 4, 4, 4]
        for record in records:
            assert await assert_whole(kit.store, record.id) == 4

    @HOW
    async def test_what_it_raises_leaves_the_callers_transaction_as_it_was(self, kit: StoreKit, how: str) -> None:
        record, other = [await created(kit.store) for _ in range(2)]
        known = remembering(_as_seen(record, how))
        boom = Boom()

        def refuse(*_: object) -> tuple[None, None]:
            raise boom

        async with kit.lend() as outside:
            await kit.store.apply(other.id, advance, outside=outside)
            with pytest.raises(Boom) as caught:
                await kit.store.apply(record.id, refuse, known=known, outside=outside)
            gone = replace(record, id=new_id())
            with pytest.raises(InstanceNotFound):
                known = remembering(_as_seen(gone, how))
                await kit.store.apply(gone.id, advance, known=known, outside=outside)
            await kit.note(outside, f"after {record.id}")

        assert caught.value is boom
        await assert_untouched(kit.store, record)
        assert await assert_whole(kit.store, other.id) == 2
        assert await kit.noted(f"after {record.id}")

    @HOW
    async def test_nothing_is_written_and_nobody_told_where_nothing_changes(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        known, told = remembering(_as_seen(record, how)), list[object]()

        async with kit.lend() as outside:
            answer = await kit.store.apply(
                record.id, lambda now, *_: (None, now), known=known, after_commit=told.append, outside=outside
            )

        assert (answer, told) == (record, [])
        await assert_untouched(kit.store, record)

    @HOW
    async def test_what_is_there_counts_and_not_what_was_seen(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        known = remembering(_as_seen(record, how))
        await kit.store.apply(record.id, advance)

        async with kit.lend() as outside:
            assert await kit.store.apply(record.id, advance, known=known, outside=outside) == 3
            seen = await kit.store.apply(record.id, lambda now, *_: (None, now.version), known=known, outside=outside)
            assert seen == 3

        assert await assert_whole(kit.store, record.id) == 3

    @HOW
    async def test_a_key_that_was_answered_is_seen(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        first = keyed_step(record, key)
        await kit.store.apply(record.id, lambda *_: (first, None), key=key)
        known = remembering(_as_seen(record, how))

        async with kit.lend() as outside:
            answer = await kit.store.apply(
                record.id, lambda _, receipt, __: (None, receipt), key=key, known=known, outside=outside
            )

        assert answer == receipt_of(first)

    @HOW
    async def test_the_row_is_held_until_the_caller_commits(self, kit: StoreKit, how: str) -> None:
        record = await created(kit.store)
        known = remembering(_as_seen(record, how))

        async with kit.lend() as outside:
            await kit.store.apply(record.id, advance, known=known, outside=outside)
            with pytest.raises(InstanceBusy):
                async with kit.store.transaction(record.id, wait=False):
                    pass

        async with kit.store.transaction(record.id, wait=False) as unit:
            assert unit.record is not None
            assert unit.record.version == 2
