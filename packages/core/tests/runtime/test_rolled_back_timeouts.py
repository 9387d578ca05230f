"""Timeouts whose transaction the database rolls back: before a command ran it is bad luck, after one it is an attempt."""

from contextlib import asynccontextmanager

import pytest

from detent import MemoryStore, command
from detent.errors import InstanceBusy, StepRolledBack, StoreUnavailable
from detent.ids import new_id

SLOW = {
    "name": "slow",
    "initial_state": "empty",
    "states": {"empty": {"events": {"fill": {"target": "full", "commands": ["fill"], "timeout": "1h"}}}, "full": {}},
}


class FailingStore(MemoryStore):
    """Fails the transactions of single steps as it is told to."""

    at_entry: Exception | None = None
    at_commit: Exception | None = None

    @asynccontextmanager
    async def transaction(self, instance_id, *, key=None, now=None, wait=True):
        async with super().transaction(instance_id, key=key, now=now, wait=wait) as unit:
            if not wait and self.at_entry is not None:
                raise self.at_entry
            yield unit
            if not wait and self.at_commit is not None:
                raise self.at_commit


@pytest.fixture
def store():
    return FailingStore()


@pytest.fixture
async def due(running, clock):
    @command("fill")
    async def fill(ctx):
        ctx.context["filled"] = True

    runtime = await running(SLOW, commands=[fill])
    await runtime.create_instance("slow")
    clock.advance("1h")
    return runtime


async def test_what_another_step_holds_is_skipped(due, store):
    store.at_entry = InstanceBusy(new_id())
    report = await due.process_timeouts()
    assert (report.skipped, report.failed) == (1, 0)
    store.at_entry = None
    assert (await due.process_timeouts()).processed == 1


async def test_a_rollback_after_the_command_ran_is_an_attempt(due, store):
    store.at_commit = StepRolledBack("deadlock")
    report = await due.process_timeouts()
    assert (report.skipped, report.failed) == (0, 1)
    [found] = await due.find_instances()
    assert (found.timers[0].attempts, found.context) == (1, {})


async def test_a_lost_database_is_raised_and_nothing_is_counted(due, store):
    store.at_commit = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        await due.process_timeouts()
    store.at_commit = None
    [found] = await due.find_instances()
    assert found.timers[0].attempts == 0
    assert (await due.process_timeouts()).processed == 1
