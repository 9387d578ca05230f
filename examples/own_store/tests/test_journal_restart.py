# ruff: noqa: ASYNC240 (a test may wait for its small file)
# ruff: noqa: PT012 (that a whole block is undone is what some of these tests are about)

from pathlib import Path

import pytest

from detent import Event, State, WorkflowDefinition, WorkflowRuntime
from detent.ids import new_id
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    definition,
    keyed_step,
    receipt_key,
    receipt_of,
    removal,
    sequences,
    step,
)
from examples.own_store.journal_store import JournalStore
from examples.own_store.tests.journals import killed_after_printing, opened


class Boom(Exception):
    pass


# ------------------------------------------------------------------------------------------------ a new object, the same file


async def test_everything_is_there_when_the_file_is_opened_again(path: Path):
    key, snapshots = receipt_key(), [definition("1", workflow="order"), definition("2", workflow="order")]
    async with opened(path) as store:
        record = await created(store, creation(key=key, context=dict(JSON_KINDS), due=NOW, hops=2))
        gone = await created(store, creation(key=receipt_key()))
        await store.remove([removal(gone, document={"kept": [1]})])
        await store.save_definitions(snapshots)
        history = await store.history(record.id, limit=10)
        existing = await store.recall(key, now=NOW)
        async with store.begin() as transaction:
            transaction.put("note", {"list": [1]})

    async with opened(path) as store:
        assert await store.load(record.id) == record
        assert await store.history(record.id, limit=10) == history
        assert await store.recall(key, now=NOW) == existing
        assert await store.load(gone.id) is None
        assert await store.load_archived(gone.id) == removal(gone, document={"kept": [1]}).entry
        assert await store.list_definitions(["order"]) == snapshots
        assert await store.fire_due(advance, limit=10, now=NOW) == [(record.id, 4)]
        async with store.begin() as transaction:
            assert transaction.get("note") == {"list": [1]}


async def test_what_was_pruned_stays_pruned(path: Path):
    key = receipt_key()
    async with opened(path) as store:
        record = await created(store, creation(key=key, lasts=DAY))
        await store.apply(record.id, lambda current, *_: (step(current, now=NOW + 2 * DAY), None))
        assert await store.prune_history([record.id], before=NOW + DAY) == 1
        assert await store.prune_receipts(limit=10, now=NOW + DAY) == 1

    async with opened(path) as store:
        assert await sequences(store, record.id) == [2]
        assert await store.recall(key, now=NOW) is None


async def test_what_was_undone_is_not_in_the_file(path: Path):
    async with opened(path) as store:
        record = await created(store)
        before = path.read_bytes()
        with pytest.raises(Boom):
            async with store.transaction(record.id) as unit:
                await unit.write(step(record))
                raise Boom
        assert path.read_bytes() == before

    async with opened(path) as store:
        await assert_untouched(store, record)


async def test_a_commit_is_one_line_and_a_step_that_wrote_nothing_is_none(path: Path):
    async with opened(path) as store:
        record = await created(store, creation(key=receipt_key(), hops=3))
        await store.apply(record.id, lambda *_: (None, None))

    assert path.read_bytes().count(b"\n") == 1


async def test_a_runtime_goes_on_after_a_restart(path: Path):
    door = WorkflowDefinition(
        name="door",
        initial_state="shut",
        states={"shut": State(events={"open": Event(target="open")}), "open": State()},
    )
    async with WorkflowRuntime(store=JournalStore(path), definitions=[door]) as runtime:
        instance = await runtime.create_instance("door")

    async with WorkflowRuntime(store=JournalStore(path), definitions=[door]) as runtime:
        assert (await runtime.trigger_event(instance.id, "open")).to_state == "open"


async def test_a_key_answered_before_a_restart_is_answered_after_it(path: Path):
    async with opened(path) as store:
        record = await created(store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)
        await store.apply(record.id, lambda *_: (change, None))

    async with opened(path) as store, store.transaction(record.id, key=key, now=NOW) as unit:
        assert unit.receipt == receipt_of(change)


# ------------------------------------------------------------------------------------------------ a process that dies


@pytest.mark.parametrize("length", [1, 20, -2])
async def test_a_torn_last_line_is_ignored_and_cut_off(path: Path, length: int):
    async with opened(path) as store:
        record = await created(store)
        whole = path.read_bytes()
        await store.apply(record.id, advance)
    torn = path.read_bytes()[len(whole) :][:length]
    path.write_bytes(whole + torn)

    async with opened(path) as store:
        assert path.read_bytes() == whole
        await assert_untouched(store, record)
        assert await store.apply(record.id, advance) == 2

    async with opened(path) as store:
        assert await assert_whole(store, record.id) == 2


@pytest.mark.parametrize(("how", "versions"), [("half written", {3}), ("written", {3, 4})])
async def test_a_process_killed_in_mid_commit_loses_nothing_that_was_answered(path: Path, how: str, versions: set[int]):
    instance_id = new_id()

    printed = await killed_after_printing("committing", path, instance_id, how)

    assert printed == ["1", "2", "3", "committing"]
    async with opened(path) as store:
        version = await assert_whole(store, instance_id)
        assert version in versions
        assert await store.apply(instance_id, advance) == version + 1


async def test_a_process_killed_at_any_moment_loses_nothing_that_was_answered(path: Path):
    instance_id = new_id()

    printed = await killed_after_printing("20", path, instance_id, "never")

    async with opened(path) as store:
        assert await assert_whole(store, instance_id) >= int(printed[-1])
