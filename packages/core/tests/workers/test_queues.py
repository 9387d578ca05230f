"""Queues: which ones a worker serves, and how much of each it and all workers together take."""

import asyncio
from datetime import timedelta

import pytest

from detent.errors import InvalidValue
from detent.store.run_records import Throttle
from detent.workers import Queue, Worker
from detent.workers.queues import Served
from packages.core.tests.workers.orders import OFTEN, RARELY, Held, becomes_so, ends, order, paid


@pytest.mark.parametrize(
    ("queues", "names", "limited"),
    [
        (None, None, ()),
        (["mail"], ("mail",), ()),
        (["mail", Queue("pay", rate=3)], ("mail",), ("pay",)),
        ([Queue("pay", concurrency=1)], (), ("pay",)),
        (["*", Queue("pay", concurrency=1)], None, ("pay",)),
    ],
)
def test_limited_queues_are_claimed_from_by_themselves(queues, names, limited):
    served = Served.of(queues)
    assert (served.names, served.limited_names) == (names, limited)


def test_a_run_stays_where_its_next_command_is_served_and_nothing_is_counted():
    served = Served.of(["mail", Queue("pay", global_concurrency=2)])
    assert [served.keeps(name) for name in ("mail", "pay", "other")] == [True, False, False]
    assert [Served.of(["*", Queue("pay", rate=1)]).keeps(name) for name in ("other", "pay")] == [True, False]


def test_what_holds_over_all_workers_is_a_throttle():
    assert Queue("pay", concurrency=3).throttle is None
    minute = timedelta(minutes=1)
    assert Queue("pay", global_concurrency=2, rate=5, per=minute).throttle == Throttle(2, 5, minute)


@pytest.mark.parametrize("queues", [[], "mail", ["mail", Queue("mail", rate=1)], [""], ["q" * 1000], 3])
def test_queues_that_mean_nothing_are_refused(queues):
    with pytest.raises(InvalidValue):
        Served.of(queues)


@pytest.mark.parametrize(
    "limits",
    [{"concurrency": 0}, {"global_concurrency": -1}, {"rate": True}, {"rate": 1, "per": timedelta(0)}, {"per": 60}],
)
def test_limits_that_mean_nothing_are_refused(limits):
    with pytest.raises(InvalidValue):
        Queue("pay", **limits)


def test_the_queue_of_all_others_has_no_limit():
    with pytest.raises(InvalidValue, match="name the queue"):
        Queue("*", concurrency=1)


async def test_a_worker_takes_only_from_the_queues_it_serves(started):
    charge, ship = Held.let_go("charge", queue="pay"), Held.let_go("ship", queue="post")
    runtime = await started(order("charge", "ship"), commands=[charge.command, ship.command])
    made = await paid(runtime)
    async with Worker(runtime, queues=["pay"], poll=OFTEN) as payer:
        await becomes_so(lambda: charge.ended and not payer.running)
        assert ship.ended == 0
        async with Worker(runtime, queues=["post"], poll=RARELY):
            assert (await ends(runtime, made)).state == "paid"
    assert (charge.ended, ship.ended) == (1, 1)


async def test_a_worker_holds_no_more_runs_of_a_queue_than_it_may_and_others_beside(started):
    charge, ship = Held("charge", queue="pay"), Held("ship")
    runtime = await started(order("charge"), shipping(), commands=[charge.command, ship.command])
    orders = [await paid(runtime) for _ in range(3)] + [await paid(runtime, "shipping") for _ in range(2)]
    async with asyncio.timeout(5), Worker(runtime, queues=["*", Queue("pay", concurrency=1)], poll=RARELY):
        await charge.begun.acquire()
        for _ in range(2):
            await ship.begun.acquire()
        charge.go_on.set()
        ship.go_on.set()
        for made in orders:
            await ends(runtime, made)
    assert (charge.most, ship.most) == (1, 2)
    assert (charge.ended, ship.ended) == (3, 2)


async def test_all_workers_together_hold_no_more_runs_of_a_queue_than_they_may(started):
    charge = Held("charge", queue="pay")
    one = await started(order("charge"), commands=[charge.command])
    other = await started(order("charge"), commands=[charge.command])
    orders = [await paid(one) for _ in range(6)]
    queues = [Queue("pay", global_concurrency=2)]
    async with (
        asyncio.timeout(5),
        Worker(one, queues=queues, poll=OFTEN) as first,
        Worker(other, queues=queues, poll=OFTEN) as second,
    ):
        for _ in range(2):
            await charge.begun.acquire()
        await becomes_so(lambda: all(one.health().loops["runs"].last_round is not None for one in (first, second)))
        charge.go_on.set()
        for made in orders:
            await ends(one, made)
    assert (charge.most, charge.ended) == (2, 6)


async def test_no_more_runs_of_a_queue_are_begun_in_a_while_than_may(started, clock):
    charge = Held.let_go("charge", queue="pay")
    runtime = await started(order("charge"), commands=[charge.command])
    for _ in range(3):
        await paid(runtime)
    queues = [Queue("pay", rate=2, per=timedelta(hours=1))]
    async with Worker(runtime, queues=queues, poll=OFTEN) as worker:
        await becomes_so(lambda: charge.ended == 2 and not worker.running)
        assert len(await runtime.runs.list(status="pending")) == 1
        clock.advance("1h")
        await becomes_so(lambda: charge.ended == 3)


async def test_when_a_rate_allows_more_the_worker_looks_again_without_being_told(started, store):
    charge = Held.let_go("charge", queue="pay")
    runtime = await started(order("charge"), commands=[charge.command], clock=None)
    orders = [await paid(runtime) for _ in range(3)]
    queues = [Queue("pay", rate=1, per=timedelta(milliseconds=20))]
    async with Worker(runtime, queues=queues, poll=RARELY):
        for made in orders:
            await ends(runtime, made)
    assert charge.ended == 3


async def test_a_run_that_goes_on_in_another_queue_leaves_room_in_its_own(started):
    charge, ship = Held.let_go("charge", queue="pay"), Held("ship", queue="post")
    runtime = await started(order("charge", "ship"), commands=[charge.command, ship.command])
    orders = [await paid(runtime) for _ in range(3)]
    async with asyncio.timeout(5), Worker(runtime, queues=["*", Queue("pay", concurrency=1)], poll=OFTEN):
        for _ in range(3):
            await ship.begun.acquire()
        ship.go_on.set()
        for made in orders:
            await ends(runtime, made)
    assert (charge.most, ship.most) == (1, 3)


def shipping():
    """A second workflow, whose only command is `ship`."""
    return order("ship").model_copy(update={"name": "shipping"})
