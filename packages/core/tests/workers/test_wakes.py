"""Short delays are kept: the worker that gave a run back looks again when its delay is over, whatever its poll."""

import asyncio
from datetime import timedelta

import pytest

from detent import Ok, Retry, RetryAfter, command
from detent.workers import Queue, Worker
from packages.core.tests.workers.orders import RARELY, Held, becomes_so, ends, order, paid

SHORT = timedelta(milliseconds=10)


def failing(*errors, **options):
    left = list(errors)

    @command("charge", durable=True, **options)
    async def charge(ctx):
        if left:
            raise left.pop(0)
        return Ok()

    return charge


@pytest.mark.parametrize(
    "charge",
    [
        failing(OSError("1"), OSError("2"), retry=Retry(initial=SHORT)),
        failing(RetryAfter(0.01), RetryAfter("0.01s")),
    ],
)
async def test_short_delays_do_not_wait_for_the_poll(started, charge):
    runtime = await started(order("charge"), commands=[charge], clock=None)
    async with Worker(runtime, poll=RARELY) as worker:
        made = await paid(runtime)
        assert (await ends(runtime, made)).state == "paid"
        await becomes_so(lambda: not worker.running)


async def test_nothing_is_left_of_the_wait_when_the_worker_is_left(started, monkeypatch):
    loop, alarms = asyncio.get_running_loop(), []
    call_later = loop.call_later

    def noted(delay, callback, *args, **options):
        handle = call_later(delay, callback, *args, **options)
        if "_wake_in" in callback.__qualname__:
            alarms.append(handle)
        return handle

    monkeypatch.setattr(loop, "call_later", noted)
    charge = failing(OSError("1"), retry=Retry(initial=timedelta(seconds=30)))
    runtime = await started(order("charge"), commands=[charge])
    async with Worker(runtime, poll=RARELY):
        await paid(runtime)
        await becomes_so(lambda: alarms)
        assert not alarms[0].cancelled()
    assert [alarm.cancelled() for alarm in alarms] == [True]


async def test_a_clock_that_is_injected_and_stands_still_is_looked_at_once_and_no_more(started, clock, monkeypatch):
    charge = failing(OSError("1"), retry=Retry(initial=SHORT, jitter=0))
    runtime = await started(order("charge"), commands=[charge])
    runs, looks = runtime.running().runs, 0
    claim = runs.claim

    async def counted(*args, **options):
        nonlocal looks
        looks += 1
        return await claim(*args, **options)

    async with Worker(runtime, poll=RARELY) as worker:
        made = await paid(runtime)
        await becomes_so(lambda: worker.health().loops["runs"].last_round is not None and not worker.running)
        monkeypatch.setattr(runs, "claim", counted)
        await becomes_so(lambda: looks == 1)
        assert (await runtime.get_instance(made.id)).state == "new"
        clock.advance(SHORT)
        runtime.store.signals.announce(["runs"])
        assert (await ends(runtime, made)).state == "paid"


async def test_lengths_of_time_may_be_text(started):
    runtime = await started(order("charge"), commands=[Held.let_go().command])
    async with Worker(runtime, poll="1m", drain="30s", queues=[Queue("default", rate=5, per="1m")]):
        made = await paid(runtime)
        assert (await ends(runtime, made)).state == "paid"
    assert Queue("mail", rate=1, per="1m") == Queue("mail", rate=1, per=timedelta(minutes=1))
