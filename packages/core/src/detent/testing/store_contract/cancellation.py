"""A caller that is cancelled leaves nothing half done and nothing held."""

# ruff: noqa: PT012 (that a whole block is undone is what these tests are about)

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

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
    remembered,
    sequences,
    step,
    within,
)

# After how many turns of the event loop a call is cut off; in most stores a call is over before the last of them.
TURNS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 60, 100, 200)


class CancellationContract:
    """Cut off anywhere: whole or absent, and free."""

    @pytest.mark.parametrize("turns", TURNS)
    async def test_an_apply_that_is_cut_off_is_whole_or_absent(self, kit: StoreKit, turns: int) -> None:
        record = await created(kit.store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)

        await _cut_off(kit.store.apply(record.id, lambda *_: (change, None)), turns)

        await _assert_usable(kit)
        async with kit.store.transaction(record.id) as unit:
            assert unit.record in (record, change.instance)
        version = await assert_whole(kit.store, record.id)
        assert (await remembered(kit.store, record.id, key) is not None) == (version == 2)

    @pytest.mark.parametrize("turns", TURNS)
    async def test_a_creation_that_is_cut_off_is_whole_or_absent(self, kit: StoreKit, turns: int) -> None:
        key = receipt_key()
        change = creation(key=key)

        await _cut_off(kit.store.create(change), turns)

        await _assert_usable(kit)
        existing = await kit.store.create(creation(key=key))
        assert await kit.store.load(change.instance.id) == (existing.instance if existing else None)
        assert await sequences(kit.store, change.instance.id) == ([1] if existing else [])

    @pytest.mark.parametrize("turns", TURNS)
    async def test_a_transaction_that_is_cut_off_is_whole_or_absent(self, kit: StoreKit, turns: int) -> None:
        record = await created(kit.store)
        called: list[str] = []

        async def locked() -> None:
            async with kit.store.transaction(record.id) as unit:
                async with unit.savepoint():
                    await kit.note(unit.connection, f"cut off {record.id}")
                unit.after_commit(lambda: called.append("committed"))
                await unit.write(step(record))

        await _cut_off(locked(), turns)

        await _assert_usable(kit)
        async with within(), kit.store.transaction(record.id):
            pass
        applied = await assert_whole(kit.store, record.id) == 2
        assert await kit.noted(f"cut off {record.id}") == applied
        assert called == ["committed"] * applied

    async def test_a_step_that_is_cancelled_between_its_writes_is_undone(self, kit: StoreKit) -> None:
        record = await created(kit.store)
        reached = asyncio.Event()

        async def locked() -> None:
            async with kit.store.transaction(record.id) as unit:
                await kit.note(unit.connection, f"cancelled {record.id}")
                await unit.write(step(record))
                reached.set()
                await asyncio.Event().wait()

        async with within():
            task = asyncio.create_task(locked())
            await reached.wait()
            await _cancelled(task)
            assert await kit.store.apply(record.id, advance) == 2
        assert not await kit.noted(f"cancelled {record.id}")

    async def test_one_who_is_cancelled_while_waiting_leaves_the_queue(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with within():
            async with kit.store.transaction(record.id) as unit:
                waiting = [asyncio.create_task(kit.store.apply(record.id, advance)) for _ in range(4)]
                for _ in range(10):
                    await asyncio.sleep(0)
                for task in waiting[:3]:
                    await _cancelled(task)
                await unit.write(step(record))
            # The first three may have been too far to be stopped; the fourth was asked for and has to come.
            assert await waiting[3] >= 3
            await kit.store.apply(record.id, advance)
        await assert_whole(kit.store, record.id)

    async def test_a_cancelled_joined_step_leaves_the_callers_transaction_usable(self, kit: StoreKit) -> None:
        record = await created(kit.store)

        async with kit.lend() as outside:
            await kit.note(outside, f"before {record.id}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(None) as limit, kit.store.join(outside, record.id) as unit:
                    await unit.write(step(record))
                    # Between two statements: what a cancelled statement does to a connection is the driver's affair.
                    limit.reschedule(0)
                    await asyncio.Event().wait()
            await kit.note(outside, f"after {record.id}")

        await assert_untouched(kit.store, record)
        assert await kit.noted(f"before {record.id}")
        assert await kit.noted(f"after {record.id}")

    async def test_a_cancelled_sweep_is_whole_or_absent(self, kit: StoreKit) -> None:
        for turns in TURNS:
            due = creation()
            record = await created(kit.store, creation(due=due.instance.created_at))

            await _cut_off(kit.store.fire_due(advance, limit=10, now=due.instance.created_at), turns)

            async with within(), kit.store.transaction(record.id):
                pass
            await assert_whole(kit.store, record.id)


async def _cut_off(call: Coroutine[Any, Any, object], turns: int) -> None:
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    await _cancelled(task)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _assert_usable(kit: StoreKit) -> None:
    async with within():
        record = await created(kit.store)
        await kit.store.apply(record.id, advance)
        assert (await loaded(kit.store, record.id)).version == 2
