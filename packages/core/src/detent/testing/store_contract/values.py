"""Values: kept beside an instance under refs, read back as they were, gone with the instance."""

import asyncio
import string

import pytest

from detent.errors import InstanceNotFound
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.value_store import MAX_REF_BYTES, json_size
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    JSON_KINDS,
    assert_untouched,
    assert_whole,
    created,
    creation,
    loaded,
    removal,
    step,
    within,
)

LARGE = {"text": string.printable.replace("\0", "") * 20_000, "list": [None, 1.5, {"deep": True}]}
"""A little more than two megabytes of JSON."""


class Boom(Exception):
    """What an application may raise."""


class ValueContract:
    """What `Store.values` keeps."""

    # -------------------------------------------------------------------------------------------- what is stored

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_that_is_put_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        record = await created(kit.store)

        await kit.store.values.put(record.id, "plain", value)
        await kit.store.values.put(record.id, "inside", [value, {"value": value}])

        found = await kit.store.values.load(record.id, ["plain", "inside"])
        assert found == {"plain": value, "inside": [value, {"value": value}]}
        assert type(found["plain"]) is type(value)

    async def test_two_megabytes_come_back_whole(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        await kit.store.values.put(record.id, "large", LARGE)

        assert await kit.store.values.load(record.id, ["large"]) == {"large": LARGE}
        assert (await kit.store.values.sizes(record.id))["large"] == json_size(LARGE) > 2_000_000

    @pytest.mark.parametrize(
        "ref",
        ["a", "key:a", "A", " a ", "a.b/c?d#e", "%", "'; --", "Grüße, 世界", "x" * MAX_REF_BYTES],
        ids=["short", "prefixed", "capital", "spaces", "address", "percent", "quote", "unicode", "longest"],
    )
    async def test_a_ref_may_be_any_text(self, kit: StoreKit, ref: str) -> None:
        record = await created(kit.store)

        await kit.store.values.put(record.id, ref, 1)
        await kit.store.values.put(record.id, "other", 2)

        assert await kit.store.values.load(record.id, [ref]) == {ref: 1}
        assert await kit.store.values.delete(record.id, [ref]) == 1
        assert await kit.store.values.sizes(record.id) == {"other": 1}

    async def test_refs_that_differ_in_case_or_accents_are_different_refs(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        refs = ["e", "E", "é", "e\u0301"]

        for number, ref in enumerate(refs):
            await kit.store.values.put(record.id, ref, number)

        assert await kit.store.values.load(record.id, refs) == {ref: number for number, ref in enumerate(refs)}

    async def test_values_of_another_instance_are_read_inside_a_transaction(self, kit: StoreKit) -> None:
        record, other = await created(kit.store), await created(kit.store)
        await kit.store.values.put(other.id, "a", LARGE)

        async with kit.store.transaction(record.id) as unit:
            found = await kit.store.values.load(other.id, ["a", "b"], outside=unit.connection)

        assert found == {"a": LARGE}

    async def test_editing_a_value_does_not_reach_the_store(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        value = {"list": [1]}
        await kit.store.values.put(record.id, "a", value)

        value["list"].append(2)
        (await kit.store.values.load(record.id, ["a"]))["a"]["list"].append(3)

        assert await kit.store.values.load(record.id, ["a"]) == {"a": {"list": [1]}}

    async def test_what_is_not_there_is_left_out(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "a", None)

        assert await kit.store.values.load(record.id, ["a", "b"]) == {"a": None}
        assert await kit.store.values.load(record.id, []) == {}
        assert await kit.store.values.load(new_id(), ["a"]) == {}
        assert await kit.store.values.sizes(new_id()) == {}

    async def test_sizes_are_bytes_of_json(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for ref, value in {"null": None, "text": "ü", "object": {"a": [1, 2.5]}, "float": 3.0}.items():
            await kit.store.values.put(record.id, ref, value)

        assert await kit.store.values.sizes(record.id) == {"null": 4, "text": 4, "object": 13, "float": 3}

    # -------------------------------------------------------------------------------------------- putting again

    async def test_putting_the_same_ref_again_changes_nothing(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "a", "first")

        await kit.store.values.put(record.id, "a", "the second, longer")

        assert await kit.store.values.load(record.id, ["a"]) == {"a": "first"}
        assert await kit.store.values.sizes(record.id) == {"a": 7}

    async def test_a_value_may_take_the_place_of_another(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "new", 0, overwrite=True)
        await kit.store.values.put(record.id, "a", "first")

        await kit.store.values.put(record.id, "a", "the second, longer", overwrite=True)

        assert await kit.store.values.load(record.id, ["a", "new"]) == {"a": "the second, longer", "new": 0}
        assert await kit.store.values.sizes(record.id) == {"a": 20, "new": 1}

    async def test_of_many_who_put_one_ref_at_once_all_succeed_and_one_value_stays(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        values = kit.store.values

        async with within():
            await asyncio.gather(*(values.put(record.id, "same", {"n": 1}) for _ in range(8)))
            await asyncio.gather(*(values.put(record.id, "last", number, overwrite=True) for number in range(8)))

        found = await values.load(record.id, ["same", "last"])
        assert found["same"] == {"n": 1}
        assert found["last"] in range(8)

    # -------------------------------------------------------------------------------------------- taking out

    async def test_deleting_says_how_many_there_were(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for ref in ("a", "b", "c"):
            await kit.store.values.put(record.id, ref, ref)

        assert await kit.store.values.delete(record.id, ["a", "b", "x"]) == 2
        assert await kit.store.values.delete(record.id, ["a", "b", "x"]) == 0
        assert await kit.store.values.delete(record.id, []) == 0
        assert await kit.store.values.delete(new_id(), ["c"]) == 0
        assert await kit.store.values.load(record.id, ["a", "b", "c"]) == {"c": "c"}

    async def test_what_was_deleted_may_be_put_again(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "a", 1)
        await kit.store.values.delete(record.id, ["a"])

        await kit.store.values.put(record.id, "a", 2)

        assert await kit.store.values.load(record.id, ["a"]) == {"a": 2}

    async def test_clearing_takes_out_all_of_an_instance(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        for ref in ("a", "b", "c"):
            await kit.store.values.put(record.id, ref, ref)

        assert await kit.store.values.clear(record.id) == 3
        assert await kit.store.values.clear(record.id) == 0
        assert await kit.store.values.clear(new_id()) == 0
        assert await kit.store.values.sizes(record.id) == {}

    async def test_of_many_who_delete_the_same_at_once_one_takes_each(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        refs = [f"ref {number}" for number in range(20)]
        for ref in refs:
            await kit.store.values.put(record.id, ref, ref)

        async with within():
            counts = await asyncio.gather(
                *(kit.store.values.delete(record.id, some) for some in (refs, refs[::-1])),
                kit.store.values.clear(record.id),
            )

        assert sum(counts) == 20
        assert await kit.store.values.sizes(record.id) == {}

    # -------------------------------------------------------------------------------------------- whose they are

    async def test_an_instance_has_its_own_values(self, kit: StoreKit) -> None:
        one, other = await created(kit.store), await created(kit.store)
        await kit.store.values.put(one.id, "a", 1)
        await kit.store.values.put(other.id, "a", 2)
        await kit.store.values.put(other.id, "b", 3)

        assert await kit.store.values.load(one.id, ["a", "b"]) == {"a": 1}
        assert await kit.store.values.clear(one.id) == 1
        assert await kit.store.values.delete(one.id, ["b"]) == 0
        assert await kit.store.values.load(other.id, ["a", "b"]) == {"a": 2, "b": 3}

    async def test_a_value_of_nobody_is_refused(self, kit: StoreKit) -> None:
        for overwrite in (False, True):
            nobody = new_id()
            with pytest.raises(InstanceNotFound) as raised:
                await kit.store.values.put(nobody, "a", 1, overwrite=overwrite)
            assert raised.value.instance_id == nobody
            assert await kit.store.values.sizes(nobody) == {}

    async def test_values_go_with_their_instance(self, kit: StoreKit) -> None:
        gone, other = await created(kit.store), await created(kit.store)
        for record in (gone, other):
            await kit.store.values.put(record.id, "a", 1)

        await kit.store.remove([removal(gone)])

        assert await kit.store.values.load(gone.id, ["a"]) == {}
        assert await kit.store.values.sizes(gone.id) == {}
        assert await kit.store.values.load(other.id, ["a"]) == {"a": 1}
        with pytest.raises(InstanceNotFound):
            await kit.store.values.put(gone.id, "b", 2)

    async def test_an_instance_that_comes_again_under_its_id_has_no_values(self, kit: StoreKit) -> None:
        change = creation()
        record = await created(kit.store, change)
        await kit.store.values.put(record.id, "a", 1)
        await kit.store.remove([removal(record)])

        await created(kit.store, change)

        assert await kit.store.values.sizes(record.id) == {}

    async def test_a_removal_that_is_undone_leaves_the_values(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "a", 1)

        async def remove_and_fail() -> None:
            async with kit.lend() as outside:
                assert list(await kit.store.remove([removal(record)], outside=outside)) == [record.id]
                raise Boom

        with pytest.raises(Boom):
            await remove_and_fail()

        assert await kit.store.values.load(record.id, ["a"]) == {"a": 1}

    async def test_a_removal_that_lost_its_race_leaves_the_values(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        await kit.store.values.put(record.id, "a", 1)
        await kit.store.apply(record.id, lambda current, *_: (step(current), None))

        assert list(await kit.store.remove([removal(record)])) == []

        assert await kit.store.values.load(record.id, ["a"]) == {"a": 1}

    # -------------------------------------------------------------------------------------------- beside steps

    async def test_values_are_no_part_of_the_record(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        await kit.store.values.put(record.id, "a", 1)
        await kit.store.values.delete(record.id, ["a"])

        await assert_untouched(kit.store, record)

    async def test_values_that_are_put_while_steps_are_taken_hinder_none(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async def advance_often() -> None:
            for _ in range(5):
                await kit.store.apply(record.id, lambda current, *_: (step(current), None))

        async def put_often() -> None:
            for number in range(5):
                await kit.store.values.put(record.id, f"ref {number}", number)

        async with within():
            await asyncio.gather(advance_often(), put_often())

        assert await assert_whole(kit.store, record.id) == 6
        assert len(await kit.store.values.sizes(record.id)) == 5

    async def test_a_value_and_the_end_of_its_instance_at_once_leave_both_or_none(self, kit: StoreKit) -> None:
        for _ in range(5):
            record = await created(kit.store)

            async with within():
                put, _removed = await asyncio.gather(
                    kit.store.values.put(record.id, "a", 1),
                    kit.store.remove([removal(await loaded(kit.store, record.id))]),
                    return_exceptions=True,
                )

            assert put is None or isinstance(put, InstanceNotFound)
            assert await kit.store.load(record.id) is None
            assert await kit.store.values.sizes(record.id) == {}
