"""Faults that nobody foresaw while a run is worked on: it is parked, and does not come back for ever."""

from datetime import timedelta

import pytest

from detent import Retry, RetryAfter, RunStatus, command

ORDER = {
    "name": "order",
    "initial_state": "new",
    "states": {"new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}}}, "paid": {}},
}


class Broken(Retry):
    """A policy with a fault in its arithmetic."""

    def delay(self, attempts, *, chance=None):
        raise TypeError("no such delay")


class Silent(Retry):
    """A policy whose fault cannot be told."""

    def delay(self, attempts, *, chance=None):
        raise Untold


class Untold(Exception):
    """An error that cannot even be told."""

    def __str__(self):
        raise LookupError("no words")

    __repr__ = __str__


def charging(error, **options):
    @command("charge", durable=True, **options)
    async def charge(ctx):
        raise error

    return charge


@pytest.mark.parametrize(
    ("error", "options", "reason"),
    [
        (OSError("away"), {"retry": Broken()}, "no such delay"),
        (Untold(), {}, "no words"),
        (OSError("away"), {"retry": Silent()}, "it raised Untold, which could not be written down"),
        (RetryAfter(timedelta.max), {}, ""),
    ],
)
async def test_a_fault_in_the_handling_of_a_failure_parks_the_run(running, error, options, reason):
    runtime = await running(ORDER, commands=[charging(error, **options)])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(accepted.run_id)
    assert run.status is RunStatus.PARKED
    assert reason in (run.reason or "")
    assert (await runtime.get_instance(order.id)).parked_at is not None


async def test_a_duration_that_cannot_be_meant_ends_the_attempts_of_its_command(running):
    @command("charge", durable=True)
    async def charge(ctx):
        raise RetryAfter("soon")

    runtime = await running(ORDER, commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    run = await runtime.runs.get(accepted.run_id)
    assert run.status is RunStatus.PARKED
    assert "'soon' is not a duration" in (run.reason or "")
