"""Steps in a transaction of the caller's that the database rolls back."""

from contextlib import asynccontextmanager, suppress

import pytest

from detent import MemoryStore, Settings, command
from detent.errors import StepRolledBack, StoreUnavailable

NOTE = {
    "name": "note",
    "initial_state": "new",
    "states": {"new": {"events": {"read": {"target": "new"}, "file": {"target": "filed"}}}, "filed": {}},
}
FOLDER = {
    "name": "folder",
    "initial_state": "empty",
    "states": {"empty": {"events": {"fill": {"target": "full", "commands": ["fill"]}}}, "full": {}},
}


class UnluckyStore(MemoryStore):
    """Rolls back as many joined steps as it is told to."""

    unlucky = 0

    @asynccontextmanager
    async def join(self, outside, instance_id, *, key=None, now=None):
        if self.unlucky:
            self.unlucky -= 1
            raise StepRolledBack("deadlock")
        async with super().join(outside, instance_id, key=key, now=now) as unit:
            yield unit


@pytest.fixture
def store():
    return UnluckyStore()


@pytest.mark.parametrize("verb", ["create", "read", "pause", "delete"])
async def test_a_rollback_in_a_lent_transaction_is_the_callers_to_repeat(running, store, verb):
    runtime = await running(NOTE)
    note = await runtime.create_instance("note")
    calls = {
        "create": lambda lent: runtime.create_instance("note", connection=lent),
        "read": lambda lent: runtime.trigger_event(note.id, "read", connection=lent),
        "pause": lambda lent: runtime.pause(note.id, connection=lent),
        "delete": lambda lent: runtime.delete(note.id, force=True, connection=lent),
    }
    store.unlucky = 1
    async with store.begin() as transaction:
        with pytest.raises(StoreUnavailable, match="deadlock"):
            await calls[verb](transaction)
        await calls[verb](transaction)
    assert store.unlucky == 0


async def test_a_rollback_in_a_command_repeats_the_step_around_it(running, store):
    runs = []

    @command("fill")
    async def fill(ctx):
        runs.append(ctx.instance_id)
        await runtime.create_instance("note", connection=ctx.connection)

    runtime = await running(NOTE, FOLDER, commands=[fill])
    folder = await runtime.create_instance("folder")
    store.unlucky = 2
    assert (await runtime.trigger_event(folder.id, "fill")).to_state == "full"
    assert len(runs) == 3
    assert await runtime.count_instances(workflow="note") == {(): 1}


async def test_a_block_of_the_runtime_commits_what_joined_it(running, store, recorder):
    runtime = await running(NOTE)
    async with store.begin() as transaction:
        with suppress(ZeroDivisionError):
            async with runtime.transaction(transaction):
                await runtime.create_instance("note", connection=transaction)
                raise ZeroDivisionError
    assert await runtime.count_instances() == {(): 0}
    async with store.begin() as transaction, runtime.transaction(transaction):
        await runtime.create_instance("note", connection=transaction)
    await runtime.settled()
    assert recorder.heard == ["created new"]


async def test_a_timeout_that_the_database_rolls_back_fires_with_the_next_sweep(running, clock):
    tried = []

    @command("fill")
    async def fill(ctx):
        tried.append(ctx.now)
        if len(tried) == 1:
            raise StepRolledBack("deadlock")

    slow = {
        "name": "slow",
        "initial_state": "empty",
        "states": {
            "empty": {"events": {"fill": {"target": "full", "commands": ["fill"], "timeout": "1h"}}},
            "full": {},
        },
    }
    runtime = await running(slow, commands=[fill], settings=Settings())
    made = await runtime.create_instance("slow")
    clock.advance("1h")
    report = await runtime.process_timeouts()
    assert (report.failed, report.processed) == (1, 0)
    assert (await runtime.get_instance(made.id)).timers[0].attempts == 1
    clock.advance("2m")
    assert (await runtime.process_timeouts()).processed == 1
