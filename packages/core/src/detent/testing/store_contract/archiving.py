"""The end of an instance: it goes whole, leaves its archive entry, and what is old is taken out without a gap."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from detent.errors import ConnectionNotSupported, InstanceNotFound
from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.query import InstanceQuery, Order
from detent.store.records import Status, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    creation_with,
    keyed_step,
    loaded,
    receipt_key,
    removal,
    sequences,
    step,
    within,
)

TICK = timedelta(microseconds=1)


class Boom(Exception):
    """What an application may raise."""


class ArchiveContract:
    """`remove`, and the pruning of history and receipts."""

    # -------------------------------------------------------------------------------------------- removal

    async def test_a_removed_instance_is_gone_with_its_history_and_receipts(self, kit: StoreKit) -> None:
        keys = receipt_key(), receipt_key()
        record = await created(kit.store, creation(key=keys[0], due=NOW - DAY, hops=2))
        await kit.store.apply(record.id, lambda current, *_: (keyed_step(current, keys[1]), None))

        removed = await kit.store.remove([removal(await loaded(kit.store, record.id))])

        assert list(removed) == [record.id]
        await _assert_gone(kit, record)
        assert list(await kit.store.fire_due(advance, limit=10, now=NOW)) == []
        for key in keys:
            assert await kit.store.recall(key, now=NOW) is None

    async def test_every_field_of_an_archive_entry_comes_back(self, kit: StoreKit) -> None:
        record = await created(
            kit.store,
            creation_with(
                workflow="return",
                definition_version="1.10.0",
                tenant="acme",
                state="waiting for goods",
                status=Status.CANCELLED,
                created_at=NOW - 4 * DAY,
                finished_at=NOW - 2 * DAY,
            ),
        )
        wanted = removal(record, document={"instance": {"context": dict(JSON_KINDS)}, "history": [{"sequence": 1}]})

        await kit.store.remove([wanted])

        assert await kit.store.load_archived(record.id) == wanted.entry

    async def test_an_archive_entry_may_keep_very_little(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        wanted = removal(record)
        wanted = replace(wanted, entry=replace(wanted.entry, reason=None, trigger_metadata={}))

        await kit.store.remove([wanted])

        kept = await kit.store.load_archived(record.id)
        assert kept == wanted.entry
        assert (kept.document, kept.finished_at) == (None, None)

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_an_archive_entry_comes_back_as_it_was(
        self, kit: StoreKit, value: JsonValue
    ) -> None:
        record = await created(kit.store)
        wanted = removal(record, document={"value": value})
        wanted = replace(wanted, entry=replace(wanted.entry, trigger_metadata={"value": value}))

        await kit.store.remove([wanted])

        kept = await kit.store.load_archived(record.id)
        assert kept is not None
        assert kept.document == kept.trigger_metadata == {"value": value}
        assert type(kept.document["value"]) is type(value)

    async def test_an_empty_document_is_a_document(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        await kit.store.remove([removal(record, document={})])

        kept = await kit.store.load_archived(record.id)
        assert kept is not None
        assert kept.document == {}

    async def test_editing_an_archive_entry_does_not_reach_the_store(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        wanted = removal(record, document={"list": [1]})
        await kit.store.remove([wanted])
        kept = await kit.store.load_archived(record.id)
        assert kept is not None

        for entry in (wanted.entry, kept):
            assert entry.document is not None
            entry.document["list"].append(2)
            entry.trigger_metadata["new"] = True

        again = await kit.store.load_archived(record.id)
        assert again == removal(record, document={"list": [1]}).entry

    async def test_only_removed_instances_are_archived(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        assert await kit.store.load_archived(record.id) is None
        assert await kit.store.load_archived(new_id()) is None

    @pytest.mark.parametrize("expected_version", [1, 3], ids=["an old version", "a version that is not reached"])
    async def test_a_removal_from_another_version_changes_nothing(self, kit: StoreKit, expected_version: int) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, hops=1))

        removed = await kit.store.remove([removal(record, expected_version=expected_version)])

        assert list(removed) == []
        await assert_untouched(kit.store, record)
        assert await kit.store.recall(key, now=NOW) is not None
        assert await kit.store.load_archived(record.id) is None

    async def test_only_those_that_have_the_expected_version_are_removed_and_named(self, kit: StoreKit) -> None:
        first, old, second, other = [await created(kit.store, creation(key=receipt_key())) for _ in range(4)]
        await kit.store.apply(old.id, advance)
        unknown = creation().instance

        removed = await kit.store.remove([removal(record) for record in (second, old, unknown, first)])

        assert sorted(removed) == sorted([first.id, second.id])
        assert await assert_whole(kit.store, old.id) == 2
        await assert_untouched(kit.store, other)
        assert await kit.store.load_archived(unknown.id) is None
        assert len(await kit.store.find(InstanceQuery(), order=Order(), limit=10)) == 2

    async def test_what_is_removed_is_named_once(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        assert list(await kit.store.remove([removal(record), removal(record)])) == [record.id]
        assert list(await kit.store.remove([removal(record)])) == []

    async def test_removing_nothing_answers_nothing(self, kit: StoreKit) -> None:
        assert list(await kit.store.remove([])) == []

    async def test_receipts_and_history_of_others_stay(self, kit: StoreKit) -> None:
        key = receipt_key()
        kept = await created(kit.store, creation(key=key, hops=2))
        gone = await created(kit.store, creation(key=receipt_key(), hops=2))

        await kit.store.remove([removal(gone)])

        await assert_untouched(kit.store, kept)
        existing = await kit.store.recall(key, now=NOW)
        assert existing is not None
        assert existing.instance == kept

    async def test_the_key_of_a_removed_instance_is_free_again(self, kit: StoreKit) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key))
        await kit.store.remove([removal(record)])
        again = creation(key=key)

        assert await kit.store.create(again) is None

        existing = await kit.store.recall(key, now=NOW)
        assert existing is not None
        assert existing.instance == again.instance

    async def test_an_id_may_be_used_and_removed_again(self, kit: StoreKit) -> None:
        first = creation_with(state="first")
        record = await created(kit.store, first)
        await kit.store.remove([removal(record)])
        second = await created(kit.store, creation_with(id=record.id, state="second"))
        await assert_untouched(kit.store, second)

        assert list(await kit.store.remove([removal(second)])) == [record.id]

        kept = await kit.store.load_archived(record.id)
        assert kept is not None
        assert kept.state == "second"

    async def test_a_removal_waits_for_a_step_and_is_fenced_by_what_it_left(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        entered, release = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with kit.store.transaction(record.id) as unit:
                entered.set()
                await release.wait()
                await unit.write(step(record))

        async with within(), asyncio.TaskGroup() as tasks:
            tasks.create_task(hold())
            await entered.wait()
            waiting = tasks.create_task(kit.store.remove([removal(record)]))
            await asyncio.sleep(0)
            assert not waiting.done()
            release.set()

        assert list(waiting.result()) == []
        assert await assert_whole(kit.store, record.id) == 2
        assert await kit.store.load_archived(record.id) is None

    async def test_a_removal_waits_for_a_step_that_writes_nothing(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with within(), asyncio.TaskGroup() as tasks, kit.store.transaction(record.id):
            waiting = tasks.create_task(kit.store.remove([removal(record)]))
            await asyncio.sleep(0)
            assert not waiting.done()

        assert list(waiting.result()) == [record.id]
        await _assert_gone(kit, record)

    async def test_a_step_that_waited_for_a_removal_finds_nothing(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async def locked() -> None:
            async with kit.store.transaction(record.id):
                pass

        async with within():
            async with kit.lend() as outside:
                await kit.store.remove([removal(record)], outside=outside)
                waiting = [asyncio.create_task(kit.store.apply(record.id, advance)), asyncio.create_task(locked())]
                await asyncio.sleep(0)
                assert not any(task.done() for task in waiting)
            answers = await asyncio.gather(*waiting, return_exceptions=True)

        assert [type(answer) for answer in answers] == [InstanceNotFound] * 2
        await _assert_gone(kit, record)

    async def test_of_many_who_remove_one_instance_at_once_one_does(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(4)]
        orders = [records, records[::-1], records[2:] + records[:2], records]

        async with within():
            answers = await asyncio.gather(
                *(kit.store.remove([removal(record) for record in order]) for order in orders)
            )

        removed = [instance_id for answer in answers for instance_id in answer]
        assert sorted(removed) == sorted(record.id for record in records)

    async def test_two_who_remove_in_opposite_order_do_not_wait_for_each_other(self, kit: StoreKit) -> None:
        one, held, other = [await created(kit.store) for _ in range(3)]
        orders = [[one, held, other], [other, held, one]]

        async with within(), asyncio.TaskGroup() as tasks, kit.store.transaction(held.id):
            waiting = [tasks.create_task(kit.store.remove([removal(record) for record in order])) for order in orders]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)

        removed = [instance_id for task in waiting for instance_id in task.result()]
        assert sorted(removed) == sorted([one.id, held.id, other.id])

    # -------------------------------------------------------------------------------------------- outside

    async def test_a_removal_outside_is_visible_when_the_caller_commits_and_not_before(self, kit: StoreKit) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, hops=1))
        query, order = InstanceQuery(), Order()

        async with kit.lend() as outside:
            assert list(await kit.store.remove([removal(record)], outside=outside)) == [record.id]

            assert await kit.store.load(record.id, outside=outside) is None
            assert list(await kit.store.history(record.id, limit=10, outside=outside)) == []
            assert await kit.store.recall(key, now=NOW, outside=outside) is None
            assert list(await kit.store.find(query, order=order, limit=10, outside=outside)) == []
            assert list(await kit.store.remove([removal(record)], outside=outside)) == []
            await assert_untouched(kit.store, record)
            assert await kit.store.recall(key, now=NOW) is not None
            assert list(await kit.store.find(query, order=order, limit=10)) == [record]
            assert await kit.store.load_archived(record.id) is None

        await _assert_gone(kit, record)
        assert await kit.store.recall(key, now=NOW) is None
        assert await kit.store.load_archived(record.id) == removal(record).entry

    async def test_a_removal_outside_that_is_rolled_back_leaves_everything(self, kit: StoreKit) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, hops=1))

        async def undone() -> None:
            async with kit.lend() as outside:
                await kit.store.remove([removal(record)], outside=outside)
                raise Boom

        with pytest.raises(Boom):
            await undone()

        await assert_untouched(kit.store, record)
        assert await kit.store.recall(key, now=NOW) is not None
        assert await kit.store.load_archived(record.id) is None
        assert await kit.store.apply(record.id, advance) == 3

    async def test_a_savepoint_of_the_caller_takes_the_removal_with_it(self, kit: StoreKit) -> None:
        key = receipt_key()
        kept, gone = await created(kit.store, creation(key=key, hops=1)), await created(kit.store)

        async def undone(outside: object) -> None:
            async with kit.savepoint(outside):
                await kit.store.remove([removal(kept)], outside=outside)
                raise Boom

        async with kit.lend() as outside:
            await kit.store.remove([removal(gone)], outside=outside)
            with pytest.raises(Boom):
                await undone(outside)
            assert await kit.store.load(kept.id, outside=outside) == kept
            assert len(await kit.store.history(kept.id, limit=10, outside=outside)) == 2
            assert await kit.store.recall(key, now=NOW, outside=outside) is not None

        await assert_untouched(kit.store, kept)
        assert await kit.store.load_archived(kept.id) is None
        await _assert_gone(kit, gone)

    async def test_a_key_is_free_again_within_the_transaction_that_removed(self, kit: StoreKit) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key))
        again = creation(key=key)

        async with kit.lend() as outside:
            await kit.store.remove([removal(record)], outside=outside)
            async with kit.store.join(outside, None, key=key, now=NOW) as unit:
                assert unit.receipt is None
                assert await unit.write(again) is None

        await _assert_gone(kit, record)
        existing = await kit.store.recall(key, now=NOW)
        assert existing is not None
        assert existing.instance == again.instance

    async def test_what_a_transaction_wrote_it_may_remove(self, kit: StoreKit) -> None:
        known, key = await created(kit.store), receipt_key()
        new, after = creation(key=key), step(known)

        async with kit.lend() as outside:
            async with kit.store.join(outside, None) as unit:
                await unit.write(new)
            async with kit.store.join(outside, known.id) as unit:
                await unit.write(after)
            wanted = [removal(new.instance), removal(after.instance)]
            removed = await kit.store.remove(wanted, outside=outside)

        assert sorted(removed) == sorted([new.instance.id, known.id])
        for record in (new.instance, known):
            await _assert_gone(kit, record)
        assert await kit.store.recall(key, now=NOW) is None

    async def test_an_id_may_be_used_again_within_the_transaction_that_removed(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(hops=3))
        again = creation_with(id=record.id, state="again")

        async with kit.lend() as outside:
            await kit.store.remove([removal(record)], outside=outside)
            async with kit.store.join(outside, None) as unit:
                await unit.write(again)
            assert len(await kit.store.history(record.id, limit=10, outside=outside)) == 1

        await assert_untouched(kit.store, again.instance)
        assert await kit.store.load_archived(record.id) is not None

    @pytest.mark.parametrize("foreign", [object(), "postgresql://"], ids=["an object", "a text"])
    async def test_removing_through_what_the_store_did_not_lend_is_refused(
        self, kit: StoreKit, foreign: object
    ) -> None:
        record = await created(kit.store)

        with pytest.raises(ConnectionNotSupported):
            await kit.store.remove([removal(record)], outside=foreign)

        await assert_untouched(kit.store, record)

    # -------------------------------------------------------------------------------------------- old history

    async def test_old_entries_are_taken_out_and_counted(self, kit: StoreKit) -> None:
        one, other = await _aged(kit, 5), await _aged(kit, 3)

        assert await kit.store.prune_history([one.id, other.id, new_id()], before=NOW + 2 * DAY) == 4

        assert await sequences(kit.store, one.id) == [5, 4, 3]
        assert await sequences(kit.store, other.id) == [3]
        assert await kit.store.load(one.id) == one
        assert await kit.store.prune_history([one.id, other.id], before=NOW + 2 * DAY) == 0

    @pytest.mark.parametrize(("shift", "left"), [(-1, [3, 2]), (0, [3, 2]), (1, [3])])
    async def test_an_entry_of_that_very_instant_stays(self, kit: StoreKit, shift: int, left: list[int]) -> None:
        record = await _aged(kit, 3)

        await kit.store.prune_history([record.id], before=NOW + DAY + shift * TICK)

        assert await sequences(kit.store, record.id) == left

    async def test_the_last_entry_stays_however_old_it_is(self, kit: StoreKit) -> None:
        record = await _aged(kit, 4)
        single = await created(kit.store)

        assert await kit.store.prune_history([record.id, single.id], before=NOW + 99 * DAY) == 3

        assert await sequences(kit.store, record.id) == [4]
        assert await sequences(kit.store, single.id) == [1]

    async def test_what_is_left_is_dense_even_where_clocks_went_back(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(now=NOW))
        for days in (3, 1, 4, 2):
            record = await _stepped(kit, record, days)

        assert await kit.store.prune_history([record.id], before=NOW + 2 * DAY) == 1

        assert await sequences(kit.store, record.id) == [5, 4, 3, 2]

    async def test_history_of_others_stays(self, kit: StoreKit) -> None:
        record, other = await _aged(kit, 3), await _aged(kit, 3)

        await kit.store.prune_history([record.id], before=NOW + 99 * DAY)

        await assert_untouched(kit.store, other)
        assert await kit.store.prune_history([], before=NOW + 99 * DAY) == 0
        await assert_untouched(kit.store, other)

    async def test_a_pruned_history_goes_on_and_is_read_by_pages(self, kit: StoreKit) -> None:
        record = await _aged(kit, 4)
        await kit.store.prune_history([record.id], before=NOW + 2 * DAY)
        for _ in range(3):
            await kit.store.apply(record.id, advance)

        pages = [
            [entry.sequence for entry in await kit.store.history(record.id, limit=2, before=before)]
            for before in (None, 6, 4, 3)
        ]

        assert pages == [[7, 6], [5, 4], [3], []]
        async with kit.lend() as outside:
            seen = await kit.store.history(record.id, limit=2, before=5, outside=outside)
        assert [entry.sequence for entry in seen] == [4, 3]

    async def test_a_pruned_instance_is_removed_as_any_other(self, kit: StoreKit) -> None:
        record = await _aged(kit, 4)
        await kit.store.prune_history([record.id], before=NOW + 99 * DAY)

        assert list(await kit.store.remove([removal(record)])) == [record.id]

        await _assert_gone(kit, record)

    # -------------------------------------------------------------------------------------------- old receipts

    @pytest.mark.parametrize(("shift", "taken"), [(-1, 0), (0, 1), (1, 1)])
    async def test_expired_receipts_are_taken_out(self, kit: StoreKit, shift: int, taken: int) -> None:
        key = receipt_key()
        record = await created(kit.store, creation(key=key, lasts=DAY))

        assert await kit.store.prune_receipts(limit=10, now=NOW + DAY + shift * TICK) == taken

        # Asked about a moment at which it had not expired: what is there is found.
        assert (await kit.store.recall(key, now=NOW) is None) == bool(taken)
        assert await kit.store.load(record.id) == record

    async def test_a_limit_leaves_the_others_for_the_next_time(self, kit: StoreKit) -> None:
        for _ in range(5):
            await created(kit.store, creation(key=receipt_key(), lasts=DAY))
        kept = receipt_key()
        await created(kit.store, creation(key=kept, lasts=3 * DAY))

        counts = [await kit.store.prune_receipts(limit=2, now=NOW + 2 * DAY) for _ in range(4)]

        assert counts == [2, 2, 1, 0]
        assert await kit.store.recall(kept, now=NOW) is not None

    async def test_without_a_given_now_the_stores_clock_says_what_has_expired(self, kit: StoreKit) -> None:
        expired, kept = receipt_key(), receipt_key()
        await created(kit.store, creation(key=expired, now=kit.store.now() - 2 * DAY, lasts=DAY))
        await created(kit.store, creation(key=kept, now=kit.store.now(), lasts=DAY))

        assert await kit.store.prune_receipts(limit=10) == 1

        assert await kit.store.recall(kept) is not None


async def _aged(kit: StoreKit, entries: int) -> WorkflowInstance:
    """An instance with this many entries, each a day after the one before it."""
    record = await created(kit.store, creation(now=NOW))
    for days in range(1, entries):
        record = await _stepped(kit, record, days)
    return record


async def _stepped(kit: StoreKit, record: WorkflowInstance, days: int) -> WorkflowInstance:
    change = step(record, now=NOW + days * DAY)
    await kit.store.apply(record.id, lambda *_: (change, None))
    return change.instance


async def _assert_gone(kit: StoreKit, record: WorkflowInstance) -> None:
    assert await kit.store.load(record.id) is None
    assert list(await kit.store.history(record.id, limit=10)) == []
    assert list(await kit.store.find(InstanceQuery(ids=(record.id,)), order=Order(), limit=10)) == []
    with pytest.raises(InstanceNotFound):
        await kit.store.apply(record.id, advance)
