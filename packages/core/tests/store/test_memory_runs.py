"""Who waits for whom over the runs of the memory store; everything else about them is in the contract of all stores."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest

from detent.errors import InstanceBusy, StepRolledBack
from detent.store.change import AddRun, MoveRun
from detent.store.memory import MemoryStore
from detent.store.run_records import Lease, Release, RunStatus, Throttle
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    a_checkpoint,
    a_claim,
    a_run,
    accepted,
    claimed,
    effects_only,
    loaded,
    loaded_run,
    within,
    written,
)

Write: TypeAlias = Callable[[MemoryStore, Lease], Awaitable[object]]

WRITES: dict[str, Write] = {
    "heartbeat": lambda store, lease: store.runs.heartbeat([lease], extend=DAY, now=NOW),
    "checkpoint": lambda store, lease: store.runs.checkpoint(a_checkpoint(lease), now=NOW),
    "keep": lambda store, lease: store.runs.keep(lease, kept={"page": 9}, extend=DAY, now=NOW),
    "release": lambda store, lease: store.runs.release([Release(lease)], now=NOW),
}
any_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


class Boom(Exception):
    pass


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def answer_of(waiting: Awaitable[object]) -> object:
    return await waiting


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@any_write
async def test_a_worker_waits_for_a_step_that_ends_its_run_and_is_refused(store: MemoryStore, write: Write):
    await accepted(store)
    held = await claimed(store)

    async with within():
        async with store.transaction(held.instance.id, now=NOW) as unit:
            await unit.lock_run(held.run.id)
            waiting = asyncio.create_task(answer_of(write(store, held.lease)))
            await turns()
            assert not waiting.done()
            await unit.write(effects_only(held.instance, MoveRun(held.run.id, RunStatus.CANCELLED, NOW)))
        assert not await waiting

    after = await loaded_run(store, held.run.id)
    assert (after.status, after.journal, after.kept, after.lease_token) == (RunStatus.CANCELLED, (), {}, None)


@any_write
async def test_a_worker_waits_for_a_step_that_is_undone_and_then_writes(store: MemoryStore, write: Write):
    await accepted(store)
    held = await claimed(store)

    async with within():
        with suppress(Boom):
            async with store.transaction(held.instance.id, now=NOW) as unit:
                await unit.write(effects_only(held.instance, MoveRun(held.run.id, RunStatus.CANCELLED, NOW)))
                waiting = asyncio.create_task(answer_of(write(store, held.lease)))
                await turns()
                assert not waiting.done()
                raise Boom
        assert await waiting

    assert await loaded_run(store, held.run.id) != held.run


async def test_a_worker_that_waits_too_long_for_one_run_has_extended_the_others():
    store = MemoryStore(lock_timeout=0.01)
    await accepted(store)
    await accepted(store)
    locked, free = await store.runs.claim(a_claim(2), now=NOW)

    async with store.transaction(locked.instance.id) as unit:
        await unit.lock_run(locked.run.id)
        with pytest.raises(InstanceBusy) as caught:
            await store.runs.heartbeat([locked.lease, free.lease], extend=DAY, now=NOW)

    assert caught.value.instance_id == locked.instance.id
    assert (await loaded_run(store, free.run.id)).lease_until == NOW + DAY
    assert await loaded_run(store, locked.run.id) == locked.run


async def test_an_undone_savepoint_lets_go_of_the_run_it_locked(store: MemoryStore):
    run = await accepted(store)

    async with store.transaction(run.instance_id) as unit:
        with suppress(Boom):
            async with unit.savepoint():
                await unit.lock_run(run.id)
                raise Boom
        assert (await claimed(store)).run.id == run.id


async def test_a_step_sees_what_it_made_of_a_run_itself(store: MemoryStore):
    run = await accepted(store)

    async with store.transaction(run.instance_id) as unit:
        await unit.write(effects_only(await loaded(store, run.instance_id), MoveRun(run.id, RunStatus.PARKED, NOW)))
        seen = await unit.lock_run(run.id)

    assert seen == await loaded_run(store, run.id)
    assert seen is not None
    assert seen.status is RunStatus.PARKED


async def test_a_second_run_beside_one_that_has_not_ended_is_refused(store: MemoryStore):
    run = await accepted(store)
    second = a_run(await loaded(store, run.instance_id))

    with pytest.raises(StepRolledBack):
        await written(store, run.instance_id, AddRun(second))

    assert await store.runs.load(second.id) is None


@pytest.mark.parametrize("queues", [None, (), ("fast", "slow")])
async def test_a_throttle_asks_for_one_queue(store: MemoryStore, queues: tuple[str, ...] | None):
    with pytest.raises(ValueError, match="one queue"):
        await store.runs.claim(a_claim(queues=queues, throttle=Throttle(concurrency=1)), now=NOW)
