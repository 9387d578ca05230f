"""Claims: whose turn it is, in which order, and never the same run for two."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from detent.ids import new_id
from detent.store.change import MoveRun
from detent.store.records import Status
from detent.store.run_records import ClaimedRun, FetchStrategy, Release, RunClaim, RunStatus, Throttle
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import (
    DAY,
    MINUTE,
    NOW,
    TICK,
    a_checkpoint,
    a_claim,
    accepted,
    claimed,
    created,
    creation,
    creation_with,
    loaded,
    loaded_run,
    step,
    within,
    written,
)


class ClaimContract:
    """`claim` takes runs, and keeps throttles."""

    # -------------------------------------------------------------------------------------------- whose turn it is

    async def test_where_nothing_waits_nothing_is_claimed(self, kit: StoreKit) -> None:
        assert await _taken(kit, a_claim(9)) == []

    async def test_a_claimed_run_is_held_under_a_token_until_its_lease_ends(self, kit: StoreKit) -> None:
        run = await accepted(kit.store, available_at=NOW - DAY)

        [taken] = await kit.store.runs.claim(a_claim(9, worker="two", lease=3 * MINUTE), now=NOW)

        assert taken.run.lease_token is not None
        expected = replace(
            run,
            status=RunStatus.RUNNING,
            attempts=1,
            lease_token=taken.run.lease_token,
            lease_until=NOW + 3 * MINUTE,
            worker="two",
            updated_at=NOW,
        )
        assert taken.run == expected
        assert await loaded_run(kit.store, run.id) == expected

    async def test_a_claimed_run_comes_with_its_instance_as_it_is(self, kit: StoreKit) -> None:
        run = await accepted(kit.store, creation(context={"total": [1]}, hops=2))
        await kit.store.apply(run.instance_id, lambda record, *_: (step(record, context={"total": [1, 2]}), None))

        taken = await claimed(kit.store)

        assert taken.instance == await loaded(kit.store, run.instance_id)

    async def test_a_claim_changes_nothing_about_the_instance(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        before = await loaded(kit.store, run.instance_id)

        await claimed(kit.store)

        assert await loaded(kit.store, run.instance_id) == before

    @pytest.mark.parametrize(("shift", "count"), [(-1, 0), (0, 1), (1, 1)])
    async def test_a_run_is_claimed_when_its_instant_has_come(self, kit: StoreKit, shift: int, count: int) -> None:
        await accepted(kit.store, available_at=NOW)

        assert len(await _taken(kit, a_claim(9), NOW + shift * TICK)) == count

    async def test_without_a_given_now_the_stores_clock_says_whose_turn_it_is(self, kit: StoreKit) -> None:
        come = await accepted(kit.store, available_at=kit.store.now() - DAY)
        await accepted(kit.store, available_at=kit.store.now() + DAY)

        [taken] = await kit.store.runs.claim(a_claim(9, lease=DAY))

        assert taken.run.id == come.id
        assert taken.run.lease_until is not None
        assert abs(taken.run.lease_until - DAY - kit.store.now()) < 5 * MINUTE

    @pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.PENDING])
    async def test_a_run_that_does_not_wait_is_not_claimed(self, kit: StoreKit, status: RunStatus) -> None:
        if status is RunStatus.RUNNING:
            await accepted(kit.store)
            await claimed(kit.store, lease=2 * DAY)
        else:
            await accepted(kit.store, status=status)

        assert await _taken(kit, a_claim(9), NOW + DAY) == []

    @pytest.mark.parametrize(("shift", "count"), [(-1, 0), (0, 1), (1, 1)])
    async def test_a_run_whose_lease_has_ended_is_claimed_by_another(
        self, kit: StoreKit, shift: int, count: int
    ) -> None:
        await accepted(kit.store)
        first = await claimed(kit.store)

        taken = await kit.store.runs.claim(a_claim(9, worker="two"), now=NOW + MINUTE + shift * TICK)

        assert [(one.run.id, one.run.worker) for one in taken] == [(first.run.id, "two")] * count
        assert all(one.lease.token != first.lease.token for one in taken)

    async def test_attempts_count_every_claim_and_crashes_those_after_a_lease_that_ended(self, kit: StoreKit) -> None:
        await accepted(kit.store)

        first = await claimed(kit.store)
        second = await claimed(kit.store, now=NOW + MINUTE)
        await kit.store.runs.release([Release(second.lease)], now=NOW + MINUTE)
        third = await claimed(kit.store, now=NOW + MINUTE)
        fourth = await claimed(kit.store, now=NOW + 3 * MINUTE)

        counts = [(one.run.attempts, one.run.crashes) for one in (first, second, third, fourth)]
        assert counts == [(1, 0), (2, 1), (3, 1), (4, 2)]

    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTIVE])
    @pytest.mark.parametrize("lost", [False, True], ids=["waiting", "its lease ended"])
    async def test_runs_of_instances_that_are_not_active_are_left(
        self, kit: StoreKit, status: Status, lost: bool
    ) -> None:
        run = await accepted(kit.store)
        if lost:
            await claimed(kit.store)
        await kit.store.apply(run.instance_id, lambda record, *_: (step(record, status=status), None))
        before = await loaded_run(kit.store, run.id)

        assert await _taken(kit, a_claim(9), NOW + DAY) == []
        assert await loaded_run(kit.store, run.id) == before

        await kit.store.apply(run.instance_id, lambda record, *_: (step(record, status=Status.ACTIVE), None))
        assert await _taken(kit, a_claim(9), NOW + DAY) == [run.id]

    async def test_a_run_whose_change_is_not_committed_is_not_claimed(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)

        async with within(), asyncio.TaskGroup() as tasks, kit.store.transaction(run.instance_id, now=NOW) as unit:
            assert await unit.lock_run(run.id) == run
            waiting = tasks.create_task(kit.store.runs.claim(a_claim(9), now=NOW))
            await asyncio.sleep(0)
            assert unit.record is not None
            ended = MoveRun(run.id, RunStatus.CANCELLED, NOW, reason="withdrawn")
            await unit.write(step(replace(unit.record, run_id=None), effects=(ended,)))

        assert list(waiting.result()) == []
        assert (await loaded_run(kit.store, run.id)).status is RunStatus.CANCELLED

    async def test_a_step_locks_a_run_of_its_own_instance_only(self, kit: StoreKit) -> None:
        run, other = await accepted(kit.store), await accepted(kit.store)

        async with kit.store.transaction(run.instance_id) as unit:
            assert await unit.lock_run(run.id) == run
            assert await unit.lock_run(other.id) is None
            assert await unit.lock_run(new_id()) is None
        async with kit.lend() as outside, kit.store.join(outside, run.instance_id) as unit:
            assert await unit.lock_run(run.id) == run

        assert len(await _taken(kit, a_claim(9))) == 2

    # -------------------------------------------------------------------------------------------- in which order

    async def test_the_highest_priority_comes_first_and_then_the_longest_available(self, kit: StoreKit) -> None:
        wanted = [(5, -DAY), (5, 0 * DAY), (0, -3 * DAY), (0, -2 * DAY), (-1, -9 * DAY)]
        for priority, shift in (wanted[3], wanted[1], wanted[4], wanted[0], wanted[2]):
            await accepted(kit.store, priority=priority, available_at=NOW + shift)

        taken = [one for limit in (1, 3, 9) for one in await kit.store.runs.claim(a_claim(limit), now=NOW)]

        assert [(one.run.priority, one.run.available_at - NOW) for one in taken] == wanted

    @pytest.mark.parametrize("strategy", FetchStrategy)
    async def test_the_highest_priority_comes_first_whatever_the_strategy(
        self, kit: StoreKit, strategy: FetchStrategy
    ) -> None:
        for priority, shift in ((0, -9 * DAY), (5, -DAY), (5, -2 * DAY), (0, 0 * DAY), (-1, -DAY)):
            await accepted(kit.store, priority=priority, available_at=NOW + shift)

        taken = [one for _ in range(5) for one in await kit.store.runs.claim(a_claim(strategy=strategy), now=NOW)]

        assert [one.run.priority for one in taken] == [5, 5, 0, 0, -1]

    async def test_of_the_same_priority_the_newest_is_the_one_that_became_available_last(self, kit: StoreKit) -> None:
        shifts = [-2 * DAY, 0 * DAY, -DAY, DAY, -3 * DAY]
        runs = {shift: (await accepted(kit.store, available_at=NOW + shift)).id for shift in shifts}
        claim = a_claim(strategy=FetchStrategy.NEWEST)

        taken = [await _taken(kit, replace(claim, limit=limit)) for limit in (1, 2, 9)]

        assert taken == [[runs[0 * DAY]], [runs[-DAY], runs[-2 * DAY]], [runs[-3 * DAY]]]

    async def test_of_those_that_are_equally_new_the_one_with_the_highest_id_comes_first(self, kit: StoreKit) -> None:
        runs = [(await accepted(kit.store)).id for _ in range(4)]

        assert await _taken(kit, a_claim(9, strategy=FetchStrategy.NEWEST)) == sorted(runs, reverse=True)
        assert await _taken(kit, a_claim(9), NOW + MINUTE) == sorted(runs)

    async def test_a_random_claim_takes_any_of_those_that_fit_and_each_of_them_once(self, kit: StoreKit) -> None:
        runs = [(await accepted(kit.store)).id for _ in range(8)]
        later = await accepted(kit.store, available_at=NOW + DAY)
        claim = a_claim(strategy=FetchStrategy.RANDOM)

        first: set[UUID] = set()
        for _ in range(60):
            # Each of the eight is as likely: that half of them stay away from sixty draws happens once in 10^16 times.
            [one] = await kit.store.runs.claim(claim, now=NOW)
            first.add(one.run.id)
            await kit.store.runs.release([Release(one.lease, uncount=True)], now=NOW)
        rest = [run_id for limit in (1, 3, 9) for run_id in await _taken(kit, replace(claim, limit=limit))]

        assert len(first) > 4
        assert sorted(rest) == sorted(runs)
        assert later.id not in rest

    @pytest.mark.parametrize("strategy", FetchStrategy)
    async def test_of_many_who_claim_at_once_by_a_strategy_no_two_get_the_same_run(
        self, kit: StoreKit, strategy: FetchStrategy
    ) -> None:
        runs = {(await accepted(kit.store, state="there")).id for _ in range(12)}
        taken: list[UUID] = []

        async def work() -> None:
            while len(taken) < len(runs):
                taken.extend(await _taken(kit, a_claim(2, strategy=strategy, states=("there",), lease=DAY)))
                await asyncio.sleep(0)

        async with within():
            await asyncio.gather(*(work() for _ in range(4)))

        assert sorted(taken) == sorted(runs)

    @pytest.mark.parametrize("strategy", FetchStrategy)
    async def test_a_run_whose_lease_has_ended_is_taken_over_whatever_the_strategy(
        self, kit: StoreKit, strategy: FetchStrategy
    ) -> None:
        run = await accepted(kit.store)
        claim = a_claim(9, strategy=strategy)

        assert [await _taken(kit, claim, NOW + n * MINUTE / 2) for n in range(3)] == [[run.id], [], [run.id]]

    async def test_no_more_than_the_limit_are_claimed(self, kit: StoreKit) -> None:
        for _ in range(5):
            await accepted(kit.store)

        assert [len(await _taken(kit, a_claim(2))) for _ in range(4)] == [2, 2, 1, 0]

    async def test_of_many_who_claim_at_once_no_two_get_the_same_run(self, kit: StoreKit) -> None:
        runs = {(await accepted(kit.store)).id for _ in range(20)}
        taken: list[ClaimedRun] = []

        async def work(worker: str) -> None:
            # What another is just claiming is passed over, so an empty batch may come before the end.
            while len(taken) < len(runs):
                taken.extend(await kit.store.runs.claim(a_claim(3, worker=worker), now=NOW))
                await asyncio.sleep(0)

        async with within():
            await asyncio.gather(*(work(f"worker {number}") for number in range(6)))

        assert sorted(one.run.id for one in taken) == sorted(runs)
        assert len({one.lease.token for one in taken}) == len(runs)
        for one in taken:
            assert await loaded_run(kit.store, one.run.id) == one.run

    async def test_of_many_who_take_over_at_once_one_does(self, kit: StoreKit) -> None:
        run = await accepted(kit.store)
        await claimed(kit.store)

        async with within():
            claims = [kit.store.runs.claim(a_claim(3), now=NOW + MINUTE) for _ in range(8)]
            answers = await asyncio.gather(*claims)

        [winner] = [one for answer in answers for one in answer]
        assert (winner.run.attempts, winner.run.crashes) == (2, 1)
        assert await loaded_run(kit.store, run.id) == winner.run

    # -------------------------------------------------------------------------------------------- for whom

    async def test_a_claim_takes_only_what_it_asks_for(self, kit: StoreKit) -> None:
        packed = {"queue": "parcels", "state": "packed"}
        plain = (await accepted(kit.store)).id
        parcel = (await accepted(kit.store, creation_with(workflow="return", tenant="acme"), **packed)).id
        newer = (await accepted(kit.store, creation_with(definition_version="2", tenant="globex"), queue="Default")).id

        wanted: list[tuple[dict[str, Any], list[UUID]]] = [
            ({}, [plain, parcel, newer]),
            ({"queues": ("parcels",)}, [parcel]),
            ({"queues": ("parcels", "default")}, [plain, parcel]),
            ({"queues": ()}, []),
            ({"queues": ("PARCELS",)}, []),
            ({"except_queues": ("parcels", "unheard of")}, [plain, newer]),
            ({"queues": ("parcels", "default"), "except_queues": ("default",)}, [parcel]),
            ({"workflows": ("order",)}, [plain, newer]),
            ({"workflows": ("return", "unheard of")}, [parcel]),
            ({"workflows": ()}, []),
            ({"states": ("new",)}, [plain, newer]),
            ({"states": ("packed", "unheard of")}, [parcel]),
            ({"states": ()}, []),
            ({"states": ("New",)}, []),
            ({"states": ("new", "packed"), "workflows": ("return",)}, [parcel]),
            ({"states": ("new",), "tenant": "globex", "strategy": FetchStrategy.NEWEST}, [newer]),
            ({"states": ("packed",), "strategy": FetchStrategy.RANDOM}, [parcel]),
            ({"except_versions": (("order", "1"),)}, [parcel, newer]),
            ({"except_versions": (("order", "2"), ("return", "1"))}, [plain]),
            ({"except_versions": (("return", "2"), ("order", "3"))}, [plain, parcel, newer]),
            ({"tenant": "acme"}, [parcel]),
            ({"tenant": ""}, [plain]),
            ({"tenant": "Globex"}, []),
            ({"tenant": "globex", "queues": ("default",)}, []),
            ({"tenant": "globex", "workflows": ("order",), "except_versions": (("order", "1"),)}, [newer]),
        ]
        for number, (fields, runs) in enumerate(wanted):
            # Each claim comes when the lease of the one before it has ended.
            taken = await _taken(kit, a_claim(9, **fields), NOW + number * MINUTE)
            assert sorted(taken) == sorted(runs), fields

    async def test_a_claim_takes_only_runs_of_the_instances_it_names(self, kit: StoreKit) -> None:
        one = await accepted(kit.store)
        two = await accepted(kit.store, creation_with(workflow="return", tenant="acme"), queue="parcels")
        three = await accepted(kit.store)
        idle = await created(kit.store)

        wanted: list[tuple[dict[str, Any], list[UUID]]] = [
            ({"instances": None}, [one.id, two.id, three.id]),
            ({"instances": ()}, []),
            ({"instances": (two.instance_id,)}, [two.id]),
            ({"instances": (three.instance_id, one.instance_id, one.instance_id)}, [one.id, three.id]),
            ({"instances": (new_id(), idle.id)}, []),
            # A run's own id is not its instance's.
            ({"instances": (one.id,)}, []),
            ({"instances": (one.instance_id, two.instance_id), "queues": ("parcels",)}, [two.id]),
            ({"instances": (one.instance_id, two.instance_id), "except_queues": ("parcels",)}, [one.id]),
            ({"instances": (one.instance_id, two.instance_id), "workflows": ("order",)}, [one.id]),
            ({"instances": (one.instance_id, two.instance_id), "except_versions": (("order", "1"),)}, [two.id]),
            ({"instances": (one.instance_id, two.instance_id), "tenant": "acme"}, [two.id]),
            ({"instances": (one.instance_id,), "tenant": "acme"}, []),
        ]
        for number, (fields, runs) in enumerate(wanted):
            # Each claim comes when the lease of the one before it has ended.
            taken = await _taken(kit, a_claim(9, **fields), NOW + number * MINUTE)
            assert sorted(taken) == sorted(runs), fields

    async def test_a_run_of_a_named_instance_is_claimed_only_when_its_turn_has_come(self, kit: StoreKit) -> None:
        held, later, paused = [await accepted(kit.store, available_at=NOW + n * MINUTE) for n in (0, 3, 0)]
        await kit.store.apply(paused.instance_id, lambda record, *_: (step(record, status=Status.PAUSED), None))
        claim = a_claim(9, instances=(held.instance_id, later.instance_id, paused.instance_id), lease=2 * MINUTE)

        assert [await _taken(kit, claim, NOW + n * MINUTE) for n in range(4)] == [[held.id], [], [held.id], [later.id]]

    async def test_runs_of_instances_that_are_not_named_do_not_fill_a_limit(self, kit: StoreKit) -> None:
        for _ in range(3):
            await accepted(kit.store, priority=9)
        last, first = await accepted(kit.store), await accepted(kit.store, priority=1)
        claim = a_claim(1, instances=(last.instance_id, first.instance_id))

        assert [await _taken(kit, claim) for _ in range(3)] == [[first.id], [last.id], []]

    async def test_a_throttle_holds_for_named_instances_as_well(self, kit: StoreKit) -> None:
        one, two, three = [await accepted(kit.store) for _ in range(3)]
        claim = _throttled(Throttle(concurrency=2, rate=9, per=MINUTE), lease=DAY)

        assert await _taken(kit, replace(claim, instances=(three.instance_id,))) == [three.id]
        assert await _taken(kit, replace(claim, instances=(one.instance_id,))) == [one.id]
        assert await _taken(kit, replace(claim, instances=(two.instance_id,))) == []

    @pytest.mark.parametrize("strategy", FetchStrategy)
    async def test_a_limit_counts_only_what_was_asked_for(self, kit: StoreKit, strategy: FetchStrategy) -> None:
        for _ in range(3):
            await accepted(kit.store, queue="other", priority=9, state="elsewhere")
        wanted = [await accepted(kit.store, queue="mine", state="here") for _ in range(2)]

        taken = await _taken(kit, a_claim(1, queues=("mine",), strategy=strategy))
        taken += await _taken(kit, a_claim(1, states=("here",), strategy=strategy))
        assert sorted(taken) == sorted(run.id for run in wanted)

    # -------------------------------------------------------------------------------------------- throttles

    async def test_no_more_runs_of_a_queue_are_held_at_once_than_its_throttle_says(self, kit: StoreKit) -> None:
        for _ in range(6):
            await accepted(kit.store)
        await accepted(kit.store, queue="other")
        await claimed(kit.store, queues=("other",))
        claim = _throttled(Throttle(concurrency=3))

        first = await kit.store.runs.claim(replace(claim, limit=2), now=NOW)
        second = await kit.store.runs.claim(claim, now=NOW)
        assert (len(first), len(second)) == (2, 1)
        assert await _taken(kit, replace(claim, worker="two")) == []

        await kit.store.runs.release([Release(second[0].lease, delay=DAY)], now=NOW)
        assert len(await _taken(kit, claim)) == 1

    @pytest.mark.parametrize("how", ["parked", "completed", "another queue", "its lease ended"])
    async def test_a_run_that_is_not_held_any_more_leaves_its_place_to_another(self, kit: StoreKit, how: str) -> None:
        for _ in range(3):
            await accepted(kit.store)
        claim = _throttled(Throttle(concurrency=1))
        [first] = await kit.store.runs.claim(replace(claim, lease=2 * MINUTE), now=NOW)
        now = NOW + MINUTE
        assert await _taken(kit, claim, now) == []

        if how == "another queue":
            checkpoint = a_checkpoint(first.lease, queue="other", extend=DAY)
            assert await kit.store.runs.checkpoint(checkpoint, now=now) is Status.ACTIVE
        elif how == "its lease ended":
            now = NOW + 2 * MINUTE
        else:
            await written(kit.store, first.run.instance_id, MoveRun(first.run.id, RunStatus(how), now))

        assert len(await _taken(kit, claim, now)) == 1
        assert await _taken(kit, claim, now) == []

    async def test_no_more_runs_are_claimed_in_a_time_than_the_throttle_says(self, kit: StoreKit) -> None:
        for _ in range(9):
            await accepted(kit.store)
        claim = _throttled(Throttle(rate=3, per=MINUTE), lease=DAY)

        counts = [
            len(await _taken(kit, one, now))
            for one, now in (
                (replace(claim, limit=2), NOW),
                (claim, NOW),
                (claim, NOW),
                (claim, NOW + MINUTE),
                (claim, NOW + MINUTE),
                (claim, NOW + 60 * MINUTE),
                (claim, NOW + 60 * MINUTE),
            )
        ]

        assert counts == [2, 1, 0, 3, 0, 3, 0]

    async def test_what_was_not_there_to_claim_does_not_count_for_the_rate(self, kit: StoreKit) -> None:
        claim = _throttled(Throttle(rate=3, per=MINUTE))

        counts = []
        for new in (0, 1, 4):
            for _ in range(new):
                await accepted(kit.store)
            counts.append(len(await _taken(kit, claim)))

        assert counts == [0, 1, 2]

    async def test_a_throttle_holds_for_its_queue_only(self, kit: StoreKit) -> None:
        for queue in ("default", "other"):
            for _ in range(3):
                await accepted(kit.store, queue=queue)
        throttle = Throttle(concurrency=2, rate=1, per=MINUTE)

        assert len(await _taken(kit, _throttled(throttle))) == 1
        assert len(await _taken(kit, _throttled(throttle, queues=("other",)))) == 1
        assert len(await _taken(kit, _throttled(throttle))) == 0

    async def test_both_parts_of_a_throttle_hold(self, kit: StoreKit) -> None:
        for _ in range(9):
            await accepted(kit.store)
        claim = _throttled(Throttle(concurrency=3, rate=2, per=MINUTE), lease=DAY)

        assert [len(await _taken(kit, claim, NOW + minutes * MINUTE)) for minutes in (0, 1, 2)] == [2, 1, 0]

    @pytest.mark.parametrize(
        "throttle", [Throttle(concurrency=4), Throttle(rate=4, per=DAY)], ids=["concurrency", "rate"]
    )
    async def test_a_throttle_holds_for_many_who_claim_at_once(self, kit: StoreKit, throttle: Throttle) -> None:
        for _ in range(12):
            await accepted(kit.store)
        claim = _throttled(throttle, limit=2)

        async with within():
            at_once = await asyncio.gather(*(_taken(kit, claim) for _ in range(8)))
        # Who is passed over at once may get nothing although there is room; one after the other they fill it.
        after = [await _taken(kit, claim) for _ in range(3)]

        taken = [run_id for answer in (*at_once, *after) for run_id in answer]
        assert len(taken) == len(set(taken)) == 4


def _throttled(throttle: Throttle, **fields: Any) -> RunClaim:
    return a_claim(**{"limit": 9, "queues": ("default",), "throttle": throttle, **fields})


async def _taken(kit: StoreKit, claim: RunClaim, now: datetime = NOW) -> list[UUID]:
    return [one.run.id for one in await kit.store.runs.claim(claim, now=now)]
