"""A step of its own: the row is held, commands write beside it, all of it commits or none."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

import asyncio

import pytest

from detent.errors import InstanceBusy, InstanceNotFound
from detent.ids import new_id
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    NOW,
    advance,
    assert_untouched,
    created,
    creation,
    keyed_step,
    loaded,
    receipt_key,
    receipt_of,
    remembered,
    step,
    within,
)


class Boom(Exception):
    """What a command may raise."""


class TransactionContract:
    """`transaction` commits on leaving, or undoes everything."""

    async def test_leaving_commits_the_change_and_what_commands_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change = step(record, context={"paid": True})

        async with kit.store.transaction(record.id) as unit:
            assert unit.record == record
            await kit.note(unit.connection, f"commit {record.id}")
            await unit.flush()
            assert await unit.write(change) is None

        assert await kit.store.load(record.id) == change.instance
        assert await kit.noted(f"commit {record.id}")

    async def test_an_exception_undoes_everything_and_comes_through(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))

        with pytest.raises(Boom):
            async with kit.store.transaction(record.id) as unit:
                await kit.note(unit.connection, f"rollback {record.id}")
                await unit.write(keyed_step(record, key))
                raise Boom

        await assert_untouched(kit.store, record)
        assert await remembered(kit.store, record.id, key) is None
        assert not await kit.noted(f"rollback {record.id}")

    async def test_nothing_is_visible_before_the_commit(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id) as unit:
            await kit.note(unit.connection, f"unseen {record.id}")
            await unit.write(step(record))
            await assert_untouched(kit.store, record)
            assert not await kit.noted(f"unseen {record.id}")

    async def test_a_step_may_end_without_a_change(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id) as unit:
            await kit.note(unit.connection, f"no change {record.id}")

        await assert_untouched(kit.store, record)
        assert await kit.noted(f"no change {record.id}")

    async def test_a_creation_inserts_first_and_may_be_updated_after(self, kit: StoreKit) -> None:
        change = creation()

        async with kit.store.transaction(None) as unit:
            before = unit.record
            await unit.write(change)
            assert (before, unit.record) == (None, change.instance)
            await kit.note(unit.connection, f"created {change.instance.id}")
            after = step(change.instance, context={"done": True}, entries=2)
            await unit.write(after)

        assert await kit.store.load(change.instance.id) == after.instance
        entries = await kit.store.history(change.instance.id, limit=10)
        assert list(entries) == list(reversed(change.entries + after.entries))
        assert await kit.noted(f"created {change.instance.id}")

    async def test_a_creation_is_unknown_to_others_until_it_commits(self, kit: StoreKit) -> None:
        change = creation()

        async with kit.store.transaction(None) as unit:
            await unit.write(change)
            assert await kit.store.load(change.instance.id) is None
            assert list(await kit.store.history(change.instance.id, limit=1)) == []

        assert await kit.store.load(change.instance.id) == change.instance

    async def test_a_creation_that_raises_leaves_nothing(self, kit: StoreKit) -> None:
        key = receipt_key()
        change = creation(key=key)

        with pytest.raises(Boom):
            async with kit.store.transaction(None, key=key) as unit:
                await unit.write(change)
                raise Boom

        assert await kit.store.load(change.instance.id) is None
        assert await kit.store.create(creation(key=key)) is None

    async def test_a_held_instance_is_busy_for_those_who_do_not_wait(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id):
            with pytest.raises(InstanceBusy) as caught:
                # At once, which is less than any wait for a lock.
                async with asyncio.timeout(2), kit.store.transaction(record.id, wait=False):
                    pass

        assert caught.value.instance_id == record.id
        async with kit.store.transaction(record.id, wait=False) as unit:
            assert unit.record == record

    async def test_an_unknown_id_is_not_found_whether_one_waits_or_not(self, kit: StoreKit) -> None:
        with pytest.raises(InstanceNotFound):
            async with kit.store.transaction(new_id(), wait=False):
                pass

    async def test_those_who_wait_see_what_the_step_before_them_left(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)
        entered, release = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with kit.store.transaction(record.id) as unit:
                entered.set()
                await release.wait()
                await unit.write(change)

        async def follow() -> None:
            async with kit.store.transaction(record.id, key=key, now=NOW) as unit:
                assert unit.record == change.instance
                assert unit.receipt == receipt_of(change)

        async with within(), asyncio.TaskGroup() as tasks:
            tasks.create_task(hold())
            await entered.wait()
            following = tasks.create_task(follow())
            await asyncio.sleep(0)
            assert not following.done()
            release.set()

    async def test_a_decision_that_waits_is_made_over_what_the_step_before_it_left(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        async with within(), asyncio.TaskGroup() as tasks, kit.store.transaction(record.id) as unit:
            waiting = tasks.create_task(kit.store.apply(record.id, advance))
            await asyncio.sleep(0)
            assert not waiting.done()
            await unit.write(step(record))
        assert waiting.result() == 3

    async def test_callbacks_run_once_in_order_when_the_step_is_visible(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.store.transaction(record.id) as unit:
            unit.after_commit(lambda: called.append("first"))
            await unit.write(step(record))
            unit.after_commit(lambda: called.append("second"))
            assert called == []

        assert called == ["first", "second"]
        assert (await loaded(kit.store, record.id)).version == 2
        assert called == ["first", "second"]

    async def test_callbacks_of_a_step_that_is_undone_never_run(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        with pytest.raises(Boom):
            async with kit.store.transaction(record.id) as unit:
                unit.after_commit(lambda: called.append("never"))
                raise Boom
        await kit.store.apply(record.id, advance)

        assert called == []

    async def test_a_savepoint_undoes_what_a_failed_command_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id) as unit:
            await kit.note(unit.connection, f"before {record.id}")
            with pytest.raises(Boom):
                async with unit.savepoint():
                    await kit.note(unit.connection, f"inside {record.id}")
                    raise Boom
            await kit.note(unit.connection, f"after {record.id}")
            await unit.write(step(record))

        noted = [await kit.noted(f"{when} {record.id}") for when in ("before", "inside", "after")]
        assert noted == [True, False, True]
        assert (await loaded(kit.store, record.id)).version == 2

    async def test_a_savepoint_keeps_what_a_command_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id) as unit:
            async with unit.savepoint():
                await kit.note(unit.connection, f"kept {record.id}")
            await unit.write(step(record))

        assert await kit.noted(f"kept {record.id}")

    async def test_savepoints_nest(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.store.transaction(record.id) as unit, unit.savepoint():
            await kit.note(unit.connection, f"outer {record.id}")
            with pytest.raises(Boom):
                async with unit.savepoint():
                    await kit.note(unit.connection, f"inner {record.id}")
                    raise Boom

        assert await kit.noted(f"outer {record.id}")
        assert not await kit.noted(f"inner {record.id}")

    async def test_what_a_savepoint_kept_goes_when_the_step_is_undone(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        with pytest.raises(Boom):
            async with kit.store.transaction(record.id) as unit:
                async with unit.savepoint():
                    await kit.note(unit.connection, f"gone {record.id}")
                raise Boom

        assert not await kit.noted(f"gone {record.id}")
