"""Leases: who holds a run may write, and whoever lost it changes nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

import pytest

from detent.ids import new_id
from detent.json_values import JsonValue
from detent.store.change import MoveRun
from detent.store.protocol import Store
from detent.store.records import Status
from detent.store.run_records import ClaimedRun, Lease, Release, RunStatus
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    JSON_KINDS,
    MINUTE,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    accepted,
    claimed,
    loaded,
    loaded_run,
    step,
    written,
)

Write: TypeAlias = Callable[[Store, Lease, datetime], Awaitable[bool]]
"""A write of a worker under its lease; whether the store took it."""


async def _heartbeat(store: Store, lease: Lease, now: datetime) -> bool:
    return lease.run_id in await store.runs.heartbeat([lease], extend=DAY, now=now)


async def _checkpoint(store: Store, lease: Lease, now: datetime) -> bool:
    return await store.runs.checkpoint(a_checkpoint(lease, queue="other", priority=7), now=now) is not None


async def _last_checkpoint(store: Store, lease: Lease, now: datetime) -> bool:
    return await store.runs.checkpoint(a_checkpoint(lease, release=DAY), now=now) is not None


async def _keep(store: Store, lease: Lease, now: datetime) -> bool:
    return await store.runs.keep(lease, kept={"page": 9}, progress={"fraction": 0.9}, extend=DAY, now=now)


async def _release(store: Store, lease: Lease, now: datetime) -> bool:
    given_back = Release(lease, delay=DAY, error={"code": "late"}, uncount=True)
    return lease.run_id in await store.runs.release([given_back], now=now)


WRITES: dict[str, Write] = {
    "heartbeat": _heartbeat,
    "checkpoint": _checkpoint,
    "a checkpoint that releases": _last_checkpoint,
    "keep": _keep,
    "release": _release,
}
any_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


class LeaseContract:
    """`heartbeat`, `checkpoint`, `keep` and `release`."""

    # -------------------------------------------------------------------------------------------- fenced

    @any_write
    async def test_who_holds_a_run_may_write_until_the_last_moment(self, kit: StoreKit, write: Write) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)

        assert await write(kit.store, held.lease, NOW + MINUTE - TICK)

        after = await loaded_run(kit.store, held.run.id)
        assert after != held.run
        assert after.updated_at == NOW + MINUTE - TICK

    @any_write
    async def test_the_instant_at_which_a_lease_ends_is_too_late(self, kit: StoreKit, write: Write) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)

        assert not await write(kit.store, held.lease, NOW + MINUTE)

        assert await loaded_run(kit.store, held.run.id) == held.run
        assert (await claimed(kit.store, now=NOW + MINUTE)).run.id == held.run.id

    @any_write
    async def test_a_lease_that_another_replaced_is_refused_and_changes_nothing(
        self, kit: StoreKit, write: Write
    ) -> None:
        await accepted(kit.store)
        stale = await claimed(kit.store)
        current = await claimed(kit.store, now=NOW + MINUTE)

        assert not await write(kit.store, stale.lease, NOW + MINUTE + TICK)

        assert await loaded_run(kit.store, stale.run.id) == current.run
        assert await write(kit.store, current.lease, NOW + MINUTE + TICK)

    @any_write
    async def test_a_token_that_was_never_given_is_refused(self, kit: StoreKit, write: Write) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)

        assert not await write(kit.store, Lease(held.run.id, new_id()), NOW)
        assert not await write(kit.store, Lease(new_id(), held.lease.token), NOW)

        assert await loaded_run(kit.store, held.run.id) == held.run

    @any_write
    @pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.RUNNING])
    async def test_who_was_told_to_stop_is_refused(self, kit: StoreKit, write: Write, status: RunStatus) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        await written(kit.store, held.run.instance_id, MoveRun(held.run.id, status, NOW))
        before = await loaded_run(kit.store, held.run.id)

        assert not await write(kit.store, held.lease, NOW + TICK)

        assert await loaded_run(kit.store, held.run.id) == before

    @any_write
    async def test_who_gave_a_run_back_is_refused(self, kit: StoreKit, write: Write) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        await kit.store.runs.release([Release(held.lease)], now=NOW)
        before = await loaded_run(kit.store, held.run.id)

        assert not await write(kit.store, held.lease, NOW + TICK)

        assert await loaded_run(kit.store, held.run.id) == before

    @any_write
    async def test_a_write_of_a_worker_changes_nothing_about_the_instance(self, kit: StoreKit, write: Write) -> None:
        run = await accepted(kit.store)
        before = await loaded(kit.store, run.instance_id)
        held = await claimed(kit.store)

        await write(kit.store, held.lease, NOW + TICK)

        assert await loaded(kit.store, run.instance_id) == before

    @any_write
    async def test_a_write_of_a_worker_changes_no_other_run(self, kit: StoreKit, write: Write) -> None:
        for _ in range(2):
            await accepted(kit.store)
        held, other = await kit.store.runs.claim(a_claim(2), now=NOW)

        await write(kit.store, held.lease, NOW + TICK)

        assert await loaded_run(kit.store, other.run.id) == other.run

    async def test_without_a_given_now_the_stores_clock_says_whether_a_lease_has_ended(self, kit: StoreKit) -> None:
        for queue in ("ended", "held"):
            await accepted(kit.store, queue=queue, available_at=NOW - 9999 * DAY)
        ended = await claimed(kit.store, queues=("ended",), now=kit.store.now() - DAY)
        held = await claimed(kit.store, queues=("held",), now=kit.store.now(), lease=DAY)

        assert list(await kit.store.runs.heartbeat([ended.lease, held.lease], extend=DAY)) == [held.run.id]
        for one, expected in ((ended, False), (held, True)):
            assert await kit.store.runs.keep(one.lease, kept={"page": 1}, extend=DAY) is expected

    # -------------------------------------------------------------------------------------------- heartbeat

    async def test_a_heartbeat_lets_a_lease_end_later(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        now = NOW + MINUTE / 2

        assert list(await kit.store.runs.heartbeat([held.lease], extend=5 * MINUTE, now=now)) == [held.run.id]

        expected = replace(held.run, lease_until=now + 5 * MINUTE, updated_at=now)
        assert await loaded_run(kit.store, held.run.id) == expected
        assert list(await kit.store.runs.claim(a_claim(), now=now + 5 * MINUTE - TICK)) == []
        assert (await claimed(kit.store, now=now + 5 * MINUTE)).run.crashes == 1

    async def test_a_heartbeat_for_many_names_those_that_are_still_held(self, kit: StoreKit) -> None:
        for _ in range(4):
            await accepted(kit.store)
        one, lost, stopped, other = await kit.store.runs.claim(a_claim(4), now=NOW)
        await written(kit.store, stopped.run.instance_id, MoveRun(stopped.run.id, RunStatus.CANCELLED, NOW))
        leases = [one.lease, Lease(lost.run.id, new_id()), stopped.lease, other.lease, Lease(new_id(), new_id())]

        held = await kit.store.runs.heartbeat(leases, extend=DAY, now=NOW)

        assert sorted(held) == sorted([one.run.id, other.run.id])
        assert await loaded_run(kit.store, lost.run.id) == lost.run
        assert list(await kit.store.runs.heartbeat([], extend=DAY, now=NOW)) == []

    # -------------------------------------------------------------------------------------------- checkpoint

    async def test_a_checkpoint_adds_to_the_journal_and_goes_on_with_the_next_command(self, kit: StoreKit) -> None:
        held = await _troubled(kit)
        now = NOW + 3 * MINUTE
        entry = {"command": "charge", "data": {"receipt": 17}}
        checkpoint = a_checkpoint(
            held.lease, entry=entry, position=1, command="ship", queue="parcels", priority=4, extend=DAY
        )

        assert await kit.store.runs.checkpoint(checkpoint, now=now) is Status.ACTIVE

        assert await loaded_run(kit.store, held.run.id) == replace(
            held.run,
            journal=({"command": "before"}, entry),
            command="ship",
            queue="parcels",
            priority=4,
            attempts=1,
            crashes=0,
            kept={},
            progress=None,
            error=None,
            lease_until=now + DAY,
            updated_at=now,
        )
        assert await kit.store.runs.keep(held.lease, extend=DAY, now=now + DAY - TICK)

    async def test_a_checkpoint_may_leave_the_next_command_to_others_later(self, kit: StoreKit) -> None:
        held = await _troubled(kit)
        now = NOW + 3 * MINUTE
        checkpoint = a_checkpoint(held.lease, position=1, command="ship", queue="parcels", priority=4, release=DAY)

        assert await kit.store.runs.checkpoint(checkpoint, now=now) is Status.ACTIVE

        after = await loaded_run(kit.store, held.run.id)
        assert (after.status, after.command, after.queue, after.priority) == (RunStatus.PENDING, "ship", "parcels", 4)
        assert (after.attempts, after.crashes, after.kept, after.progress, after.error) == (0, 0, {}, None, None)
        assert (after.available_at, after.worker) == (now + DAY, "one")
        assert len(after.journal) == 2
        assert list(await kit.store.runs.claim(a_claim(), now=now + DAY - TICK)) == []
        [again] = await kit.store.runs.claim(a_claim(queues=("parcels",)), now=now + DAY)
        assert (again.run.attempts, again.run.crashes) == (1, 0)

    async def test_a_journal_keeps_the_order_of_its_checkpoints(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)

        for number in range(12):
            checkpoint = a_checkpoint(
                held.lease, entry={"number": number}, position=number, command=f"command {number}"
            )
            await kit.store.runs.checkpoint(checkpoint, now=NOW)

        after = await loaded_run(kit.store, held.run.id)
        assert after.journal == tuple({"number": number} for number in range(12))
        assert after.command == "command 11"

    async def test_a_checkpoint_whose_answer_was_missed_may_be_saved_again_and_is_there_once(
        self, kit: StoreKit
    ) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        for position in range(2):
            # The same answer twice in a row is told apart by its place.
            checkpoint = a_checkpoint(held.lease, position=position)
            assert await kit.store.runs.checkpoint(checkpoint, now=NOW) is Status.ACTIVE
            saved = await loaded_run(kit.store, held.run.id)
            assert await kit.store.runs.checkpoint(checkpoint, now=NOW + TICK) is Status.ACTIVE
            assert await loaded_run(kit.store, held.run.id) == saved
            assert len(saved.journal) == position + 1

    @pytest.mark.parametrize("position", [0, 2])
    async def test_a_checkpoint_that_does_not_continue_the_journal_is_refused(
        self, kit: StoreKit, position: int
    ) -> None:
        await accepted(kit.store, journal=({"command": "before"},))
        held = await claimed(kit.store)
        before = await loaded_run(kit.store, held.run.id)

        assert await kit.store.runs.checkpoint(a_checkpoint(held.lease, position=position), now=NOW) is None

        assert await loaded_run(kit.store, held.run.id) == before

    @pytest.mark.parametrize("value", JSON_KINDS.values(), ids=JSON_KINDS.keys())
    async def test_every_kind_of_json_in_a_journal_comes_back_as_it_was(self, kit: StoreKit, value: JsonValue) -> None:
        await accepted(kit.store, journal=({"value": value},))
        held = await claimed(kit.store)

        await kit.store.runs.checkpoint(a_checkpoint(held.lease, entry={"value": value}, position=1), now=NOW)
        await kit.store.runs.keep(held.lease, kept={"value": value}, progress={"value": value}, extend=DAY, now=NOW)

        after = await loaded_run(kit.store, held.run.id)
        assert after.journal == ({"value": value}, {"value": value})
        assert after.kept == after.progress == {"value": value}
        assert type(after.journal[1]["value"]) is type(value)

    @pytest.mark.parametrize("status", Status)
    async def test_a_checkpoint_answers_how_the_instance_stands(self, kit: StoreKit, status: Status) -> None:
        run = await accepted(kit.store)
        held = await claimed(kit.store)
        await kit.store.apply(run.instance_id, lambda record, *_: (step(record, status=status), None))

        assert await kit.store.runs.checkpoint(a_checkpoint(held.lease), now=NOW) is status

        assert len((await loaded_run(kit.store, run.id)).journal) == 1

    async def test_a_run_whose_end_is_left_may_be_claimed_as_any_other(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        checkpoint = a_checkpoint(held.lease, command="", release=timedelta(0))
        await kit.store.runs.checkpoint(checkpoint, now=NOW)

        assert (await claimed(kit.store)).run.command == ""

    # -------------------------------------------------------------------------------------------- keep

    async def test_what_is_kept_is_put_beside_what_was_kept_before(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)

        assert await kit.store.runs.keep(held.lease, kept={"page": 1, "seen": [1]}, extend=DAY, now=NOW + TICK)
        kept = {"page": {"of": 9}, "new": None}
        assert await kit.store.runs.keep(held.lease, kept=kept, extend=2 * DAY, now=NOW + TICK)

        expected = {"page": {"of": 9}, "seen": [1], "new": None}
        assert await loaded_run(kit.store, held.run.id) == replace(
            held.run, kept=expected, lease_until=NOW + TICK + 2 * DAY, updated_at=NOW + TICK
        )

    async def test_progress_is_replaced_where_it_is_given(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        seen = []

        for progress in ({"fraction": 0.1, "message": "begun"}, {"fraction": 0.5}, None):
            assert await kit.store.runs.keep(held.lease, progress=progress, extend=DAY, now=NOW)
            seen.append((await loaded_run(kit.store, held.run.id)).progress)

        assert seen == [{"fraction": 0.1, "message": "begun"}, {"fraction": 0.5}, {"fraction": 0.5}]
        assert (await loaded_run(kit.store, held.run.id)).kept == {}

    async def test_what_was_kept_is_there_for_the_next_attempt(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        await kit.store.runs.keep(held.lease, kept={"page": 3}, progress={"fraction": 0.5}, extend=MINUTE, now=NOW)

        again = await claimed(kit.store, now=NOW + MINUTE)

        assert (again.run.kept, again.run.progress) == ({"page": 3}, {"fraction": 0.5})

    async def test_editing_what_was_handed_to_a_lease_does_not_reach_the_store(self, kit: StoreKit) -> None:
        await accepted(kit.store)
        held = await claimed(kit.store)
        entry, kept, progress, error = {"list": [1]}, {"list": [1]}, {"list": [1]}, {"list": [1]}
        await kit.store.runs.checkpoint(a_checkpoint(held.lease, entry=entry), now=NOW)
        await kit.store.runs.keep(held.lease, kept=kept, progress=progress, extend=MINUTE, now=NOW)
        await kit.store.runs.release([Release(held.lease, error=error)], now=NOW)

        for said in (entry, kept, progress, error):
            said["list"].append(2)

        after = await loaded_run(kit.store, held.run.id)
        assert (after.journal, after.kept, after.progress, after.error) == (
            ({"list": [1]},),
            {"list": [1]},
            {"list": [1]},
            {"list": [1]},
        )

    # -------------------------------------------------------------------------------------------- release

    async def test_a_run_that_is_given_back_waits_for_its_next_attempt(self, kit: StoreKit) -> None:
        held = await _troubled(kit)
        now = NOW + 3 * MINUTE
        error = {"code": "declined", "message": "no money"}

        answer = await kit.store.runs.release([Release(held.lease, delay=DAY, error=error)], now=now)

        assert list(answer) == [held.run.id]
        after = await loaded_run(kit.store, held.run.id)
        assert (after.status, after.available_at, after.error) == (RunStatus.PENDING, now + DAY, error)
        assert (after.attempts, after.crashes, after.worker) == (held.run.attempts, held.run.crashes, "one")
        assert (after.kept, after.progress, after.journal) == (held.run.kept, held.run.progress, held.run.journal)
        assert (after.command, after.queue, after.priority) == (held.run.command, held.run.queue, held.run.priority)
        assert list(await kit.store.runs.claim(a_claim(), now=now + DAY - TICK)) == []
        again = await claimed(kit.store, now=now + DAY)
        assert (again.run.attempts, again.run.crashes) == (held.run.attempts + 1, held.run.crashes)

    async def test_where_nothing_is_said_a_release_is_for_at_once_and_keeps_the_error(self, kit: StoreKit) -> None:
        held = await _troubled(kit)

        await kit.store.runs.release([Release(held.lease)], now=NOW + 3 * MINUTE)

        again = await claimed(kit.store, now=NOW + 3 * MINUTE)
        assert (again.run.id, again.run.error) == (held.run.id, {"code": "declined"})

    async def test_an_attempt_may_count_as_not_started(self, kit: StoreKit) -> None:
        await accepted(kit.store, attempts=2)
        held = await claimed(kit.store)

        await kit.store.runs.release([Release(held.lease, uncount=True)], now=NOW)

        assert (held.run.attempts, (await loaded_run(kit.store, held.run.id)).attempts) == (3, 2)

    async def test_each_release_says_its_own_and_those_still_held_are_named(self, kit: StoreKit) -> None:
        for _ in range(3):
            await accepted(kit.store)
        one, lost, other = await kit.store.runs.claim(a_claim(3), now=NOW)
        releases = [
            Release(one.lease, delay=MINUTE, error={"code": "one"}),
            Release(Lease(lost.run.id, new_id()), delay=2 * MINUTE, error={"code": "lost"}),
            Release(other.lease, delay=DAY, uncount=True),
        ]

        answer = await kit.store.runs.release(releases, now=NOW)

        assert sorted(answer) == sorted([one.run.id, other.run.id])
        first, second, third = [await loaded_run(kit.store, run.run.id) for run in (one, lost, other)]
        assert (first.available_at, first.error, first.attempts) == (NOW + MINUTE, {"code": "one"}, 1)
        assert second == lost.run
        assert (third.available_at, third.error, third.attempts) == (NOW + DAY, None, 0)
        assert list(await kit.store.runs.release([], now=NOW)) == []


async def _troubled(kit: StoreKit) -> ClaimedRun:
    """A held run that has failed and crashed before, in its third minute."""
    await accepted(kit.store, journal=({"command": "before"},), progress={"fraction": 0.5}, error={"code": "declined"})
    first = await claimed(kit.store)
    await kit.store.runs.keep(first.lease, kept={"page": 3}, extend=MINUTE, now=NOW)
    held = await claimed(kit.store, now=NOW + 2 * MINUTE, lease=5 * MINUTE)
    assert (held.run.attempts, held.run.crashes, held.run.kept) == (2, 1, {"page": 3})
    return held
