"""Values on PostgreSQL: what goes over the wire, who waits for whom, what a cut leaves, and how they are stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncSession

from detent.errors import InstanceBusy, InstanceNotFound
from detent.testing.store_contract.samples import assert_whole, created, removal, step, within
from detent_pg import PgStore
from packages.pg.tests.waiting import someone_waits
from packages.pg.tests.wire import Wire

Verb = Callable[[PgStore, UUID], Awaitable[object]]
VERBS: dict[str, Verb] = {
    "put": lambda store, owner: store.values.put(owner, "a", {"b": 1}),
    "overwrite": lambda store, owner: store.values.put(owner, "a", {"b": 2}, overwrite=True),
    "load": lambda store, owner: store.values.load(owner, ["a", "b"]),
    "sizes": lambda store, owner: store.values.sizes(owner),
    "delete": lambda store, owner: store.values.delete(owner, ["a", "b"]),
    "clear": lambda store, owner: store.values.clear(owner),
}
WRITES = [verb for verb in VERBS if verb not in ("load", "sizes")]
BOTH = pytest.mark.parametrize("forward", [False, True], ids=["before", "after"])


@pytest.fixture
async def hasty(store: PgStore) -> AsyncIterator[PgStore]:
    """The same store, waiting for rows a tenth of a second."""
    hasty = PgStore.from_url(store.engine.url, pool_size=2, lock_timeout=0.1)
    await hasty.open()
    yield hasty
    await hasty.close()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_is_one_round_trip_and_no_transaction(wire: Wire, wired: PgStore, verb: str) -> None:
    record = await created(wired)
    await VERBS[verb](wired, record.id)

    with wire.recording() as trips:
        await VERBS[verb](wired, record.id)

    [only] = trips
    assert not only.startswith(("BEGIN", "COMMIT", "ROLLBACK"))


@pytest.mark.parametrize("verb", VERBS)
async def test_nothing_waits_for_a_step_that_holds_the_instance(store: PgStore, verb: str) -> None:
    record = await created(store)

    async with within(), store.transaction(record.id) as unit:
        await VERBS[verb](store, record.id)
        await unit.write(step(record))

    assert await assert_whole(store, record.id) == 2


async def test_a_value_that_is_put_behind_a_removal_finds_no_instance(store: PgStore) -> None:
    record = await created(store)

    async with within():
        async with AsyncSession(store.engine) as session:
            await store.remove([removal(record)], outside=session)
            put = asyncio.create_task(store.values.put(record.id, "a", 1))
            await someone_waits(store.engine)
            await session.commit()
        with pytest.raises(InstanceNotFound):
            await put


@pytest.mark.parametrize("verb", ["put", "overwrite"])
async def test_a_removal_that_is_not_committed_is_waited_for_no_longer_than_for_any_row(
    store: PgStore, hasty: PgStore, verb: str
) -> None:
    record = await created(store)

    async with within(), AsyncSession(store.engine) as session:
        await store.remove([removal(record)], outside=session)
        with pytest.raises(InstanceBusy):
            await VERBS[verb](hasty, record.id)
        await session.rollback()

    await VERBS[verb](hasty, record.id)
    assert (await store.values.sizes(record.id)).keys() == {"a"}


@BOTH
@pytest.mark.parametrize("verb", WRITES)
async def test_a_write_that_is_cut_is_done(
    wire: Wire, wired: PgStore, store: PgStore, verb: str, forward: bool
) -> None:
    record = await created(store)
    await store.values.put(record.id, "b", 1)
    if verb == "overwrite":
        await store.values.put(record.id, "a", 1)
    # Known to the driver by then, as in any process that has run for a while.
    await VERBS[verb](wired, (await created(store)).id)

    wire.cut(lambda sql: "detent_values" in sql, forward=forward)
    await VERBS[verb](wired, record.id)

    assert wire.was_cut.is_set()
    left = {
        "put": {"a": {"b": 1}, "b": 1},
        "overwrite": {"a": {"b": 2}, "b": 1},
        "delete": {},
        "clear": {},
    }
    assert await store.values.load(record.id, ["a", "b"]) == left[verb]


async def test_a_value_comes_back_with_its_keys_in_order(store: PgStore) -> None:
    record = await created(store)

    await store.values.put(record.id, "a", {"zeta": 1, "b": {"y": 1, "x": 2}, "alpha": 3})

    found = (await store.values.load(record.id, ["a"]))["a"]
    assert (list(found), list(found["b"])) == (["zeta", "b", "alpha"], ["y", "x"])


async def test_a_value_says_when_it_was_put_last(store: PgStore) -> None:
    record = await created(store)

    async def put_at() -> object:
        async with store.engine.connect() as connection:
            return await connection.scalar(text("SELECT created_at FROM detent_values"))

    await store.values.put(record.id, "a", 1)
    first = await put_at()
    await store.values.put(record.id, "a", 2)
    assert await put_at() == first
    await store.values.put(record.id, "a", 3, overwrite=True)
    assert await put_at() > first  # type: ignore[operator]


async def test_they_go_when_somebody_takes_out_the_instance_by_hand(store: PgStore) -> None:
    record, other = await created(store), await created(store)
    for owner in (record, other):
        await store.values.put(owner.id, "a", 1)

    async with store.engine.begin() as connection:
        await connection.execute(text("DELETE FROM detent_instances WHERE id = :id"), {"id": record.id})
        left = await connection.scalar(text("SELECT array_agg(instance_id) FROM detent_values"))

    assert left == [other.id]


async def test_the_table_may_have_the_name_of_a_word_of_sql(postgres_url: URL) -> None:
    store = PgStore.from_url(postgres_url, prefix="")
    await store.upgrade()
    await store.open()
    record = await created(store)

    for verb in ("put", "overwrite", "load", "sizes", "delete"):
        await VERBS[verb](store, record.id)
    await store.values.put(record.id, "a", 1)

    assert await store.values.load(record.id, ["a"]) == {"a": 1}
    assert list(await store.remove([removal(record)])) == [record.id]
    await store.close()
