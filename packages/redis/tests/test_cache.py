"""Reading through Redis: what is answered from there, and that it is never older than it may be."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from detent import Event, MemoryStore, State, WorkflowDefinition, WorkflowRuntime
from detent.errors import InvalidValue, OutcomeUnknown, StoreUnavailable
from detent.ids import new_id
from detent.store.protocol import Store
from detent.store.records import Receipt, WorkflowInstance
from detent.testing.store_contract.samples import (
    NOW,
    advance,
    creation,
    creation_with,
    definition,
    loaded,
    removal,
    step,
)
from detent_redis import CachedStore, invalidation
from detent_redis.encoding import INSTANCES
from detent_redis.invalidation import HELD
from packages.redis.tests.redis_server import RedisServer
from packages.redis.tests.relay import Relay
from packages.redis.tests.standing_in import Counted, Doubtful, DoubtfulLending, Slow

Cached = Callable[..., CachedStore]


@pytest.fixture
def inner() -> Counted:
    return Counted(MemoryStore())


@pytest.fixture
async def cached(client: Redis, prefix: str) -> AsyncIterator[Cached]:
    """Makes stores that share a cache, as processes do, and closes them."""
    async with AsyncExitStack() as made:

        def make(store: Store, **options: Any) -> CachedStore:
            cached = CachedStore(store, client, **{"prefix": prefix} | options)
            made.push_async_callback(cached.close)
            return cached

        yield make


async def an_instance(store: Store, **fields: Any) -> WorkflowInstance:
    change = creation_with(**fields)
    assert await store.create(change) is None
    return change.instance


async def moved(store: Store, record: WorkflowInstance) -> None:
    """A step of the fast path."""
    assert await store.apply(record.id, advance) == record.version + 1


async def test_a_record_is_read_from_the_store_once(inner: Counted, cached: Cached) -> None:
    one, other = cached(inner), cached(inner)
    record = await an_instance(one, context={"a": [1, {"b": None}]})

    assert [await store.load(record.id) for store in (one, other, one)] == [record] * 3
    assert inner.loads == 1


async def test_what_was_answered_may_be_edited(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store, context={"list": [1]})
    for _ in range(3):
        found = await loaded(store, record.id)
        assert found.context == {"list": [1]}
        found.context["list"].append(2)


async def test_that_nothing_was_there_is_not_remembered(inner: Counted, cached: Cached) -> None:
    one, other = cached(inner), cached(inner)
    change = creation()
    assert await one.load(change.instance.id) is None
    await other.create(change)
    assert await one.load(change.instance.id) == change.instance
    assert await one.load(change.instance.id) == change.instance
    assert inner.loads == 2


async def by_transaction(store: Store, record: WorkflowInstance) -> None:
    async with store.transaction(record.id) as unit:
        await unit.write(step(record))


async def by_lending(store: Store, record: WorkflowInstance) -> None:
    async with (
        store.begin() as transaction,  # type: ignore[attr-defined]  # of the memory store behind
        store.lend(transaction),
        store.join(transaction, record.id) as unit,
    ):
        await unit.write(step(record))


async def by_applying_inside(store: Store, record: WorkflowInstance) -> None:
    async with store.begin() as transaction, store.lend(transaction):  # type: ignore[attr-defined]  # as above
        await store.apply(record.id, advance, outside=transaction)


async def by_its_timer(store: Store, record: WorkflowInstance) -> None:
    def fire(found: WorkflowInstance, _: Receipt | None, __: Any) -> Any:
        return step(found), None

    assert await store.fire_due(fire, limit=10, now=NOW)


@pytest.mark.parametrize("move", [moved, by_transaction, by_lending, by_applying_inside, by_its_timer])
async def test_every_way_to_commit_is_seen_by_others_when_it_returns(
    inner: Counted, cached: Cached, move: Callable[[Store, WorkflowInstance], Awaitable[None]]
) -> None:
    one, other = cached(inner), cached(inner)
    record = creation(due=NOW).instance
    await one.create(replace(creation(due=NOW), instance=record))
    assert await other.load(record.id) == record

    await move(one, record)

    assert (await loaded(other, record.id)).version == 2
    assert (await loaded(one, record.id)).version == 2


@pytest.mark.parametrize("lent", [False, True])
async def test_what_is_removed_is_gone_for_others(inner: Counted, cached: Cached, lent: bool) -> None:
    one, other = cached(inner), cached(inner)
    record = await an_instance(one)
    assert await other.load(record.id) == record

    if lent:
        async with one.begin() as transaction, one.lend(transaction):
            await one.remove([removal(record)], outside=transaction)
    else:
        await one.remove([removal(record)])

    assert await other.load(record.id) is None


async def test_a_lent_transaction_is_seen_here_as_soon_as_it_is_committed(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await store.load(record.id)
    async with store.begin() as transaction:
        async with store.join(transaction, record.id) as unit:
            await unit.write(step(record))
        assert (await loaded(store, record.id)).version == 1
        assert (await store.load(record.id, outside=transaction)) is not None
    # Nobody has waited for Redis here.
    assert (await loaded(store, record.id)).version == 2


async def test_what_was_rolled_back_is_not_read(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store)
    with suppress(LookupError):
        async with store.transaction(record.id) as unit:
            await unit.write(step(record))
            raise LookupError
    assert await store.load(record.id) == record


async def test_whoever_is_told_of_a_commit_reads_it(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await store.load(record.id)
    reading: list[asyncio.Task[WorkflowInstance]] = []

    def told(_: int) -> None:
        reading.append(asyncio.create_task(loaded(store, record.id)))

    await store.apply(record.id, advance, after_commit=told)
    assert (await reading[0]).version == 2


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_reader_that_a_commit_overtakes_leaves_nothing(
    inner: Counted, cached: Cached, same_process: bool
) -> None:
    slow = Slow(inner)
    reader = cached(slow)
    writer = reader if same_process else cached(inner)
    record = await an_instance(inner)

    reading = asyncio.create_task(reader.load(record.id))
    await slow.has_read.wait()
    await writer.apply(record.id, advance)
    slow.go_on.set()

    assert await reading == record
    assert (await loaded(writer, record.id)).version == 2


async def test_a_reader_that_was_overtaken_does_not_take_the_place_of_the_next(inner: Counted, cached: Cached) -> None:
    late, next_one = Slow(inner), Slow(inner)
    record = await an_instance(inner)

    overtaken = asyncio.create_task(cached(late).load(record.id))
    await late.has_read.wait()
    await cached(inner).apply(record.id, advance)
    reading = asyncio.create_task(cached(next_one).load(record.id))
    await next_one.has_read.wait()
    # The lease that it finds now is not its own.
    late.go_on.set()
    await overtaken
    assert (await loaded(cached(inner), record.id)).version == 2
    next_one.go_on.set()
    assert await reading == await inner.load(record.id)

    asked = inner.loads
    assert (await loaded(cached(inner), record.id)).version == 2
    assert inner.loads == asked


async def test_nobody_reads_behind_a_commit_that_was_answered(cached: Cached) -> None:
    class Jittery(Counted):
        async def load(self, *args: Any, **options: Any) -> WorkflowInstance | None:
            found = await super().load(*args, **options)
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
            return found

    inner = Jittery(MemoryStore())
    stores = [cached(inner) for _ in range(3)]
    records = [await an_instance(inner) for _ in range(2)]
    committed = {record.id: 1 for record in records}
    seen = 0

    async def write(store: CachedStore) -> None:
        for _ in range(60):
            record = random.choice(records)
            version = await store.apply(record.id, advance)
            committed[record.id] = max(committed[record.id], version)

    async def read(store: CachedStore) -> None:
        nonlocal seen
        for _ in range(150):
            record = random.choice(records)
            least = committed[record.id]
            assert (await loaded(store, record.id)).version >= least
            seen += 1

    await asyncio.gather(*map(write, stores), *map(read, stores), *map(read, stores))
    assert inner.loads < seen


async def test_what_a_process_without_the_cache_commits_is_seen_after_the_ttl(inner: Counted, cached: Cached) -> None:
    store = cached(inner, ttl=timedelta(milliseconds=150))
    record = await an_instance(store)
    assert await store.load(record.id) == record

    await inner.apply(record.id, advance)

    assert await store.load(record.id) == record
    async with asyncio.timeout(10):
        while (await loaded(store, record.id)).version == 1:  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)


async def test_nothing_is_decided_over_what_redis_has(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await store.load(record.id)
    await inner.apply(record.id, advance)
    assert (await loaded(store, record.id)).version == 1

    assert await store.apply(record.id, advance) == 3
    async with store.transaction(record.id) as unit:
        assert unit.record is not None
        assert unit.record.version == 3
    assert (await loaded(store, record.id)).version == 3


async def test_a_removal_that_was_refused_lets_the_next_reader_see_why(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await store.load(record.id)
    await inner.apply(record.id, advance)

    assert not await store.remove([removal(record)])

    assert (await loaded(store, record.id)).version == 2


@pytest.mark.parametrize("locked", [False, True])
async def test_whoever_has_started_a_child_reads_its_parent_anew(inner: Counted, cached: Cached, locked: bool) -> None:
    store = cached(inner)
    parent = await an_instance(store)
    await store.load(parent.id)
    await inner.apply(parent.id, advance)

    change = creation_with(parent_id=parent.id)
    if locked:
        async with store.transaction(None) as unit:
            await unit.write(change)
    else:
        told: list[str] = []
        await store.create(change, after_commit=lambda: told.append("committed"))
        assert told == ["committed"]

    assert (await loaded(store, parent.id)).version == 2


async def test_after_a_commit_of_unknown_end_nobody_fills_the_place(
    inner: Counted, cached: Cached, client: Redis, prefix: str
) -> None:
    writer, reader = cached(Doubtful(inner)), cached(inner)
    record = await an_instance(inner)
    await reader.load(record.id)

    with pytest.raises(OutcomeUnknown):
        await writer.apply(record.id, advance)
    await writer.close()

    assert await client.get(f"{prefix}instance:{record.id}") == HELD
    asked = inner.loads
    assert [(await loaded(reader, record.id)).version for _ in range(2)] == [2, 2]
    assert inner.loads == asked + 2


async def test_a_step_that_wrote_nothing_does_not_open_a_place_that_is_kept_empty(
    inner: Counted, cached: Cached, client: Redis, prefix: str
) -> None:
    doubting, other = cached(Doubtful(inner)), cached(inner)
    record = await an_instance(inner)
    with pytest.raises(OutcomeUnknown):
        await doubting.apply(record.id, advance)
    await doubting.close()

    async with other.transaction(record.id):
        pass
    await other.remove([removal(record)])

    assert await client.get(f"{prefix}instance:{record.id}") == HELD


@pytest.mark.parametrize("joined", [True, False])
async def test_after_a_lent_commit_of_unknown_end_nobody_fills_the_place(
    inner: Counted, cached: Cached, client: Redis, prefix: str, joined: bool
) -> None:
    store = cached(DoubtfulLending(inner))
    record = await an_instance(inner)
    await store.load(record.id)

    with pytest.raises(StoreUnavailable):
        await (by_lending if joined else by_applying_inside)(store, record)
    await store.close()

    assert await client.get(f"{prefix}instance:{record.id}") == HELD


async def test_a_step_that_is_cut_off_in_its_commit_leaves_nothing_old(inner: Counted, cached: Cached) -> None:
    one, other = cached(inner), cached(inner)
    record = await an_instance(inner)
    await other.load(record.id)

    def cut_off(_: int) -> None:
        task.cancel()

    task = asyncio.create_task(one.apply(record.id, advance, after_commit=cut_off))
    await asyncio.wait([task])
    await one.close()

    assert (await loaded(other, record.id)).version == 2


async def test_a_definition_is_read_from_the_store_once_and_again_after_it_was_saved(
    inner: Counted, cached: Cached
) -> None:
    store = cached(inner)
    snapshot = definition()
    assert await store.load_definition(snapshot.workflow, "1") is None
    await store.save_definitions([snapshot])
    for _ in range(3):
        assert await store.load_definition(snapshot.workflow, "1") == snapshot
    assert inner.definitions == 2
    await store.save_definitions([snapshot])
    assert await store.load_definition(snapshot.workflow, "1") == snapshot
    assert inner.definitions == 3


async def test_names_with_colons_are_not_mixed_up(inner: Counted, cached: Cached) -> None:
    store = cached(inner)
    one, other = definition("b:c", workflow="a"), definition("c", workflow="a:b")
    await store.save_definitions([one, other])
    for _ in range(2):
        assert await store.load_definition("a", "b:c") == one
        assert await store.load_definition("a:b", "c") == other


async def test_a_definition_of_another_database_is_not_read_with_another_prefix(cached: Cached) -> None:
    here, there = MemoryStore(), MemoryStore()
    snapshot = definition()
    await here.save_definitions([snapshot])
    await there.save_definitions([replace(snapshot, fingerprint="beef")])
    one, other = cached(here, prefix="test-here:"), cached(there, prefix="test-there:")
    for _ in range(2):
        assert await one.load_definition(snapshot.workflow, "1") == snapshot
        assert (await other.load_definition(snapshot.workflow, "1")) != snapshot


@pytest.mark.parametrize("left", ["", "v", "lonely", "no JSON", b"\xff", INSTANCES.mark, INSTANCES.mark + b"{}"])
async def test_what_somebody_else_left_under_a_key_is_not_read(
    inner: Counted, cached: Cached, client: Redis, prefix: str, left: str | bytes
) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await client.set(f"{prefix}instance:{record.id}", left, ex=60)
    assert await store.load(record.id) == record
    assert await store.load(record.id) == record


async def test_a_record_of_another_release_is_replaced(
    inner: Counted, cached: Cached, client: Redis, prefix: str
) -> None:
    store = cached(inner)
    record = await an_instance(store)
    await store.load(record.id)
    key = f"{prefix}instance:{record.id}"
    text: Any = await client.get(key)
    await client.set(key, text.replace(INSTANCES.mark, b"vffffffff:"), ex=60)

    assert [await store.load(record.id) for _ in range(2)] == [record] * 2
    assert await client.get(key) == text
    assert inner.loads == 2


async def test_a_client_may_decode_what_it_reads(inner: Counted, redis_url: str, prefix: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as given:
        store = CachedStore(inner, given, prefix=prefix)
        record = await an_instance(store, context={"name": "Zoë 🜁"})
        assert [await store.load(record.id) for _ in range(2)] == [record] * 2
        assert inner.loads == 1
        await store.close()
        assert await given.ping()


@pytest.mark.parametrize("ttl", ["0s", "-1s", 60, "soon"])
async def test_a_ttl_that_is_none_is_refused(inner: Counted, nowhere: str, ttl: Any) -> None:
    with pytest.raises(InvalidValue, match="ttl"):
        CachedStore(inner, nowhere, ttl=ttl)


async def test_without_redis_the_store_answers_and_one_line_says_so(
    inner: Counted, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CachedStore(inner, nowhere)
    record = await an_instance(store)
    for version in range(1, 4):
        assert (await loaded(store, record.id)).version == version
        await store.apply(record.id, advance)
    await store.close()

    said = [entry.getMessage() for entry in caplog.records]
    assert [line.partition(":")[0] for line in said] == [
        "Redis cannot be reached, and everything is read from the store",
        "1 entries in Redis may be out of date until they end",
    ]


async def until_cached(store: CachedStore, inner: Counted, record: WorkflowInstance) -> None:
    """Return when a record is answered without asking the store, always in its second version."""
    async with asyncio.timeout(20):
        asked = -1
        while inner.loads != asked:
            asked = inner.loads
            assert (await loaded(store, record.id)).version == 2
            await asyncio.sleep(0.01)


async def test_a_redis_that_hangs_holds_nobody_up_for_long(inner: Counted, own_server: RedisServer) -> None:
    store = CachedStore(inner, own_server.url)
    record = await an_instance(store)
    await store.load(record.id)
    own_server.freeze()
    async with asyncio.timeout(10):
        assert await store.load(record.id) == record
        await store.apply(record.id, advance)
        assert (await loaded(store, record.id)).version == 2
    own_server.thaw()
    await until_cached(store, inner, record)
    await store.close()


async def test_the_cache_is_used_again_after_redis_was_killed(inner: Counted, own_server: RedisServer) -> None:
    store = CachedStore(inner, own_server.url)
    record = await an_instance(store)
    await store.load(record.id)
    own_server.kill()
    await store.apply(record.id, advance)
    assert (await loaded(store, record.id)).version == 2
    own_server.start()
    await until_cached(store, inner, record)
    await store.close()


async def test_more_commits_than_are_remembered_are_not_read_behind(
    inner: Counted, own_server: RedisServer, operator: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidation, "_MARKS", 3)
    store = CachedStore(inner, own_server.url.replace("redis://", "redis://writer:secret@"))
    records = [await an_instance(inner) for _ in range(5)]
    for record in records:
        await store.load(record.id)

    await operator.execute_command("ACL", "SETUSER", "writer", "-@all")
    for record in records:
        await store.apply(record.id, advance)
    await operator.execute_command("ACL", "SETUSER", "writer", "+@all")
    async with asyncio.timeout(20):
        while await operator.exists(f"detent:instance:{records[-1].id}"):  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    # By now the store knows that Redis is back.
    for _ in range(5):
        await operator.ping()

    assert [(await loaded(store, record.id)).version for record in records] == [2] * 5
    await store.close()


async def test_a_lease_whose_answer_was_lost_is_kept(inner: Counted, relay: Relay, prefix: str) -> None:
    store = CachedStore(inner, relay.url, prefix=prefix)
    first, second = await an_instance(inner), await an_instance(inner)
    await store.load(first.id)
    relay.lose()
    assert [await store.load(second.id) for _ in range(2)] == [second] * 2

    assert relay.lost == 1
    assert inner.loads == 2
    await store.close()


@pytest.fixture
async def operator(own_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_server.url) as operator:
        await operator.execute_command("ACL", "SETUSER", "writer", "on", ">secret", "~*", "&*", "+@all")
        yield operator


async def test_what_could_not_be_taken_out_is_taken_out_when_redis_is_back(
    inner: Counted, own_server: RedisServer, operator: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    address = own_server.url.replace("redis://", "redis://writer:secret@")
    writer, reader = CachedStore(inner, address), CachedStore(inner, own_server.url)
    record = await an_instance(inner)
    await reader.load(record.id)

    await operator.execute_command("ACL", "SETUSER", "writer", "-@all")
    await writer.apply(record.id, advance)
    # Others read what they had, for as long as the ttl allows it; whoever has committed does not.
    assert (await loaded(reader, record.id)).version == 1
    assert (await loaded(writer, record.id)).version == 2
    await operator.execute_command("ACL", "SETUSER", "writer", "+@all")

    async with asyncio.timeout(20):
        while (await loaded(reader, record.id)).version == 1:  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    await writer.close()
    await reader.close()
    assert "secret" not in caplog.text


async def test_what_was_left_when_it_was_closed_is_taken_out_when_it_is_opened_again(
    inner: Counted, own_server: RedisServer, operator: Redis
) -> None:
    address = own_server.url.replace("redis://", "redis://writer:secret@")
    writer, reader = CachedStore(inner, address), CachedStore(inner, own_server.url)
    record = await an_instance(inner)
    await reader.load(record.id)
    await operator.execute_command("ACL", "SETUSER", "writer", "-@all")
    await writer.open()
    await writer.apply(record.id, advance)
    await writer.close()
    await operator.execute_command("ACL", "SETUSER", "writer", "+@all")

    await writer.open()
    async with asyncio.timeout(20):
        while (await loaded(reader, record.id)).version == 1:  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    await writer.close()
    await reader.close()


async def test_a_runtime_reads_through_redis(inner: Counted, cached: Cached) -> None:
    states = {"shut": State(events={"open": Event(target="open")}), "open": State()}
    door = WorkflowDefinition(name="door", initial_state="shut", states=states)
    async with WorkflowRuntime(store=cached(inner), definitions=[door]) as runtime:
        instance = await runtime.create_instance("door")
        for _ in range(3):
            assert (await runtime.get_instance(instance.id)).id == instance.id
        assert (await runtime.cancel(instance.id)).status == "cancelled"
        assert (await runtime.get_instance(instance.id)).status == "cancelled"
    assert inner.loads == 2
    assert await cached(inner).load(new_id()) is None
