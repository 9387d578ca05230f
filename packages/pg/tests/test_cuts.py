"""The wire is cut at every message of every verb, before the server gets it and after it answered.

Whatever the store then says is true: what it answered was applied, once; what it says was rolled back was not; and it goes on
working on the same pool.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import URL, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.errors import OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.store.query import InstanceQuery, Order
from detent.store.records import WorkflowInstance
from detent.testing.store_contract.samples import (
    DAY,
    NOW,
    advance,
    assert_whole,
    created,
    creation,
    keyed_step,
    receipt_key,
    receipt_of,
    receipts_only,
    remembered,
    removal,
    step,
)
from detent_pg import PgStore
from packages.pg.tests.orm import Note
from packages.pg.tests.wire import Wire

BOTH = pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])
Step = Callable[[PgStore, WorkflowInstance], Awaitable[object]]


async def apply(store: PgStore, record: WorkflowInstance) -> None:
    await store.apply(record.id, advance)


async def transaction(store: PgStore, record: WorkflowInstance) -> None:
    async with store.transaction(record.id) as unit:
        unit.connection.add(Note(note=str(record.id)))
        await unit.flush()
        await unit.write(step(record))


async def fire_due(store: PgStore, record: WorkflowInstance) -> None:
    [(instance_id, _)] = await store.fire_due(advance, limit=10, now=NOW)
    assert instance_id == record.id


STEPS: dict[Step, int] = {apply: 2, transaction: 5, fire_due: 4}
PLACES = [
    pytest.param(verb, place, id=f"{verb.__name__}-{place}") for verb, trips in STEPS.items() for place in range(trips)
]


async def find(store: PgStore, record: WorkflowInstance) -> object:
    return await store.find(InstanceQuery(ids=(record.id,)), order=Order(), limit=5)


async def count(store: PgStore, record: WorkflowInstance) -> object:
    return await store.count(InstanceQuery(ids=(record.id,)), group_by=("state",))


async def prune(store: PgStore, record: WorkflowInstance) -> object:
    return await store.prune_history([record.id], before=NOW)


READS = [find, count, prune]


def at(place: int) -> Callable[[str], bool]:
    """The message after so many others."""
    left = iter(range(place, -1, -1))
    return lambda _sql: next(left) == 0


def is_commit(sql: str) -> bool:
    return sql.startswith("COMMIT")


def writes(sql: str) -> bool:
    return "UPDATE detent_instances" in sql or "INSERT INTO detent_instances" in sql


@BOTH
@pytest.mark.parametrize(("verb", "place"), PLACES)
async def test_a_step_that_is_cut_tells_the_truth(
    wire: Wire, wired: PgStore, store: PgStore, verb: Step, place: int, forward: bool
) -> None:
    await verb(wired, await created(store, creation(due=NOW - DAY)))
    record = await created(store, creation(due=NOW - DAY))

    wire.cut(at(place), forward=forward)
    try:
        await verb(wired, record)
        applied = True
    except (StepRolledBack, StoreUnavailable):
        applied = False

    assert wire.was_cut.is_set()
    assert await assert_whole(store, record.id) == (2 if applied else 1)
    if verb is transaction:
        assert await is_noted(store, record) == applied
    else:
        # Nothing ran that may not run twice, so it was repeated inside.
        assert applied
    await wired.apply(record.id, advance)


@BOTH
@pytest.mark.parametrize("keyed", [False, True], ids=["without key", "with key"])
async def test_a_creation_that_is_cut_is_there_once(
    wire: Wire, wired: PgStore, store: PgStore, keyed: bool, forward: bool
) -> None:
    await created(wired)
    change = creation(key=receipt_key() if keyed else None)

    wire.cut(at(0), forward=forward)

    assert await wired.create(change) is None
    assert await store.load(change.instance.id) == change.instance
    assert await assert_whole(store, change.instance.id) == 1


@BOTH
async def test_a_commit_of_a_creation_with_commands_that_is_cut(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    change = creation()

    async def create() -> None:
        async with wired.transaction(None) as unit:
            await unit.write(change)
            await unit.write(step(change.instance))

    wire.cut(is_commit, forward=forward)
    if forward:
        await create()
        assert await assert_whole(store, change.instance.id) == 2
    else:
        with pytest.raises(StepRolledBack):
            await create()
        assert await store.load(change.instance.id) is None


@BOTH
async def test_callbacks_follow_the_verdict(wire: Wire, wired: PgStore, store: PgStore, forward: bool) -> None:
    record = await created(store)
    called: list[str] = []

    wire.cut(is_commit, forward=forward)
    try:
        async with wired.transaction(record.id) as unit:
            unit.after_commit(lambda: called.append("committed"))
            await unit.write(step(record))
    except StepRolledBack:
        pass

    assert called == ["committed"] * forward


@BOTH
async def test_a_lent_connection_that_is_cut_at_its_commit(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    record = await created(store)
    called: list[str] = []

    async def lent(connection: AsyncConnection) -> None:
        async with wired.lend(connection), wired.join(connection, record.id) as unit:
            unit.after_commit(lambda: called.append("committed"))
            await unit.write(step(record))

    second = PgStore.from_url(wired.engine.url, pool_size=1)
    wire.cut(is_commit, forward=forward)
    try:
        async with second.engine.connect() as connection:
            await lent(connection)
    except StoreUnavailable:
        assert not forward
    await second.engine.dispose()

    assert called == ["committed"] * forward
    assert await assert_whole(store, record.id) == 1 + forward


@pytest.mark.parametrize("verb", [apply, transaction], ids=lambda verb: verb.__name__)
async def test_what_cannot_be_asked_is_unknown(wire: Wire, wired: PgStore, store: PgStore, verb: Step) -> None:
    record = await created(store)
    await verb(wired, await created(store))
    # Whoever asks has to connect for it.
    await wired.engine.dispose()

    def last_message(sql: str) -> bool:
        if is_commit(sql) or (verb is apply and writes(sql)):
            wire.refusing = True
            return True
        return False

    wire.cut(last_message, forward=True)
    with pytest.raises(OutcomeUnknown) as raised:
        await verb(wired, record)

    assert (raised.value.instance_id, raised.value.version_before) == (record.id, 1)
    wire.refusing = False
    assert await wired.load(record.id) is not None


async def test_an_unknown_outcome_is_told_to_everyone_by_an_error_of_his_own(
    wire: Wire, wired: PgStore, store: PgStore
) -> None:
    record = await created(store)
    await apply(wired, await created(store))
    await wired.engine.dispose()

    def last_message(sql: str) -> bool:
        wire.refusing = writes(sql)
        return wire.refusing

    wire.cut(last_message, forward=True)
    one, other = await asyncio.gather(*(wired.apply(record.id, advance) for _ in range(2)), return_exceptions=True)
    wire.refusing = False

    assert isinstance(one, OutcomeUnknown)
    assert isinstance(other, OutcomeUnknown)
    assert one is not other


async def test_a_key_is_answered_after_a_cut(wire: Wire, wired: PgStore, store: PgStore) -> None:
    record = await created(store)
    key = receipt_key(scope=str(record.id))
    change = keyed_step(record, key)

    wire.cut(writes, forward=True)
    await wired.apply(record.id, lambda *_: (change, None), key=key)

    assert await remembered(store, record.id, key) == receipt_of(change)
    assert await assert_whole(store, record.id) == 2


@BOTH
@pytest.mark.parametrize("place", [0, 1])
async def test_receipts_alone_that_are_cut_are_there_once(
    wire: Wire, wired: PgStore, store: PgStore, place: int, forward: bool
) -> None:
    record = await created(store)
    await wired.apply((await created(store)).id, lambda current, *_: (receipts_only(current, receipt_key()), None))
    key = receipt_key(scope=str(record.id))
    change = receipts_only(record, key)

    wire.cut(at(place), forward=forward)
    await wired.apply(record.id, lambda _record, seen, _now: (None if seen else change, None), key=key, now=NOW)

    assert wire.was_cut.is_set()
    assert await remembered(store, record.id, key) == receipt_of(change)
    assert await store.load(record.id) == record


@BOTH
async def test_receipts_alone_whose_commit_is_cut_tell_the_truth(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    record = await created(store)
    key = receipt_key(scope=str(record.id))

    wire.cut(is_commit, forward=forward)
    try:
        async with wired.transaction(record.id) as unit:
            await unit.write(receipts_only(record, key))
        applied = True
    except StepRolledBack:
        applied = False

    assert applied == forward
    assert (await remembered(store, record.id, key) is not None) == applied


@BOTH
async def test_a_removal_that_is_cut_answers_what_it_removed(
    wire: Wire, wired: PgStore, store: PgStore, forward: bool
) -> None:
    await wired.remove([removal(await created(store))])
    mine, changed, long_gone = [await created(store) for _ in range(3)]
    await store.apply(changed.id, advance)
    await store.remove([removal(long_gone, document={"kept": "by another"})])

    wire.cut(at(0), forward=forward)
    gone = await wired.remove([removal(record) for record in (mine, changed, long_gone)])

    assert wire.was_cut.is_set()
    assert gone == {mine.id}
    assert await store.load(mine.id) is None
    assert await store.load_archived(mine.id) == removal(mine).entry
    assert await assert_whole(store, changed.id) == 2


@BOTH
@pytest.mark.parametrize("verb", READS, ids=lambda verb: verb.__name__)
async def test_a_reading_that_is_cut_is_asked_again(
    wire: Wire,
    wired: PgStore,
    store: PgStore,
    verb: Callable[[PgStore, WorkflowInstance], Awaitable[object]],
    forward: bool,
) -> None:
    record = await created(store)
    expected = await verb(wired, record)

    wire.cut(at(0), forward=forward)

    assert await verb(wired, record) == expected
    assert wire.was_cut.is_set()


async def test_a_write_that_still_runs_on_the_old_backend_is_not_repeated_twice(
    wire: Wire, wired: PgStore, store: PgStore, migrated_url: URL
) -> None:
    """The old backend waits for the row with our write in hand; the new one waits behind it; one of them applies it."""
    record = await created(store)
    await wired.apply((await created(store)).id, advance)
    started = asyncio.Event()

    async with store.transaction(record.id):
        wire.cut(writes, forward=True)
        answer = asyncio.create_task(wired.apply(record.id, advance))
        await wire.was_cut.wait()
        started.set()
        wire.cut_all()

    assert await answer == 2
    assert await assert_whole(store, record.id) == 2


async def test_cut_while_idle_is_noticed_and_mended(wire: Wire, wired: PgStore, store: PgStore) -> None:
    record = await created(wired)
    wire.cut_all()

    assert await wired.apply(record.id, advance) == 2


async def test_without_a_database_it_is_unavailable_and_comes_back(wire: Wire, wired: PgStore) -> None:
    record = await created(wired)
    wire.refusing = True
    wire.cut_all()

    with pytest.raises(StoreUnavailable):
        await wired.apply(record.id, advance)
    assert not (await wired.health()).ok

    wire.refusing = False
    assert await wired.apply(record.id, advance) == 2
    assert (await wired.health()).ok


async def test_opening_without_a_database_is_unavailable_and_shows_no_password() -> None:
    store = PgStore.from_url("postgresql://someone:secret@127.0.0.1:1/nowhere")

    with pytest.raises(StoreUnavailable) as raised:
        await store.open()

    assert "secret" not in str(raised.value)
    await store.close()


async def is_noted(store: PgStore, record: WorkflowInstance) -> bool:
    async with store.engine.connect() as connection:
        count = select(func.count()).select_from(Note).where(Note.note == str(record.id))
        return bool(await connection.scalar(count))
