import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from detent.errors import InstanceNotFound, StepRolledBack, StoreUnavailable
from detent.ids import new_id
from detent.store import sqlite_schema
from detent.store.change import AddMessage, AddRun, Publish, SaveStep
from detent.store.messages import DeliveryQuery, DeliveryResult, DeliveryStatus, InboxQuery
from detent.store.query import InstanceQuery, Order
from detent.store.records import CommandRecord
from detent.store.run_records import Lease, Release, RunQuery, Throttle
from detent.store.sqlite import SqliteStore
from detent.store.sqlite_backlog import read_backlog
from detent.store.sqlite_claims import may_claim
from detent.store.sqlite_inbox_rows import find_messages
from detent.store.sqlite_outbox_rows import find_deliveries, may_claim_deliveries
from detent.store.sqlite_records import ENTRY_COLUMNS, INSTANCE_COLUMNS, from_entry, from_instance
from detent.store.sqlite_run_rows import find_runs
from detent.store.sqlite_schema import STEPS, upgrade
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    a_delivery,
    a_message,
    a_run,
    accepted,
    assert_untouched,
    claimed,
    created,
    creation,
    loaded,
    loaded_run,
    step,
    within,
    written,
)


@asynccontextmanager
async def opened(store: SqliteStore) -> AsyncIterator[SqliteStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def plain(path: Path) -> sqlite3.Connection:
    """The file as somebody else sees it."""
    return sqlite3.connect(path, isolation_level=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(SqliteStore(path, lock_timeout=0.05, busy_timeout=0.05)) as store:
        yield store


@pytest.fixture
async def two(path: Path) -> AsyncIterator[tuple[SqliteStore, SqliteStore]]:
    """Two store objects on one file, as two processes would have them."""
    async with opened(SqliteStore(path)) as one, opened(SqliteStore(path)) as other:
        yield one, other


# ------------------------------------------------------------------------------------------------ one file, many stores


async def test_two_stores_on_one_file_claim_disjoint_runs(two: tuple[SqliteStore, SqliteStore]):
    runs = {(await accepted(two[0])).id for _ in range(20)}

    async with within():
        answers = await asyncio.gather(*(store.runs.claim(a_claim(3), now=NOW) for store in two * 5))

    taken = [held.run.id for answer in answers for held in answer]
    assert len(taken) == len(runs)
    assert set(taken) == runs


async def test_two_stores_on_one_file_claim_disjoint_deliveries(two: tuple[SqliteStore, SqliteStore]):
    deliveries = set()
    for _ in range(20):
        record = await created(two[0])
        delivery = a_delivery(record)
        await written(two[0], record.id, Publish(delivery))
        deliveries.add(delivery.id)

    async with within():
        claims = (store.outbox.claim(["mail"], lease=MINUTE, limit=3, now=NOW) for store in two * 5)
        answers = await asyncio.gather(*claims)

    taken = [delivery.id for answer in answers for delivery in answer]
    assert len(taken) == len(deliveries)
    assert set(taken) == deliveries


async def test_a_throttle_holds_over_the_stores_of_one_file(two: tuple[SqliteStore, SqliteStore]):
    for _ in range(6):
        await accepted(two[0])
    claim = a_claim(2, queues=("default",), throttle=Throttle(rate=3, per=MINUTE))

    counts = [len(await store.runs.claim(claim, now=NOW)) for store in two * 2]

    assert counts == [2, 1, 0, 0]


async def test_a_queue_that_had_its_rate_gives_one_again_for_each_part_of_the_time(store: SqliteStore):
    for _ in range(9):
        await accepted(store)
    claim = a_claim(9, queues=("default",), throttle=Throttle(rate=3, per=MINUTE))
    parts = [0, 1, 2, 3, 60]

    instants = [
        NOW + part * MINUTE / 3 - early for part in parts for early in ((TICK, 0 * TICK) if part else (0 * TICK,))
    ]
    counts = [len(await store.runs.claim(claim, now=now)) for now in instants]

    assert counts == [3, 0, 1, 0, 1, 0, 1, 3, 0]


async def test_a_rate_that_does_not_divide_its_time_gives_all_of_it(store: SqliteStore):
    for _ in range(9):
        await accepted(store)
    claim = a_claim(1, queues=("default",), throttle=Throttle(rate=7, per=timedelta(seconds=1)))

    assert [len(await store.runs.claim(claim, now=NOW)) for _ in range(9)] == [1] * 7 + [0] * 2


async def test_a_throttle_is_for_one_queue(store: SqliteStore):
    for queues in (None, (), ("default", "other")):
        with pytest.raises(ValueError, match="one queue"):
            await store.runs.claim(a_claim(queues=queues, throttle=Throttle(concurrency=1)), now=NOW)


# ------------------------------------------------------------------------------------------------ the file outlives


async def test_runs_and_messages_are_there_when_the_file_is_opened_again(path: Path):
    async with opened(SqliteStore(path)) as store:
        run = await accepted(store)
        held = await claimed(store)
        record = await loaded(store, run.instance_id)
        await written(store, record.id, AddMessage(a_message(record)), Publish(a_delivery(record)))
        messages = await store.inbox.find(InboxQuery(), limit=10)
        [delivery] = await store.outbox.claim(["mail"], lease=MINUTE, limit=1, now=NOW)

    async with opened(SqliteStore(path)) as store:
        assert await loaded_run(store, run.id) == held.run
        assert list(await store.inbox.find(InboxQuery(), limit=10)) == messages
        assert list(await store.outbox.find(DeliveryQuery(), limit=10)) == [delivery]
        assert list(await store.runs.claim(a_claim(), now=NOW + MINUTE - TICK)) == []
        assert (await claimed(store, now=NOW + MINUTE)).run.crashes == 1
        result = DeliveryResult(delivery.id, delivery.lease_token or new_id(), DeliveryStatus.DELIVERED)
        assert list(await store.outbox.settle([result], now=NOW)) == [delivery.id]


async def test_what_a_killed_worker_was_answered_is_there_for_the_next(path: Path):
    async with opened(SqliteStore(path)) as store:
        run = await accepted(store, available_at=store.now() - DAY)

    async with asyncio.timeout(60):
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("sqlite_worker.py")),
            str(path),
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdout is not None
        for _ in range(25):
            answered = int(await worker.stdout.readline())
        worker.kill()
        # What it had answered by then is still in the pipe.
        lines = (await worker.stdout.read()).splitlines(keepends=True)
        await worker.wait()

    answered = max([answered, *(int(line) for line in lines if line.endswith(b"\n"))])
    async with opened(SqliteStore(path)) as store:
        assert list(await store.runs.claim(a_claim())) == []
        [again] = await store.runs.claim(a_claim(), now=store.now() + DAY)
        assert (again.run.id, again.run.crashes, again.run.attempts) == (run.id, 1, 2)
        numbers = [entry["number"] for entry in again.run.journal]
        assert numbers in (list(range(1, answered + 1)), list(range(1, answered + 2)))


async def test_a_file_of_the_second_release_is_upgraded_with_what_it_holds(path: Path, monkeypatch: pytest.MonkeyPatch):
    change = creation(due=NOW)
    entry = replace(change.entries[0], commands=(CommandRecord(name="charge", ok=True),))
    with closing(plain(path)) as connection, monkeypatch.context() as second_release:
        second_release.setattr(sqlite_schema, "STEPS", STEPS[:2])
        upgrade(connection)
        instance = dict(zip(INSTANCE_COLUMNS.replace(",", " ").split(), from_instance(change.instance), strict=True))
        history = dict(zip(ENTRY_COLUMNS.replace(",", " ").split(), from_entry(entry), strict=True))
        for added in ("run_id", "parent_link"):
            del instance[added]
        del history["changes"]
        history["commands"] = '[{"name":"charge","ok":true,"code":null,"message":null,"data":null,"best_effort":false}]'
        for table, row in (("detent_instances", instance), ("detent_history", history)):
            names = ", ".join(row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(':' + name for name in row)})", row)

    async with opened(SqliteStore(path)) as store:
        record = await loaded(store, change.instance.id)
        assert record == change.instance
        assert list(await store.history(record.id, limit=10)) == [entry]
        assert list(await store.find(InstanceQuery(busy=False), order=Order(), limit=10)) == [record]
        run = a_run(record)
        await store.apply(
            record.id, lambda record, *_: (step(replace(record, run_id=run.id), effects=(AddRun(run),)), None)
        )
        assert (await claimed(store)).run.id == run.id
        assert (await loaded(store, record.id)).run_id == run.id


# ------------------------------------------------------------------------------------------------ one writer


async def test_workers_who_do_not_get_the_writer_take_nothing_and_learn_nothing_wrong(store: SqliteStore):
    first = await accepted(store)
    held = await claimed(store)
    await accepted(store)
    record = await loaded(store, first.instance_id)
    await written(store, record.id, Publish(a_delivery(record)))

    async with store.begin():
        assert list(await store.runs.claim(a_claim(), now=NOW)) == []
        assert list(await store.outbox.claim(["mail"], lease=MINUTE, limit=1, now=NOW)) == []
        for call in (
            store.runs.heartbeat([held.lease], extend=MINUTE, now=NOW),
            store.runs.checkpoint(a_checkpoint(held.lease), now=NOW),
            store.runs.keep(held.lease, extend=MINUTE, now=NOW),
            store.runs.release([Release(held.lease)], now=NOW),
            store.inbox.put(a_message(record)),
            store.outbox.settle([], now=NOW),
        ):
            with pytest.raises(StoreUnavailable):
                await call

    assert await loaded_run(store, first.id) == held.run
    assert list(await store.inbox.find(InboxQuery(), limit=10)) == []
    assert len(await store.runs.claim(a_claim(9), now=NOW)) == 1


async def test_who_finds_nothing_to_take_does_not_wait_for_the_writer(path: Path):
    async with opened(SqliteStore(path, busy_timeout=60, lock_timeout=60)) as store:
        await accepted(store, available_at=NOW + DAY)
        with closing(plain(path)) as elsewhere:
            elsewhere.execute("BEGIN IMMEDIATE")
            async with within():
                assert list(await store.runs.claim(a_claim(), now=NOW)) == []
                assert list(await store.outbox.claim(["mail"], lease=MINUTE, limit=1, now=NOW)) == []
                assert list(await store.inbox.due(limit=1, now=NOW)) == []
            elsewhere.execute("ROLLBACK")


# ------------------------------------------------------------------------------------------------ all or nothing


async def test_a_lost_lease_undoes_the_whole_change_and_leaves_the_transaction_usable(store: SqliteStore):
    run = await accepted(store)
    record = await loaded(store, run.instance_id)
    lost = SaveStep(a_checkpoint(Lease(run.id, new_id())))
    change = step(record, effects=(AddMessage(a_message(record)), Publish(a_delivery(record)), lost))

    async with store.transaction(record.id, now=NOW) as unit:
        await unit.connection.execute("CREATE TABLE notes (text TEXT)")
        with pytest.raises(StepRolledBack, match="lease"):
            await unit.write(change)
        await unit.connection.execute("INSERT INTO notes VALUES ('still here')")

    await assert_untouched(store, record)
    assert list(await store.inbox.find(InboxQuery(), limit=10)) == []
    assert list(await store.outbox.find(DeliveryQuery(), limit=10)) == []
    async with store.begin() as connection:
        assert await connection.fetch_one("SELECT text FROM notes") is not None


async def test_a_number_that_was_given_is_never_given_again(store: SqliteStore):
    record = await created(store)
    numbers = []

    for _ in range(3):
        message = a_message(record)
        await store.inbox.put(message)
        numbers += [found.number for found in await store.inbox.find(InboxQuery(), limit=10)]
        await store.inbox.discard([message.id])

    assert numbers == sorted(set(numbers))


async def test_a_message_to_nobody_leaves_nothing_in_the_callers_transaction(store: SqliteStore, path: Path):
    record = await created(store)

    async with store.begin() as outside:
        with pytest.raises(InstanceNotFound):
            await store.inbox.put(a_message(record, instance_id=new_id()), outside=outside)
        await store.inbox.put(a_message(record), outside=outside)

    with closing(plain(path)) as connection:
        assert connection.execute("SELECT instance_id FROM detent_inbox").fetchall() == [(str(record.id),)]


# ------------------------------------------------------------------------------------------------ indexes


class Explaining:
    """A connection that keeps the plan of the last statement."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plan = ""

    def execute(self, sql: str, values: Any) -> sqlite3.Cursor:
        self.plan = "; ".join(row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return self._connection.execute(sql, values)


@pytest.fixture
async def explaining(path: Path, store: SqliteStore) -> AsyncIterator[Any]:
    with closing(plain(path)) as connection:
        connection.row_factory = sqlite3.Row
        yield Explaining(connection)


def test_runs_are_claimed_in_order_from_an_index(explaining: Any):
    may_claim(explaining, a_claim(queues=("default",), workflows=("order",), tenant="acme"), NOW)

    assert "USING INDEX detent_runs_claimable" in explaining.plan
    assert "TEMP B-TREE" not in explaining.plan


@pytest.mark.parametrize("tenant", [None, "acme"], ids=["of all", "of a tenant"])
def test_deliveries_are_claimed_in_order_from_an_index_and_looked_behind_in_another(
    explaining: Any, tenant: str | None
):
    may_claim_deliveries(explaining, ["mail"], tenant, NOW)

    assert "USING INDEX detent_outbox_pending" in explaining.plan
    assert "detent_outbox_order (instance_id=? AND subscriber=? AND number<?)" in explaining.plan
    assert "TEMP B-TREE" not in explaining.plan


@pytest.mark.parametrize("after", [None, new_id()], ids=["first page", "next page"])
def test_runs_are_listed_in_order_from_an_index(explaining: Any, after: Any):
    find_runs(explaining, RunQuery(instance_id=new_id()), 10, after)
    assert "detent_runs_instance (instance_id=?" in explaining.plan
    assert "TEMP B-TREE" not in explaining.plan

    find_runs(explaining, RunQuery(), 10, after)
    assert "TEMP B-TREE" not in explaining.plan


def test_messages_and_deliveries_of_an_instance_are_found_by_an_index(explaining: Any):
    find_messages(explaining, InboxQuery(instance_id=new_id()), 10, 7)
    assert "detent_inbox_instance (instance_id=? AND number>?)" in explaining.plan

    find_deliveries(explaining, DeliveryQuery(instance_id=new_id()), 10, 7)
    assert "detent_outbox_instance (instance_id=? AND number>?)" in explaining.plan


def test_counting_what_waits_goes_through_no_table(explaining: Any):
    read_backlog(explaining, "acme", NOW)

    tables = ("detent_instances", "detent_runs", "detent_inbox", "detent_outbox", "run", "instance")
    scans = [part for part in explaining.plan.split("; ") if part.split(" ")[-1] in tables]
    assert scans == []
