"""The table of round trips in the design, counted on the wire once every statement is prepared."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from detent.store.change import PutReceipt
from detent.store.protocol import Unit
from detent.store.query import InstanceQuery, Order, Position
from detent.store.records import WorkflowInstance
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    created,
    creation,
    keyed_step,
    receipt,
    receipt_key,
    receipt_of,
    receipts_only,
    removal,
    step,
)
from detent_pg import PgStore
from packages.pg.tests.orm import Note
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire

Work = Callable[[PgStore], Awaitable[object]]
ENDS = ("BEGIN", "COMMIT", "ROLLBACK")


async def count(wire: Wire, store: PgStore, work: Work) -> Sequence[str]:
    """What goes over the wire for `work`, the second time it is done."""
    await work(store)
    with wire.recording() as trips:
        await work(store)
    return trips


def known(unit: Unit) -> WorkflowInstance:
    assert unit.record is not None
    return unit.record


async def test_a_creation_is_one_round_trip_and_no_transaction(wire: Wire, wired: PgStore) -> None:
    [only] = await count(wire, wired, lambda store: store.create(creation()))

    assert only.startswith("WITH")


async def test_a_keyed_creation_is_one_round_trip(wire: Wire, wired: PgStore) -> None:
    assert len(await count(wire, wired, lambda store: store.create(creation(key=receipt_key())))) == 1


async def test_a_keyed_creation_that_finds_one_reads_it_in_another(wire: Wire, wired: PgStore) -> None:
    key = receipt_key()
    await created(wired, creation(key=key))

    assert len(await count(wire, wired, lambda store: store.create(creation(key=key)))) == 2


async def test_a_step_without_commands_is_two_and_sends_no_begin(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    trips = await count(wire, wired, lambda store: store.apply(record.id, advance))

    assert len(trips) == 2
    assert not [sql for sql in trips if sql.startswith(ENDS)]


async def test_a_key_costs_a_step_without_commands_nothing(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)
    key = receipt_key(scope=str(record.id))

    async def keyed(store: PgStore) -> None:
        def decide(current, _receipt, now):
            fresh = receipt_key(scope=str(record.id))
            return step(current, now=now, effects=(PutReceipt(receipt(fresh, record.id)),)), None

        await store.apply(record.id, decide, key=key)

    assert len(await count(wire, wired, keyed)) == 2


@pytest.mark.parametrize("key", [None, receipt_key()], ids=["without key", "with key"])
async def test_a_step_with_commands_is_four(wire: Wire, wired: PgStore, key: None) -> None:
    record = await created(wired)

    async def locked(store: PgStore) -> None:
        async with store.transaction(record.id, key=key) as unit:
            await unit.flush()
            await unit.write(step(known(unit)))

    trips = await count(wire, wired, locked)

    assert len(trips) == 4
    assert trips[0].startswith("BEGIN")
    assert trips[3].startswith("COMMIT")


async def test_a_creation_with_commands_is_four(wire: Wire, wired: PgStore) -> None:
    async def locked(store: PgStore) -> None:
        change = creation()
        async with store.transaction(None) as unit:
            await unit.write(change)
            await unit.flush()
            await unit.write(step(change.instance))

    assert len(await count(wire, wired, locked)) == 4


async def test_a_lent_session_is_four(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    async def joined(store: PgStore) -> list[str]:
        async with AsyncSession(store.engine) as session:
            await session.execute(text("SELECT 1"))
            with wire.recording() as trips:
                async with store.join(session, record.id) as unit:
                    await unit.flush()
                    await unit.write(step(known(unit)))
            await session.commit()
        return trips

    await joined(wired)
    trips = await joined(wired)

    assert len(trips) == 4
    assert trips[0].startswith("SAVEPOINT")
    assert trips[3].startswith("RELEASE")


async def test_a_lent_connection_is_four(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    async def joined(store: PgStore) -> list[str]:
        async with store.engine.connect() as connection, store.lend(connection):
            await connection.execute(text("SELECT 1"))
            with wire.recording() as trips:
                async with store.join(connection, record.id) as unit:
                    await unit.write(step(known(unit)))
        return trips

    await joined(wired)
    assert len(await joined(wired)) == 4


async def test_a_savepoint_is_two_more(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    async def locked(store: PgStore) -> None:
        async with store.transaction(record.id) as unit:
            async with unit.savepoint():
                pass
            await unit.write(step(known(unit)))

    assert len(await count(wire, wired, locked)) == 6


async def test_what_a_session_holds_back_is_sent_by_flush(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    async def locked(store: PgStore) -> None:
        async with store.transaction(record.id) as unit:
            unit.connection.add(Note.fresh())
            await unit.flush()
            await unit.write(step(known(unit)))

    assert len(await count(wire, wired, locked)) == 5


@pytest.mark.parametrize("many", [1, 500])
async def test_due_timers_are_four_for_a_batch(wire: Wire, wired: PgStore, many: int) -> None:
    async def due(number: int) -> None:
        for _ in range(number):
            await wired.create(creation(due=NOW - DAY))

    for warm in (1, 2):
        await due(warm)
        await wired.fire_due(advance, limit=500, now=NOW)
    await due(many)

    with wire.recording() as trips:
        fired = await wired.fire_due(advance, limit=500, now=NOW)

    assert len(fired) == many
    assert len(trips) == 4


async def test_reading_is_one(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    assert len(await count(wire, wired, lambda store: store.load(record.id))) == 1
    assert len(await count(wire, wired, lambda store: store.history(record.id, limit=5))) == 1


ALONE: dict[str, Callable[[PgStore, WorkflowInstance], Awaitable[object]]] = {
    "recall": lambda store, record: store.recall(receipt_key("asked"), now=NOW),
    "find": lambda store, record: store.find(InstanceQuery(workflows=("order",)), order=Order(), limit=5),
    "a later page": lambda store, record: store.find(
        InstanceQuery(metadata={"a": 1}), order=Order(), limit=5, after=Position(record.id, NOW)
    ),
    "count": lambda store, record: store.count(InstanceQuery(), group_by=("workflow", "state")),
    "remove": lambda store, record: store.remove([removal(record), removal(creation().instance)]),
    "load_archived": lambda store, record: store.load_archived(record.id),
    "prune_history": lambda store, record: store.prune_history([record.id], before=NOW),
    "prune_receipts": lambda store, record: store.prune_receipts(limit=10),
    "load_definition": lambda store, record: store.load_definition("order", "1"),
    "list_definitions": lambda store, record: store.list_definitions(["order"]),
}


@pytest.mark.parametrize("verb", ALONE)
async def test_a_verb_of_one_statement_is_one_round_trip(wire: Wire, wired: PgStore, verb: str) -> None:
    record = await created(wired)

    [only] = await count(wire, wired, lambda store: ALONE[verb](store, record))

    assert not only.startswith(ENDS)


async def test_finding_in_another_transaction_is_one(wire: Wire, wired: PgStore) -> None:
    async def lent(store: PgStore) -> list[str]:
        async with store.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with wire.recording() as trips:
                await store.find(InstanceQuery(), order=Order(), limit=5, outside=connection)
        return trips

    await lent(wired)
    assert len(await lent(wired)) == 1


async def test_a_removal_in_another_transaction_is_three(wire: Wire, wired: PgStore) -> None:
    async def lent(store: PgStore) -> list[str]:
        record = await created(store)
        async with store.engine.begin() as connection:
            await connection.execute(text("SELECT 1"))
            with wire.recording() as trips:
                assert await store.remove([removal(record)], outside=connection) == {record.id}
        return trips

    await lent(wired)
    trips = await lent(wired)

    assert [sql.split()[0] for sql in trips] == ["SAVEPOINT", "WITH", "RELEASE"]


async def test_receipts_alone_are_two_like_a_step(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)

    async def leave(store: PgStore) -> None:
        change = receipts_only(record, receipt_key(scope=str(record.id)))
        await store.apply(record.id, lambda *_: (change, None))

    assert len(await count(wire, wired, leave)) == 2


async def test_a_receipt_is_read_again_after_waiting_for_the_row(wire: Wire, wired: PgStore, store: PgStore) -> None:
    """Locking re-reads the row but not the receipt beside it, which the step before may have just stored."""
    record = await created(store)
    key = receipt_key(scope=str(record.id))
    change = keyed_step(record, key)

    async def second() -> object:
        async with wired.transaction(record.id, key=key) as unit:
            return unit.receipt

    with wire.recording() as trips:
        async with store.transaction(record.id) as unit:
            waiter = asyncio.create_task(second())
            await someone_waits(store.engine)
            await unit.write(change)
        seen = await waiter

    assert seen == receipt_of(change)
    again = [sql for sql in trips if "detent_receipts" in sql and "detent_instances" not in sql]
    assert again
