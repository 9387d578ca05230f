# ruff: noqa: ASYNC240 (a test may wait for its small file)
# ruff: noqa: PT012 (that a whole block is undone is what some of these tests are about)

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from detent.errors import ConnectionNotSupported, InstanceBusy, OutcomeUnknown, StoreUnavailable
from detent.store.protocol import Store
from detent.testing.store_contract import StoreContract, StoreKit
from detent.testing.store_contract.samples import (
    NOW,
    advance,
    assert_untouched,
    assert_whole,
    created,
    creation,
    step,
)
from examples.own_store.journal_store import JournalStore
from examples.own_store.tests.journals import opened


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
                declines=frozenset({"row_locks", "sharing", "far_signals"}),
            )


def is_in_journal(path: Path, text: str) -> bool:
    """Whether a committed line tells of the note: the file is the truth, whatever the store says."""
    return f'"key":"{text}"' in path.read_text("utf-8")


class Boom(Exception):
    pass


def test_it_is_a_store(path: Path):
    store: Store = JournalStore(path)

    assert store.now().utcoffset() is not None


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
