"""A step inside a transaction of the caller: one fate, one commit, and no trace when it is undone."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

import pytest

from detent.errors import ConnectionNotSupported, InstanceBusy, InstanceNotFound, StoreError
from detent.ids import new_id
from detent.store.protocol import Existing
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
    """What an application may raise."""


class JoinedContract:
    """`join` shares the caller's transaction."""

    async def test_the_step_is_visible_when_the_caller_commits_and_not_before(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change = step(record)

        async with kit.lend() as outside:
            await kit.note(outside, f"by the caller {record.id}")
            async with kit.store.join(outside, record.id) as unit:
                assert unit.record == record
                await kit.note(unit.connection, f"by a command {record.id}")
                await unit.flush()
                assert await unit.write(change) is None
            await assert_untouched(kit.store, record)

        assert await kit.store.load(record.id) == change.instance
        assert await kit.noted(f"by the caller {record.id}")
        assert await kit.noted(f"by a command {record.id}")

    async def test_the_step_goes_when_the_caller_rolls_back(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        called: list[str] = []

        with pytest.raises(Boom):
            async with kit.lend() as outside:
                async with kit.store.join(outside, record.id) as unit:
                    unit.after_commit(lambda: called.append("never"))
                    await kit.note(unit.connection, f"gone {record.id}")
                    await unit.write(keyed_step(record, key))
                raise Boom

        await assert_untouched(kit.store, record)
        assert await remembered(kit.store, record.id, key) is None
        assert not await kit.noted(f"gone {record.id}")
        assert called == []

    async def test_callbacks_wait_for_the_callers_commit(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            async with kit.store.join(outside, record.id) as unit:
                await unit.write(step(record))
                unit.after_commit(lambda: called.append("first"))
            async with kit.store.join(outside, record.id) as unit:
                unit.after_commit(lambda: called.append("second"))
            assert called == []

        assert called == ["first", "second"]

    async def test_a_savepoint_of_the_caller_takes_the_step_with_it(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            with pytest.raises(Boom):
                async with kit.savepoint(outside):
                    async with kit.store.join(outside, record.id) as unit:
                        await kit.note(unit.connection, f"in a savepoint {record.id}")
                        await unit.write(step(record))
                        unit.after_commit(lambda: called.append("never"))
                    raise Boom
            await kit.note(outside, f"after the savepoint {record.id}")

        await assert_untouched(kit.store, record)
        assert not await kit.noted(f"in a savepoint {record.id}")
        assert await kit.noted(f"after the savepoint {record.id}")
        assert called == []

    async def test_a_savepoint_of_the_caller_that_ends_well_keeps_the_step(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            async with kit.savepoint(outside), kit.store.join(outside, record.id) as unit:
                await unit.write(step(record))
                unit.after_commit(lambda: called.append("once"))
            assert called == []

        assert (await loaded(kit.store, record.id)).version == 2
        assert called == ["once"]

    async def test_only_callbacks_of_the_undone_savepoint_are_dropped(self, kit: StoreKit) -> None:
        first, second, third = [await created(kit.store) for _ in range(3)]
        called: list[str] = []

        async with kit.lend() as outside:
            async with kit.store.join(outside, first.id) as unit:
                unit.after_commit(lambda: called.append("first"))
                await unit.write(step(first))
            with pytest.raises(Boom):
                async with kit.savepoint(outside):
                    async with kit.store.join(outside, second.id) as unit:
                        unit.after_commit(lambda: called.append("second"))
                        await unit.write(step(second))
                    raise Boom
            async with kit.store.join(outside, third.id) as unit:
                unit.after_commit(lambda: called.append("third"))
                await unit.write(step(third))

        assert called == ["first", "third"]
        versions = [(await loaded(kit.store, record.id)).version for record in (first, second, third)]
        assert versions == [2, 1, 2]

    async def test_an_error_inside_leaves_the_callers_transaction_as_it_was(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            await kit.note(outside, f"before {record.id}")
            with pytest.raises(Boom):
                async with kit.store.join(outside, record.id) as unit:
                    unit.after_commit(lambda: called.append("never"))
                    await kit.note(unit.connection, f"inside {record.id}")
                    await unit.write(step(record))
                    raise Boom
            await kit.note(outside, f"after {record.id}")
            async with kit.store.join(outside, record.id) as unit:
                assert unit.record == record
                await unit.write(step(record))

        noted = [await kit.noted(f"{when} {record.id}") for when in ("before", "inside", "after")]
        assert noted == [True, False, True]
        assert (await loaded(kit.store, record.id)).version == 2
        assert called == []

    async def test_a_lost_race_inside_leaves_the_callers_transaction_as_it_was(self, kit: StoreKit) -> None:
        old = await created(kit.store)
        await kit.store.apply(old.id, advance)

        async with kit.lend() as outside:
            with pytest.raises(StoreError):
                async with kit.store.join(outside, old.id) as unit:
                    await unit.write(step(old))
            await kit.note(outside, f"after a lost race {old.id}")

        assert await kit.noted(f"after a lost race {old.id}")
        await assert_untouched(kit.store, await loaded(kit.store, old.id))

    async def test_an_unknown_id_leaves_the_callers_transaction_as_it_was(self, kit: StoreKit) -> None:
        unknown = new_id()

        async with kit.lend() as outside:
            with pytest.raises(InstanceNotFound):
                async with kit.store.join(outside, unknown):
                    pass
            await kit.note(outside, f"unknown {unknown}")

        assert await kit.noted(f"unknown {unknown}")

    async def test_several_steps_share_one_transaction_and_see_each_other(self, kit: StoreKit) -> None:
        change = creation()

        async with kit.lend() as outside:
            async with kit.store.join(outside, None) as unit:
                assert unit.record is None
                await unit.write(change)
            async with kit.store.join(outside, change.instance.id) as unit:
                assert unit.record == change.instance
                after = step(change.instance)
                await unit.write(after)
            assert await kit.store.load(change.instance.id) is None

        assert await kit.store.load(change.instance.id) == after.instance

    async def test_a_joined_creation_finds_what_its_key_was_answered(self, kit: StoreKit) -> None:
        key = receipt_key()
        first = creation(key=key)
        record = await created(kit.store, first)
        second = creation(key=key)

        async with kit.lend() as outside:
            async with kit.store.join(outside, None, key=key, now=NOW) as unit:
                assert unit.receipt == receipt_of(first)
                assert await unit.write(second) == Existing(receipt_of(first), record)
            await kit.note(outside, f"found {record.id}")

        assert await kit.store.load(second.instance.id) is None
        assert await kit.noted(f"found {record.id}")

    async def test_a_key_answered_earlier_in_the_same_transaction_is_seen(self, kit: StoreKit) -> None:
        key = receipt_key()
        first = creation(key=key)

        async with kit.lend() as outside:
            async with kit.store.join(outside, None) as unit:
                await unit.write(first)
            async with kit.store.join(outside, None, key=key, now=NOW) as unit:
                assert unit.receipt == receipt_of(first)
                assert await unit.write(creation(key=key)) == Existing(receipt_of(first), first.instance)

    async def test_the_instance_is_held_until_the_caller_commits(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.lend() as outside:
            async with kit.store.join(outside, record.id) as unit:
                await unit.write(step(record))
            with pytest.raises(InstanceBusy):
                async with kit.store.transaction(record.id, wait=False):
                    pass

        async with kit.store.transaction(record.id, wait=False) as unit:
            assert unit.record is not None
            assert unit.record.version == 2

    async def test_savepoints_of_a_joined_step_undo_what_a_command_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.lend() as outside, kit.store.join(outside, record.id) as unit:
            with pytest.raises(Boom):
                async with unit.savepoint():
                    await kit.note(unit.connection, f"undone {record.id}")
                    raise Boom
            await unit.write(step(record))

        assert not await kit.noted(f"undone {record.id}")
        assert (await loaded(kit.store, record.id)).version == 2

    async def test_lending_commits_and_then_reports(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            async with kit.store.lend(outside), kit.store.join(outside, record.id) as unit:
                unit.after_commit(lambda: called.append("once"))
                await unit.write(step(record))
            assert (await loaded(kit.store, record.id)).version == 2
            assert called == ["once"]

        assert called == ["once"]

    async def test_lending_rolls_back_when_the_block_raises(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async with kit.lend() as outside:
            with pytest.raises(Boom):
                async with kit.store.lend(outside):
                    async with kit.store.join(outside, record.id) as unit:
                        unit.after_commit(lambda: called.append("never"))
                        await unit.write(step(record))
                    raise Boom
            await assert_untouched(kit.store, record)

        await assert_untouched(kit.store, record)
        assert called == []

    async def test_reads_through_the_callers_transaction_see_what_it_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        change, new = step(record), creation()

        async with kit.lend() as outside:
            assert await kit.store.load(record.id, outside=outside) == record
            async with kit.store.join(outside, record.id) as unit:
                await unit.write(change)
            async with kit.store.join(outside, None) as unit:
                await unit.write(new)

            assert await kit.store.load(record.id, outside=outside) == change.instance
            assert await kit.store.load(new.instance.id, outside=outside) == new.instance
            entries = await kit.store.history(record.id, limit=10, outside=outside)
            assert [entry.sequence for entry in entries] == [2, 1]
            assert entries[0] == change.entries[0]
            older = await kit.store.history(record.id, limit=1, before=2, outside=outside)
            assert [entry.sequence for entry in older] == [1]
            assert await kit.store.load(new_id(), outside=outside) is None
            assert list(await kit.store.history(new_id(), limit=1, outside=outside)) == []
            await assert_untouched(kit.store, record)

    async def test_reads_through_a_commands_connection_see_what_its_step_wrote(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        new = creation()

        async with kit.store.transaction(record.id) as unit:
            async with kit.store.join(unit.connection, None) as inner:
                await inner.write(new)
            assert await kit.store.load(new.instance.id, outside=unit.connection) == new.instance
            assert len(await kit.store.history(new.instance.id, limit=10, outside=unit.connection)) == 1

    async def test_a_read_through_the_callers_transaction_waits_for_nobody_and_holds_nothing(
        self, kit: StoreKit
    ) -> None:
        record = await created(kit.store)

        async with within():
            async with kit.lend() as outside:
                assert await kit.store.load(record.id, outside=outside) == record
                await kit.note(outside, f"after a read {record.id}")
            assert await kit.store.apply(record.id, advance) == 2

        assert await kit.noted(f"after a read {record.id}")

    @pytest.mark.parametrize("foreign", [object(), "postgresql://"], ids=["an object", "a text"])
    async def test_reading_through_what_the_store_did_not_lend_is_refused(self, kit: StoreKit, foreign: object) -> None:
        record = await created(kit.store)

        with pytest.raises(ConnectionNotSupported):
            await kit.store.load(record.id, outside=foreign)
        with pytest.raises(ConnectionNotSupported):
            await kit.store.history(record.id, limit=1, outside=foreign)

    @pytest.mark.parametrize("foreign", [None, object(), "postgresql://"], ids=["None", "an object", "a text"])
    async def test_what_the_store_did_not_lend_is_refused(self, kit: StoreKit, foreign: object) -> None:
        record = await created(kit.store)

        with pytest.raises(ConnectionNotSupported):
            async with kit.store.join(foreign, record.id):
                pass

        await assert_untouched(kit.store, record)
