"""Many at once: one winner where there can be one, everybody in turn otherwise."""

import asyncio
from dataclasses import replace
from datetime import datetime

from detent.errors import StoreError
from detent.store.change import Change
from detent.store.protocol import Existing
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    keyed_step,
    loaded,
    receipt_key,
    receipt_of,
    step,
    within,
)


class RaceContract:
    """Nothing is lost, doubled or torn."""

    async def test_sixteen_creations_with_one_key_leave_one_instance(self, kit: StoreKit) -> None:
        key = receipt_key()
        changes = [creation(key=key) for _ in range(16)]

        async with within():
            answers = await asyncio.gather(*(kit.store.create(change) for change in changes))

        [winner] = [change for change, answer in zip(changes, answers, strict=True) if answer is None]
        losers = [answer for answer in answers if answer is not None]
        assert losers == [Existing(receipt_of(winner), winner.instance)] * 15
        for change in changes:
            assert (await kit.store.load(change.instance.id) is not None) == (change is winner)

    async def test_creations_with_keys_of_their_own_all_succeed(self, kit: StoreKit) -> None:
        changes = [creation(key=receipt_key()) for _ in range(32)]

        async with within():
            answers = await asyncio.gather(*(kit.store.create(change) for change in changes))

        assert answers == [None] * 32
        for change in changes:
            assert await kit.store.load(change.instance.id) == change.instance

    async def test_64_steps_on_one_instance_all_succeed_one_after_the_other(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with within():
            answers = await asyncio.gather(*(kit.store.apply(record.id, advance) for _ in range(64)))

        assert sorted(answers) == list(range(2, 66))
        assert await assert_whole(kit.store, record.id) == 65

    async def test_steps_on_many_instances_all_succeed(self, kit: StoreKit) -> None:
        records = [await created(kit.store) for _ in range(8)]

        async with within():
            await asyncio.gather(*(kit.store.apply(record.id, advance) for record in records for _ in range(8)))

        for record in records:
            assert await assert_whole(kit.store, record.id) == 9

    async def test_16_transactions_on_one_instance_lose_no_update(self, kit: StoreKit) -> None:
        record = await created(kit.store, creation(context={"count": 0}))

        async def count_up() -> None:
            async with kit.store.transaction(record.id) as unit:
                assert unit.record is not None
                # Others run here, and must not come between reading and writing.
                await asyncio.sleep(0)
                await unit.write(step(unit.record, context={"count": unit.record.context["count"] + 1}))

        async with within():
            await asyncio.gather(*(count_up() for _ in range(16)))

        assert (await loaded(kit.store, record.id)).context == {"count": 16}
        assert await assert_whole(kit.store, record.id) == 17

    async def test_both_ways_to_step_may_be_mixed(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async def locked() -> None:
            async with kit.store.transaction(record.id) as unit:
                assert unit.record is not None
                await unit.write(step(unit.record))

        async with within():
            await asyncio.gather(
                *(locked() for _ in range(8)), *(kit.store.apply(record.id, advance) for _ in range(8))
            )

        assert await assert_whole(kit.store, record.id) == 17

    async def test_16_steps_with_one_key_happen_once(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))

        def once(current: WorkflowInstance, receipt: Receipt | None, _now: datetime) -> tuple[Change | None, str]:
            return (None, "replayed") if receipt else (keyed_step(current, key), "written")

        async with within():
            answers = await asyncio.gather(*(kit.store.apply(record.id, once, key=key) for _ in range(16)))

        assert sorted(answers) == ["replayed"] * 15 + ["written"]
        assert await assert_whole(kit.store, record.id) == 2

    async def test_a_creation_with_commands_waits_for_the_same_key_and_finds_it(self, kit: StoreKit) -> None:
        key = receipt_key()
        first = creation(key=key)
        written, release = asyncio.Event(), asyncio.Event()

        async def create_first() -> None:
            async with kit.store.transaction(None, key=key) as unit:
                assert await unit.write(first) is None
                written.set()
                await release.wait()

        async with within(), asyncio.TaskGroup() as tasks:
            tasks.create_task(create_first())
            await written.wait()
            second = tasks.create_task(_create_with_commands(kit, creation(key=key)))
            third = tasks.create_task(kit.store.create(creation(key=key)))
            await asyncio.sleep(0)
            assert not second.done()
            assert not third.done()
            release.set()

        expected = Existing(receipt_of(first), first.instance)
        assert [second.result(), third.result()] == [expected, expected]

    async def test_of_two_creations_with_one_id_one_is_refused(self, kit: StoreKit) -> None:
        first = creation(context={"first": True})
        second = replace(first, instance=replace(first.instance, context={"first": False}))
        written, release = asyncio.Event(), asyncio.Event()

        async def create_first() -> None:
            async with kit.store.transaction(None) as unit:
                await unit.write(first)
                written.set()
                await release.wait()

        async with within(), asyncio.TaskGroup() as tasks:
            tasks.create_task(create_first())
            await written.wait()
            refused = tasks.create_task(_refused(kit, second))
            await asyncio.sleep(0)
            release.set()

        assert refused.result()
        await assert_untouched(kit.store, first.instance)

    async def test_a_creation_proceeds_when_the_same_key_was_rolled_back(self, kit: StoreKit) -> None:
        key = receipt_key()
        written, release = asyncio.Event(), asyncio.Event()

        async def create_in_vain() -> None:
            try:
                async with kit.store.transaction(None, key=key) as unit:
                    assert await unit.write(creation(key=key)) is None
                    written.set()
                    await release.wait()
                    raise _InVain
            except _InVain:
                pass

        second = creation(key=key)
        async with within(), asyncio.TaskGroup() as tasks:
            tasks.create_task(create_in_vain())
            await written.wait()
            outcome = tasks.create_task(_create_with_commands(kit, second))
            await asyncio.sleep(0)
            release.set()

        assert outcome.result() is None
        assert await kit.store.load(second.instance.id) == second.instance


class _InVain(Exception):
    pass


async def _refused(kit: StoreKit, change: Change) -> bool:
    try:
        await kit.store.create(change)
    except StoreError:
        return True
    return False


async def _create_with_commands(kit: StoreKit, change: Change) -> Existing | None:
    async with kit.store.transaction(None) as unit:
        return await unit.write(change)
