"""Group commit: how many statements it takes, what one bad step costs the others, and what it does when it is cut or closed."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from detent.errors import InstanceBusy, InstanceNotFound, StoreError
from detent.ids import new_id
from detent.store.change import Change, PutReceipt
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.samples import (
    advance,
    assert_whole,
    created,
    creation,
    loaded,
    receipt,
    receipt_key,
    remembering,
    step,
)
from detent_pg import PgStore, batch
from detent_pg.batch import MOST
from packages.pg.tests.wire import Wire

Decided = tuple[Change | None, Any]


IDLE = text(
    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
)


async def many(store: PgStore, number: int) -> list[WorkflowInstance]:
    return list(await asyncio.gather(*(created(store) for _ in range(number))))


def writes(trips: list[str]) -> list[str]:
    return [sql for sql in trips if "UPDATE detent_instances" in sql]


def reads(trips: list[str]) -> list[str]:
    return [sql for sql in trips if sql.startswith("SELECT")]


async def test_64_steps_share_a_read_and_a_write(wired: PgStore, wire: Wire) -> None:
    records = await many(wired, 64)
    await wired.apply(records[0].id, advance)
    with wire.recording() as trips:
        answers = await asyncio.gather(*(wired.apply(record.id, advance) for record in records))
    assert answers == [3] + [2] * 63
    assert len(writes(trips)) == len(reads(trips)) == 1


async def test_64_steps_on_one_instance_are_one_update(wired: PgStore, wire: Wire) -> None:
    record = await created(wired)
    with wire.recording() as trips:
        answers = await asyncio.gather(*(wired.apply(record.id, advance) for _ in range(64)))
    assert sorted(answers) == list(range(2, 66))
    assert await assert_whole(wired, record.id) == 65
    assert len(writes(trips)) == 1


async def test_64_creations_are_one_statement(wired: PgStore, wire: Wire) -> None:
    with wire.recording() as trips:
        await many(wired, 64)
    assert sum("INSERT INTO detent_instances" in sql for sql in trips) == 1


async def test_what_is_known_is_not_read_again(wired: PgStore, wire: Wire) -> None:
    record = await created(wired)
    await wired.apply(record.id, advance)
    known = await loaded(wired, record.id)
    with wire.recording() as trips:
        assert await wired.apply(record.id, advance, known=remembering(known)) == 3
    assert not reads(trips)
    assert len(writes(trips)) == 1


async def test_one_statement_serves_few_and_many(wired: PgStore, wire: Wire) -> None:
    records = await many(wired, 64)
    with wire.recording() as trips:
        for number in (2, 3, 64):
            await asyncio.gather(*(wired.apply(record.id, advance) for record in records[:number]))
    assert len(set(writes(trips))) == 1


async def test_48_good_steps_are_committed_beside_a_poisoned_one_and_a_lost_race(store: PgStore) -> None:
    records = await many(store, 50)
    poisoned, raced, *good = records
    outdated = raced
    await store.apply(raced.id, advance)
    too_long = receipt(receipt_key("k" * 1000), poisoned.id)

    def poison(record: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> Decided:
        return step(record, effects=(PutReceipt(too_long),)), "never"

    answers = await asyncio.gather(
        store.apply(poisoned.id, poison),
        store.apply(raced.id, advance, known=remembering(outdated)),
        *(store.apply(record.id, advance) for record in good),
        return_exceptions=True,
    )

    assert isinstance(answers[0], StoreError)
    assert answers[1:] == [3, *([2] * 48)]
    assert await assert_whole(store, poisoned.id) == 1
    assert [await assert_whole(store, record.id) for record in good] == [2] * 48


async def test_a_row_that_a_slow_step_holds_holds_up_nobody_else(store: PgStore) -> None:
    held, *free = await many(store, 20)
    async with store.transaction(held.id) as unit:
        waiting = asyncio.ensure_future(store.apply(held.id, advance))
        assert await asyncio.gather(*(store.apply(record.id, advance) for record in free)) == [2] * 19
        # Behind the one who waits already.
        behind = [asyncio.ensure_future(store.apply(held.id, advance)) for _ in range(5)]
        assert await asyncio.gather(*(store.apply(record.id, advance) for record in free)) == [3] * 19
        assert not waiting.done()
        await unit.write(step(held))
    assert await waiting == 3
    assert sorted(await asyncio.gather(*behind)) == [4, 5, 6, 7, 8]
    assert await assert_whole(store, held.id) == 8


async def test_who_waits_too_long_for_a_row_is_told_so(wired: PgStore, store: PgStore) -> None:
    held, free = await many(store, 2)
    async with store.transaction(held.id):
        slow = [asyncio.ensure_future(wired.apply(held.id, advance)) for _ in range(3)]
        assert await wired.apply(free.id, advance) == 2
        for error in await asyncio.gather(*slow, return_exceptions=True):
            assert isinstance(error, InstanceBusy)
    assert await wired.apply(held.id, advance) == 2


async def test_a_poisoned_step_in_a_fold_fails_alone(store: PgStore) -> None:
    record = await created(store)
    too_long = receipt(receipt_key("k" * 1000), record.id)

    def poison(current: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> Decided:
        return step(current, effects=(PutReceipt(too_long),)), "never"

    answers = await asyncio.gather(
        *(store.apply(record.id, poison if place == 5 else advance) for place in range(12)), return_exceptions=True
    )
    assert isinstance(answers.pop(5), StoreError)
    assert set(answers) == set(range(2, 13))
    assert await assert_whole(store, record.id) == 12


@pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["read", "write"])
async def test_a_flush_that_is_cut_tells_everyone_the_truth(
    wired: PgStore, wire: Wire, store: PgStore, kind: str, forward: bool
) -> None:
    records = await many(wired, 32)

    def is_it(sql: str) -> bool:
        return ("UPDATE detent_instances" in sql) == (kind == "write") and "detent_instances" in sql

    wire.cut(is_it, forward=forward)
    answers = await asyncio.gather(*(wired.apply(record.id, advance) for record in records))
    assert wire.was_cut.is_set()
    assert answers == [2] * 32
    assert [await assert_whole(store, record.id) for record in records] == [2] * 32


@pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
async def test_creations_that_are_cut_are_there_once(wired: PgStore, wire: Wire, store: PgStore, forward: bool) -> None:
    changes = [creation() for _ in range(16)]
    wire.cut(lambda sql: "INSERT INTO detent_instances" in sql, forward=forward)
    assert await asyncio.gather(*(wired.create(change) for change in changes)) == [None] * 16
    assert wire.was_cut.is_set()
    assert [await assert_whole(store, change.instance.id) for change in changes] == [1] * 16


async def test_closing_waits_for_what_is_under_way_and_answers_it(store: PgStore) -> None:
    mine = PgStore(store.engine)
    await mine.open()
    records = await many(mine, 2 * MOST)
    under_way = [asyncio.ensure_future(mine.apply(record.id, advance)) for record in records]
    await asyncio.sleep(0)
    await mine.close()
    assert all(step.done() for step in under_way)
    assert [step.result() for step in under_way] == [2] * len(records)


async def test_a_store_that_was_closed_may_be_used_again(store: PgStore) -> None:
    mine = PgStore(store.engine)
    for _ in range(2):
        await mine.open()
        await created(mine)
        await mine.close()


async def test_a_caller_who_is_cancelled_before_it_began_leaves_nothing(store: PgStore) -> None:
    record = await created(store)
    told: list[int] = []
    task = asyncio.ensure_future(store.apply(record.id, advance, after_commit=told.append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.apply(record.id, advance) == 2 + len(told)


async def test_unknown_instances_are_told_apart_from_their_neighbours(store: PgStore) -> None:
    records = await many(store, 10)
    ids = [record.id for record in records]
    ids.insert(4, new_id())
    answers = await asyncio.gather(*(store.apply(instance_id, advance) for instance_id in ids), return_exceptions=True)
    assert isinstance(answers.pop(4), InstanceNotFound)
    assert answers == [2] * 10


async def test_what_one_is_answered_is_not_what_the_next_is_decided_over(store: PgStore) -> None:
    record = await created(store, creation(context={"list": []}))

    def note(current: WorkflowInstance, _receipt: Receipt | None, _now: datetime) -> Decided:
        change = step(current, context=current.context)
        return change, change.instance

    first, second = await asyncio.gather(*(store.apply(record.id, note) for _ in range(2)))
    first.context["list"].append("mine")
    assert second.context == {"list": []}


async def test_a_flush_waits_shortly_for_a_row_that_an_effect_touches(store: PgStore) -> None:
    """A creation that waits for a key keeps nobody else waiting."""
    key = receipt_key("wanted", scope="workflow:sample")
    async with store.transaction(None) as unit:
        await unit.write(creation(key=key))
        rival = asyncio.ensure_future(store.create(creation(key=key)))
        await asyncio.sleep(0)
        assert [await store.create(creation()) for _ in range(4)] == [None] * 4
        assert not rival.done()
    existing = await rival
    assert existing is not None


async def test_the_database_is_left_without_open_transactions(store: PgStore) -> None:
    records = await many(store, 8)
    await asyncio.gather(*(store.apply(record.id, advance) for record in records))
    async with store.engine.connect() as connection:
        assert await connection.scalar(IDLE) == 0


async def test_more_than_may_wait_waits_to_get_in(store: PgStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LANE", 4)
    mine = PgStore(store.engine, committers=1)
    records = await many(mine, 20)
    callers = [asyncio.ensure_future(mine.apply(record.id, advance)) for record in records]
    await asyncio.sleep(0)
    # Those who wait outside may leave, and leave their place to the others.
    for caller in callers[10:15]:
        caller.cancel()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, asyncio.CancelledError)] == [2] * 15
    assert [await assert_whole(store, record.id) for record in records[10:15]] == [1] * 5
    await mine.close()
