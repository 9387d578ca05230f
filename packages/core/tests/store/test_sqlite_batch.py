"""Group commit: many calls, few commits, and each caller is told what became of his own."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detent.errors import InstanceBusy, InstanceNotFound, StepRolledBack, StoreError, StoreUnavailable
from detent.ids import new_id
from detent.store.change import Change, TakeMessage
from detent.store.lanes import Lanes
from detent.store.protocol import Existing
from detent.store.records import Receipt, WorkflowInstance
from detent.store.sqlite import SqliteStore
from detent.store.sqlite_batch import BATCH, LANE
from detent.store.sqlite_calls import Call, Creation
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
    remembering,
    step,
    within,
)


class Boom(Exception):
    pass


@asynccontextmanager
async def opened(store: SqliteStore) -> AsyncIterator[SqliteStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(SqliteStore(path)) as store:
        yield store


def plain(path: Path) -> sqlite3.Connection:
    """The file as another process has it."""
    return sqlite3.connect(path, isolation_level=None)


async def statements_of(store: SqliteStore) -> list[str]:
    """What the writer is asked from now on."""
    asked: list[str] = []
    async with store.begin() as connection:
        await connection.run(lambda sqlite: sqlite.set_trace_callback(asked.append))
    asked.clear()
    return asked


async def together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answer or the error of each."""
    async with within():
        return await asyncio.gather(*calls, return_exceptions=True)


def a_nameless_entry(record: WorkflowInstance) -> Change:
    """What breaks a constraint."""
    change = step(record)
    return replace(change, entries=(replace(change.entries[0], event=""),))


def a_number_too_large(record: WorkflowInstance) -> Change:
    """What SQLite cannot store."""
    far = replace(record, version=2**70)
    change = step(far)
    return replace(change, expected_version=far.version)


def a_message_that_is_gone(record: WorkflowInstance) -> Change:
    """What was decided by a message that somebody else took."""
    return step(record, effects=(TakeMessage(new_id()),))


POISONS: list[tuple[Callable[[WorkflowInstance], Change], type[Exception]]] = [
    (a_nameless_entry, StoreError),
    (a_number_too_large, OverflowError),
    (a_message_that_is_gone, StepRolledBack),
]


def poisoned(poison: Callable[[WorkflowInstance], Change]) -> Any:
    return lambda record, *_: (poison(record), "never")


def raising(*_: object) -> tuple[None, None]:
    raise Boom


# ------------------------------------------------------------------------------------------------ few commits


async def test_64_steps_at_once_are_one_commit(store: SqliteStore):
    records = [await created(store) for _ in range(64)]
    asked = await statements_of(store)

    answers = await together(*(store.apply(record.id, advance) for record in records))

    assert answers == [2] * 64
    assert asked.count("COMMIT") == 1
    for record in records:
        assert await assert_whole(store, record.id) == 2


async def test_64_creations_at_once_are_one_commit(store: SqliteStore):
    asked, changes = await statements_of(store), [creation() for _ in range(64)]

    assert await together(*(store.create(change) for change in changes)) == [None] * 64

    assert asked.count("COMMIT") == 1
    for change in changes:
        assert await store.load(change.instance.id) == change.instance


async def test_what_comes_during_a_commit_goes_into_the_next_one(store: SqliteStore):
    records = [await created(store) for _ in range(32)]
    asked = await statements_of(store)

    async def steps(record: WorkflowInstance) -> None:
        for version in range(2, 7):
            assert await store.apply(record.id, advance) == version

    await together(*(steps(record) for record in records))

    assert asked.count("COMMIT") <= 10
    for record in records:
        assert await assert_whole(store, record.id) == 6


async def test_a_commit_takes_only_so_many(store: SqliteStore):
    asked = await statements_of(store)

    await together(*(store.create(creation()) for _ in range(2 * BATCH + 1)))

    assert asked.count("COMMIT") == 3


async def test_one_alone_is_one_transaction(store: SqliteStore):
    record = await created(store)
    asked = await statements_of(store)

    assert await store.apply(record.id, advance) == 2

    assert (asked.count("BEGIN IMMEDIATE"), asked.count("COMMIT")) == (1, 1)


async def test_a_record_that_the_caller_knows_is_not_read_again(store: SqliteStore):
    record = await created(store)
    asked = await statements_of(store)

    assert await store.apply(record.id, advance, known=remembering(record)) == 2

    assert not [statement for statement in asked if "context" in statement and statement.startswith("SELECT")]


async def test_what_was_decided_over_outdated_records_is_decided_again_over_what_is_stored(store: SqliteStore):
    old, current = await created(store), await created(store)
    assert await store.apply(old.id, advance) == 2
    asked, decided = await statements_of(store), list[int]()

    def look(record: WorkflowInstance, receipt: Receipt | None, now: datetime) -> tuple[Change, int]:
        decided.append(record.version)
        return advance(record, receipt, now)

    answers = await together(
        store.apply(old.id, look, known=remembering(old)),
        store.apply(old.id, look, known=remembering(old)),
        store.apply(old.id, lambda record, *_: (None, record.version), known=remembering(old)),
        store.apply(current.id, advance, known=remembering(current)),
        store.create(creation()),
        store.apply(new_id(), advance, known=remembering(replace(current, id=new_id()))),
    )

    assert answers[:5] == [3, 4, 4, 2, None]
    assert isinstance(answers[5], InstanceNotFound)
    assert decided == [1, 2, 2, 3]
    assert asked.count("COMMIT") == 1
    assert await assert_whole(store, old.id) == 4


# ------------------------------------------------------------------------------------------------ each his own


@pytest.mark.parametrize(("poison", "error"), POISONS)
@pytest.mark.parametrize("place", [0, 25, 48])
async def test_of_50_a_poisoned_one_and_one_that_raises_fail_alone(
    store: SqliteStore, poison: Any, error: type[Exception], place: int
):
    records = [await created(store) for _ in range(50)]
    asked, told = await statements_of(store), list[int]()
    bad = [poisoned(poison), raising]
    decisions = [advance] * 48
    decisions[place:place] = bad

    answers = await together(
        *(
            store.apply(record.id, decide, after_commit=told.append)
            for record, decide in zip(records, decisions, strict=True)
        )
    )

    failed = answers[place : place + 2]
    assert [type(failure) for failure in failed] == [error, Boom]
    assert [answer for answer in answers if answer not in failed] == told == [2] * 48
    assert asked.count("COMMIT") == 1
    for record, answer in zip(records, answers, strict=True):
        assert await assert_whole(store, record.id) == (1 if answer in failed else 2)


async def test_what_cannot_be_read_fails_alone(store: SqliteStore, path: Path):
    broken, record = await created(store), await created(store)
    with closing(plain(path)) as connection:
        connection.execute("UPDATE detent_instances SET context = '{' WHERE id = ?", (str(broken.id),))

    answers = await together(
        store.apply(broken.id, advance), store.apply(record.id, advance), store.apply(new_id(), advance)
    )

    assert isinstance(answers[0], ValueError)
    assert answers[1] == 2
    assert isinstance(answers[2], InstanceNotFound)


# ------------------------------------------------------------------------------------------------ folding


async def test_steps_on_one_instance_are_decided_one_after_the_other_and_committed_at_once(store: SqliteStore):
    record = await created(store, creation(context={"seen": []}))
    asked = await statements_of(store)

    def add(number: int) -> Any:
        def decide(current: WorkflowInstance, *_: object) -> tuple[Change, WorkflowInstance]:
            change = step(current, context={"seen": [*current.context["seen"], number]})
            return change, change.instance

        return decide

    answers = await together(*(store.apply(record.id, add(number)) for number in range(64)))

    assert [answer.version for answer in answers] == list(range(2, 66))
    assert [answer.context["seen"] for answer in answers] == [list(range(number + 1)) for number in range(64)]
    assert asked.count("COMMIT") == 1
    assert await loaded(store, record.id) == answers[-1]
    assert await assert_whole(store, record.id) == 65


async def test_what_one_does_to_his_answer_is_not_seen_by_the_next(store: SqliteStore):
    record = await created(store, creation(context={"items": [1]}))

    def own(current: WorkflowInstance, *_: object) -> tuple[Change, WorkflowInstance]:
        change = step(current)
        return change, change.instance

    first, second = await together(store.apply(record.id, own), store.apply(record.id, own))
    first.context["items"].append(2)

    assert second.context == {"items": [1]}


@pytest.mark.parametrize(("poison", "error"), POISONS)
async def test_what_was_decided_behind_a_poisoned_step_is_decided_again(
    store: SqliteStore, poison: Any, error: type[Exception]
):
    record, other, seen = await created(store), await created(store), list[int]()
    asked = await statements_of(store)

    def look(current: WorkflowInstance, *_: object) -> tuple[Change, int]:
        seen.append(current.version)
        return advance(current, None, current.updated_at)

    def refuse(current: WorkflowInstance, *_: object) -> tuple[None, None]:
        # Right over what the poisoned one would have made of it, wrong over what there is.
        if current.version > 2:
            raise Boom
        return None, None

    answers = await together(
        store.apply(record.id, advance),
        store.apply(record.id, poisoned(poison)),
        store.apply(record.id, refuse),
        store.apply(record.id, look),
        store.apply(other.id, advance),
        store.apply(record.id, poisoned(poison)),
        store.apply(record.id, look),
    )

    assert [answer if isinstance(answer, int | None) else type(answer) for answer in answers] == [
        *(2, error, None, 3, 2, error, 4)
    ]
    assert seen[-1] == 3
    assert asked.count("COMMIT") == 1
    assert await assert_whole(store, record.id) == 4
    assert await assert_whole(store, other.id) == 2


async def test_an_instance_can_take_a_step_in_the_commit_that_creates_it(store: SqliteStore):
    key = receipt_key()
    first, second = creation(key=key), creation(key=key)
    asked = await statements_of(store)

    answers = await together(
        store.create(first),
        store.apply(first.instance.id, advance),
        store.create(second),
        store.apply(second.instance.id, advance),
    )

    assert answers[:2] == [None, 2]
    assert isinstance(answers[2], Existing)
    assert (answers[2].receipt, answers[2].instance.id) == (receipt_of(first), first.instance.id)
    assert isinstance(answers[3], InstanceNotFound)
    assert asked.count("COMMIT") == 1
    assert await assert_whole(store, first.instance.id) == 2
    assert await store.load(second.instance.id) is None


async def test_receipts_of_the_same_commit_are_seen(store: SqliteStore):
    record = await created(store)
    key = receipt_key(scope=str(record.id))

    def once(current: WorkflowInstance, receipt: Receipt | None, _now: datetime) -> tuple[Change | None, Any]:
        return (None, receipt) if receipt else (keyed_step(current, key), "written")

    answers = await together(*(store.apply(record.id, once, key=key) for _ in range(16)))

    assert answers[0] == "written"
    assert all(isinstance(answer, Receipt) and answer.key == key for answer in answers[1:])
    assert await assert_whole(store, record.id) == 2


async def test_receipts_of_a_change_that_was_not_written_are_not_seen(store: SqliteStore):
    record = await created(store)
    key = receipt_key(scope=str(record.id))

    def lost(current: WorkflowInstance, *_: object) -> tuple[Change, str]:
        change = keyed_step(current, key)
        return replace(change, effects=(*change.effects, TakeMessage(new_id()))), "never"

    def once(current: WorkflowInstance, receipt: Receipt | None, _now: datetime) -> tuple[Change | None, str]:
        return (None, "replayed") if receipt else (keyed_step(current, key), "written")

    answers = await together(
        store.apply(record.id, lost, key=key),
        store.apply(record.id, once, key=key),
        store.apply(record.id, once, key=key),
    )

    assert isinstance(answers[0], StepRolledBack)
    assert answers[1:] == ["written", "replayed"]
    assert await assert_whole(store, record.id) == 2


# ------------------------------------------------------------------------------------------------ cancellation


async def test_whoever_is_cancelled_before_his_turn_is_not_taken(store: SqliteStore):
    record, decided = await created(store), list[str]()

    def note(name: str) -> Any:
        def decide(current: WorkflowInstance, receipt: Receipt | None, now: datetime) -> tuple[Change, int]:
            decided.append(name)
            return advance(current, receipt, now)

        return decide

    async with within():
        async with store.begin():
            gone = asyncio.create_task(store.apply(record.id, note("gone")))
            stays = asyncio.create_task(store.apply(record.id, note("stays")))
            for _ in range(5):
                await asyncio.sleep(0)
            gone.cancel()
        assert await stays == 2
        with pytest.raises(asyncio.CancelledError):
            await gone

    assert decided == ["stays"]


async def test_whoever_is_cancelled_after_his_decision_leaves_a_step_that_goes_on(store: SqliteStore):
    record, told = await created(store), asyncio.Queue[int]()

    def give_up(current: WorkflowInstance, *_: object) -> tuple[Change, int]:
        call.cancel()
        return advance(current, None, current.updated_at)

    call = asyncio.create_task(store.apply(record.id, give_up, after_commit=told.put_nowait))
    answers = await together(store.apply(record.id, advance), _awaited(call))

    assert answers[0] in (2, 3)
    assert isinstance(answers[1], asyncio.CancelledError)
    async with within():
        assert {await told.get(), answers[0]} == {2, 3}
    assert await assert_whole(store, record.id) == 3


async def _awaited(call: "asyncio.Task[Any]") -> Any:
    return await call


# ------------------------------------------------------------------------------------------------ closing


async def test_closing_waits_for_all_who_are_in_the_queue(path: Path):
    store = SqliteStore(path)
    await store.open()
    changes = [creation() for _ in range(2 * BATCH)]

    async with within():
        calls = [asyncio.create_task(store.create(change)) for change in changes]
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.create(creation())
        assert await asyncio.gather(*calls) == [None] * len(changes)

    async with opened(SqliteStore(path)) as again:
        for change in changes:
            assert await again.load(change.instance.id) == change.instance


async def test_who_waits_behind_a_long_step_when_the_store_is_closed_is_told_so(path: Path):
    store = SqliteStore(path, lock_timeout=0.05)
    await store.open()
    record = await created(store)

    async with within():
        held = store.begin()
        await held.__aenter__()
        call = asyncio.create_task(store.apply(record.id, advance))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises((InstanceBusy, StoreUnavailable)):
            await call
        with pytest.raises(StoreError):
            await held.__aexit__(None, None, None)

    async with opened(store):
        assert await store.apply(record.id, advance) == 2


# ------------------------------------------------------------------------------------------------ what fails as a whole


async def test_all_of_a_batch_are_told_that_another_process_holds_the_file(path: Path):
    async with opened(SqliteStore(path, busy_timeout=0.05)) as store:
        records = [await created(store) for _ in range(8)]

        with closing(plain(path)) as elsewhere:
            elsewhere.execute("BEGIN IMMEDIATE")
            answers = await together(
                *(store.apply(record.id, advance) for record in records),
                *(store.create(creation()) for _ in range(4)),
            )
            elsewhere.execute("ROLLBACK")

        assert [error.instance_id for error in answers[:8]] == [record.id for record in records]
        assert {type(error) for error in answers} == {InstanceBusy, StoreUnavailable}
        assert len({id(error) for error in answers}) == len(answers)
        assert await together(*(store.apply(record.id, advance) for record in records)) == [2] * 8


async def test_all_who_wait_are_told_that_another_step_holds_the_file(path: Path):
    async with opened(SqliteStore(path, lock_timeout=0.05)) as store:
        records = [await created(store) for _ in range(8)]

        async with store.begin():
            answers = await together(
                *(store.apply(record.id, advance) for record in records),
                *(store.create(creation()) for _ in range(LANE + 1)),
            )

        assert [error.instance_id for error in answers[:8]] == [record.id for record in records]
        assert {type(error) for error in answers[8:]} == {StoreUnavailable}
        assert await together(*(store.apply(record.id, advance) for record in records)) == [2] * 8


async def test_a_commit_that_fails_is_told_to_all_and_nothing_of_it_is_there(store: SqliteStore, path: Path):
    records, told = [await created(store) for _ in range(4)], list[int]()
    with closing(plain(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE orders (id INTEGER PRIMARY KEY);
            CREATE TABLE items (order_id REFERENCES orders DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER dangling AFTER INSERT ON detent_history BEGIN INSERT INTO items VALUES (1); END;
            """
        )

    answers = await together(
        *(store.apply(record.id, advance, after_commit=told.append) for record in records), store.create(creation())
    )

    assert {type(error) for error in answers} == {StoreError}
    assert told == []
    for record in records:
        await assert_untouched(store, record)
    with closing(plain(path)) as connection:
        connection.execute("DROP TRIGGER dangling")
    assert await together(*(store.apply(record.id, advance) for record in records)) == [2] * 4


async def test_a_transaction_that_sqlite_ended_by_itself_is_never_half_committed(store: SqliteStore, path: Path):
    records = [await created(store) for _ in range(3)]
    with closing(plain(path)) as connection:
        connection.execute(
            """
            CREATE TRIGGER no AFTER INSERT ON detent_history WHEN NEW.event = 'poison'
            BEGIN SELECT raise(ROLLBACK, 'no'); END
            """
        )

    def poison(current: WorkflowInstance, *_: object) -> tuple[Change, int]:
        change = step(current)
        return replace(change, entries=(replace(change.entries[0], event="poison"),)), 0

    decisions: list[Any] = [advance, poison, advance]
    answers = await together(
        *(store.apply(record.id, decide) for record, decide in zip(records, decisions, strict=True))
    )

    assert {type(error) for error in answers} == {StoreUnavailable}
    for record in records:
        await assert_untouched(store, record)
    assert await store.apply(records[0].id, advance) == 2


async def test_what_was_answered_on_a_full_disk_is_there_and_nothing_else(store: SqliteStore):
    async with store.begin() as connection:
        row = await connection.fetch_one("PRAGMA page_count")
        assert row is not None
        await connection.fetch_all(f"PRAGMA max_page_count = {row[0] + 20}")
    changes = [creation(context={"text": "long " * 400}) for _ in range(100)]

    answers = await together(*(store.create(change) for change in changes))

    assert {type(answer) for answer in answers} - {type(None)} == {StoreUnavailable}
    for change, answer in zip(changes, answers, strict=True):
        assert (await store.load(change.instance.id) is not None) == (answer is None)


async def test_batches_of_two_processes_alternate_and_lose_nothing(path: Path):
    async with opened(SqliteStore(path, busy_timeout=30)) as store:
        record = await created(store)
        async with asyncio.timeout(60):
            writer = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("sqlite_writer.py")),
                *(str(path), str(record.id), "60"),
                stdout=asyncio.subprocess.PIPE,
            )
            ours: list[int] = []
            for _ in range(20):
                ours += await asyncio.gather(*(store.apply(record.id, advance) for _ in range(16)))
            out, _ = await writer.communicate()

        theirs = [int(line) for line in out.split()]
        assert sorted(ours + theirs) == list(range(2, 2 + 20 * 16 + 60))
        assert await assert_whole(store, record.id) == 1 + 20 * 16 + 60


# ------------------------------------------------------------------------------------------------ fairness


async def test_locked_steps_and_batches_take_turns(store: SqliteStore):
    records, done = [await created(store) for _ in range(8)], asyncio.Event()
    between: list[int] = []

    async def hammer(record: WorkflowInstance) -> int:
        steps = 0
        while not done.is_set():
            await store.apply(record.id, advance)
            steps += 1
        return steps

    async def locked() -> None:
        for _ in range(10):
            async with store.transaction(records[0].id) as unit:
                assert unit.record is not None
                between.append(unit.record.version)
                await unit.write(step(unit.record))
        done.set()

    *steps, _ = await together(*(hammer(record) for record in records), locked())

    # Between two locked steps there was a batch, and all ten came to their turn while batches went on.
    assert between == sorted(set(between))
    assert all(later - earlier > 1 for earlier, later in pairwise(between))
    assert await assert_whole(store, records[0].id) == 1 + steps[0] + 10


def a_call() -> Call:
    return Creation(creation(), None)


async def test_lanes_are_served_in_turn_and_each_in_its_order():
    lanes: Lanes[Call] = Lanes(10)
    few, many = [a_call() for _ in range(2)], [a_call() for _ in range(5)]
    for call in many:
        await lanes.enter("many", call)
    for call in few:
        await lanes.enter("few", call)

    assert lanes.take(4) == [many[0], few[0], many[1], few[1]]
    assert lanes.take(10) == many[2:]
    assert not lanes
    assert lanes.take(10) == []


async def test_a_full_lane_lets_its_own_callers_wait_and_nobody_else():
    lanes: Lanes[Call] = Lanes(1)
    first, late, other = a_call(), a_call(), a_call()
    await lanes.enter("full", first)
    waiting = asyncio.create_task(lanes.enter("full", late))
    async with within():
        await lanes.enter("other", other)
    assert not waiting.done()

    assert lanes.take(10) == [first, other]
    async with within():
        await waiting
    assert lanes.take(10) == [late]


async def test_whoever_was_cancelled_in_a_lane_is_left_out_and_makes_room():
    lanes: Lanes[Call] = Lanes(1)
    gone, stays = a_call(), a_call()
    await lanes.enter("one", gone)
    gone.answered.cancel()

    assert lanes.take(10) == []
    async with within():
        await lanes.enter("one", stays)
    assert lanes.take(10) == [stays]
