# ruff: noqa: ASYNC240 (a test may wait for its small file)
# ruff: noqa: PT012 (that a whole block is undone is what some of these tests are about)

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from detent import Event, State, WorkflowDefinition, WorkflowRuntime
from detent.errors import ConnectionNotSupported, InstanceBusy, OutcomeUnknown, StoreUnavailable
from detent.ids import new_id
from detent.store.protocol import Store
from detent.testing.store_contract import StoreContract, StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    definition,
    keyed_step,
    receipt_key,
    removal,
    sequences,
    step,
)
from examples.own_store.journal_store import JournalStore

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def opened(path: Path, *, lock_timeout: float = 3.0) -> AsyncIterator[JournalStore]:
    store = JournalStore(path, lock_timeout=lock_timeout)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.journal"


class TestJournalStore(StoreContract):
    @pytest.fixture
    async def kit(self, path: Path) -> AsyncIterator[StoreKit]:
        async def note(connection: Any, text: str) -> None:
            connection.put(text, True)

        async def noted(text: str) -> bool:
            return await asyncio.to_thread(is_in_journal, path, text)

        async with opened(path) as store:
            yield StoreKit(
                store=store,
                lend=store.begin,
                savepoint=lambda outside: outside.savepoint(),
                note=note,
                noted=noted,
                declines=frozenset({"row_locks", "sharing"}),
            )


def is_in_journal(path: Path, text: str) -> bool:
    """Whether a committed line tells of the note: the file is the truth, whatever the store says."""
    return f'"key":"{text}"' in path.read_text("utf-8")


class Boom(Exception):
    pass


def test_it_is_a_store(path: Path):
    store: Store = JournalStore(path)

    assert store.now().utcoffset() is not None


# ------------------------------------------------------------------------------------------------ a new object, the same file


async def test_everything_is_there_when_the_file_is_opened_again(path: Path):
    key, snapshots = receipt_key(), [definition("1", workflow="order"), definition("2", workflow="order")]
    async with opened(path) as store:
        record = await created(store, creation(key=key, context=dict(JSON_KINDS), due=NOW, hops=2))
        gone = await created(store, creation(key=receipt_key()))
        await store.remove([removal(gone, document={"kept": [1]})])
        await store.save_definitions(snapshots)
        history = await store.history(record.id, limit=10)
        existing = await store.recall(key, now=NOW)
        async with store.begin() as transaction:
            transaction.put("note", {"list": [1]})

    async with opened(path) as store:
        assert await store.load(record.id) == record
        assert await store.history(record.id, limit=10) == history
        assert await store.recall(key, now=NOW) == existing
        assert await store.load(gone.id) is None
        assert await store.load_archived(gone.id) == removal(gone, document={"kept": [1]}).entry
        assert await store.list_definitions(["order"]) == snapshots
        assert await store.fire_due(advance, limit=10, now=NOW) == [(record.id, 4)]
        async with store.begin() as transaction:
            assert transaction.get("note") == {"list": [1]}


async def test_what_was_pruned_stays_pruned(path: Path):
    key = receipt_key()
    async with opened(path) as store:
        record = await created(store, creation(key=key, lasts=DAY))
        await store.apply(record.id, lambda current, *_: (step(current, now=NOW + 2 * DAY), None))
        assert await store.prune_history([record.id], before=NOW + DAY) == 1
        assert await store.prune_receipts(limit=10, now=NOW + DAY) == 1

    async with opened(path) as store:
        assert await sequences(store, record.id) == [2]
        assert await store.recall(key, now=NOW) is None


async def test_what_was_undone_is_not_in_the_file(path: Path):
    async with opened(path) as store:
        record = await created(store)
        before = path.read_bytes()
        with pytest.raises(Boom):
            async with store.transaction(record.id) as unit:
                await unit.write(step(record))
                raise Boom
        assert path.read_bytes() == before

    async with opened(path) as store:
        await assert_untouched(store, record)


async def test_a_commit_is_one_line_and_a_step_that_wrote_nothing_is_none(path: Path):
    async with opened(path) as store:
        record = await created(store, creation(key=receipt_key(), hops=3))
        await store.apply(record.id, lambda *_: (None, None))

    assert path.read_bytes().count(b"\n") == 1


async def test_a_runtime_goes_on_after_a_restart(path: Path):
    door = WorkflowDefinition(
        name="door",
        initial_state="shut",
        states={"shut": State(events={"open": Event(target="open")}), "open": State()},
    )
    async with WorkflowRuntime(store=JournalStore(path), definitions=[door]) as runtime:
        instance = await runtime.create_instance("door")

    async with WorkflowRuntime(store=JournalStore(path), definitions=[door]) as runtime:
        assert (await runtime.trigger_event(instance.id, "open")).to_state == "open"


# ------------------------------------------------------------------------------------------------ opening, closing


async def test_opening_twice_needs_closing_twice(path: Path):
    store = JournalStore(path)
    await store.open()
    await store.open()
    await store.close()
    record = await created(store)
    await store.close()

    for call in (store.load(record.id), store.create(creation())):
        with pytest.raises(StoreUnavailable, match="not open"):
            await call
    await store.close()


async def test_a_file_that_another_store_has_open_is_unavailable(path: Path):
    async with opened(path):
        with pytest.raises(StoreUnavailable):
            await JournalStore(path).open()


@pytest.mark.parametrize("damage", [b"no JSON\n", b'[{"kind":"unheard of"}]\n'])
async def test_a_whole_line_that_cannot_be_read_is_refused_and_left_as_it_is(path: Path, damage: bytes):
    path.write_bytes(damage)

    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            await JournalStore(path).open()
    assert path.read_bytes() == damage


async def test_a_step_that_waits_too_long_for_the_writer_is_busy(path: Path):
    async with opened(path, lock_timeout=0.01) as store:
        record = await created(store, creation(due=NOW))
        async with store.begin() as transaction:
            with pytest.raises(InstanceBusy):
                await store.apply(record.id, advance)
            with pytest.raises(StoreUnavailable):
                await store.create(creation())
            assert await store.fire_due(advance, limit=1, now=NOW) == []
        with pytest.raises(ConnectionNotSupported):
            await store.load(record.id, outside=transaction)


async def test_a_step_that_outlives_the_store_is_not_applied(path: Path):
    async with opened(path, lock_timeout=0.01) as store:
        record = await created(store)
        with pytest.raises(StoreUnavailable):
            async with store.transaction(record.id) as unit:
                await unit.write(step(record))
                await store.close()

    async with opened(path) as store:
        await assert_untouched(store, record)


async def test_a_savepoint_around_a_commit_has_nothing_to_undo(path: Path):
    async with opened(path) as store:
        record = await created(store)
        with pytest.raises(Boom):
            async with store.begin() as transaction, transaction.savepoint():
                async with store.lend(transaction), store.join(transaction, record.id) as unit:
                    await unit.write(step(record))
                raise Boom
        assert await store.apply(record.id, advance) == 3
        assert await assert_whole(store, record.id) == 3


# ------------------------------------------------------------------------------------------------ the disk


async def test_nothing_is_seen_or_answered_before_the_disk_has_it(path: Path, monkeypatch: pytest.MonkeyPatch):
    loop, real, seen = asyncio.get_running_loop(), os.fsync, []

    async with opened(path) as store:
        record = await created(store)

        def look_and_sync(descriptor: int) -> None:
            committed = asyncio.run_coroutine_threadsafe(store.load(record.id), loop).result(timeout=10)
            seen.append((committed, path.read_bytes().count(b"\n")))
            real(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", look_and_sync)
            assert await store.apply(record.id, advance) == 2

    assert seen == [(record, 2)]


async def test_a_line_that_the_disk_refuses_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch):
    real, failures = os.fsync, iter([True])

    def fail_once(descriptor: int) -> None:
        if next(failures, False):
            raise OSError("the disk is full")
        real(descriptor)

    called: list[str] = []
    async with opened(path) as store:
        record = await created(store)
        before = path.read_bytes()
        with monkeypatch.context() as patched, pytest.raises(StoreUnavailable, match="full"):
            patched.setattr(os, "fsync", fail_once)
            async with store.transaction(record.id) as unit:
                unit.after_commit(lambda: called.append("never"))
                await unit.write(step(record))
        assert path.read_bytes() == before
        await assert_untouched(store, record)
        assert await store.apply(record.id, advance) == 2
    assert called == []


async def test_a_line_that_cannot_be_taken_back_leaves_the_outcome_unknown(path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(_descriptor: int) -> None:
        raise OSError("the disk is gone")

    async with opened(path) as store:
        record = await created(store)
        with monkeypatch.context() as patched, pytest.raises(OutcomeUnknown) as caught:
            patched.setattr(os, "fsync", fail)
            await store.apply(record.id, advance)
        assert (caught.value.instance_id, caught.value.version_before) == (record.id, 1)
        with pytest.raises(StoreUnavailable, match="open the store again"):
            await store.apply(record.id, advance)

    async with opened(path) as store:
        assert await store.apply(record.id, advance) == await assert_whole(store, record.id)


# ------------------------------------------------------------------------------------------------ a process that dies


@pytest.mark.parametrize("length", [1, 20, -2])
async def test_a_torn_last_line_is_ignored_and_cut_off(path: Path, length: int):
    async with opened(path) as store:
        record = await created(store)
        whole = path.read_bytes()
        await store.apply(record.id, advance)
    torn = path.read_bytes()[len(whole) :][:length]
    path.write_bytes(whole + torn)

    async with opened(path) as store:
        assert path.read_bytes() == whole
        await assert_untouched(store, record)
        assert await store.apply(record.id, advance) == 2

    async with opened(path) as store:
        assert await assert_whole(store, record.id) == 2


@pytest.mark.parametrize(("how", "versions"), [("half written", {3}), ("written", {3, 4})])
async def test_a_process_killed_in_mid_commit_loses_nothing_that_was_answered(path: Path, how: str, versions: set[int]):
    instance_id = new_id()

    printed = await killed_after_printing("committing", path, instance_id, how)

    assert printed == ["1", "2", "3", "committing"]
    async with opened(path) as store:
        version = await assert_whole(store, instance_id)
        assert version in versions
        assert await store.apply(instance_id, advance) == version + 1


async def test_a_process_killed_at_any_moment_loses_nothing_that_was_answered(path: Path):
    instance_id = new_id()

    printed = await killed_after_printing("20", path, instance_id, "never")

    async with opened(path) as store:
        assert await assert_whole(store, instance_id) >= int(printed[-1])


async def killed_after_printing(line: str, path: Path, instance_id: UUID, how: str) -> list[str]:
    """What another process printed that writes to the journal, and is killed once it has printed `line`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.own_store.tests.journal_writer", str(path), str(instance_id), how),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        async with asyncio.timeout(60):
            while line not in printed:
                text = await process.stdout.readline()
                assert text, f"the writer ended after {printed}"
                printed.append(text.decode().strip())
    finally:
        process.kill()
        rest = (await process.stdout.read()).decode().split()
        await process.wait()
    return printed + rest


async def test_a_key_answered_before_a_restart_is_answered_after_it(path: Path):
    async with opened(path) as store:
        record = await created(store)
        key = receipt_key(scope=str(record.id))
        change = keyed_step(record, key)
        await store.apply(record.id, lambda *_: (change, None))

    async with opened(path) as store, store.transaction(record.id, key=key, now=NOW) as unit:
        assert unit.receipt == change.effects[0].receipt
