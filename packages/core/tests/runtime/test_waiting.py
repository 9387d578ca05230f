"""Waiting until an instance is where its caller wants it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from detent import MemoryStore, Ok, Retry, Settings, WorkflowRuntime, command
from detent.errors import (
    InstanceFinished,
    InstanceNotFound,
    InvalidValue,
    NotStarted,
    RunParked,
    StoreUnavailable,
    WaitTimeout,
)
from detent.ids import new_id
from detent.service.service import WorkflowService
from detent.store.signals import LocalSignals, moved

CASE = {
    "name": "case",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "look": {"target": "seen"},
                "charge": {"target": "seen", "commands": ["charge"]},
                "drop": {"target": "dropped"},
            }
        },
        "seen": {"events": {"close": {"target": "closed"}}},
        "closed": {},
        "dropped": {"outcome": "cancelled"},
    },
}


@command("charge", durable=True, retry=Retry(attempts=1))
async def charge(ctx):
    if ctx.context.get("broken"):
        raise ConnectionError("the bank is away")
    return Ok()


async def waiting(runtime, instance, *arguments, **options):
    """A task that waits, and has looked once."""
    task = asyncio.create_task(runtime.wait(instance.id, *arguments, **{"timeout": 5} | options))
    await asyncio.sleep(0)
    return task


async def test_what_is_there_already_is_answered_at_once(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    assert (await runtime.wait(made.id, timeout=0)).version == made.version
    assert (await runtime.wait(made, "open", timeout=0)).state == "open"
    await runtime.trigger_event(made.id, "drop")
    assert (await runtime.get_handle(made).wait(completed=True, timeout=0)).state == "dropped"


async def test_a_state_that_is_entered_here_ends_the_wait(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    one, several = await waiting(runtime, made, "seen"), await waiting(runtime, made, ["closed", "seen"])
    await runtime.trigger_event(made.id, "look")
    assert [(await task).state for task in (one, several)] == ["seen", "seen"]


async def test_a_state_that_is_entered_elsewhere_is_found_by_looking(running, store):
    runtime, other = await running(CASE, commands=[charge]), await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    wait = await waiting(runtime, made, "seen", timeout=timedelta(seconds=5))
    await other.trigger_event(made.id, "look")
    assert (await wait).state == "seen"


async def test_a_run_that_is_under_way_is_waited_for(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    await runtime.trigger_event(made.id, "charge")
    settles, opens = await waiting(runtime, made), await waiting(runtime, made, ("open", "seen"))
    with pytest.raises(WaitTimeout):
        await runtime.wait(made.id, "open", timeout=0)
    await runtime.process_runs()
    assert [(await task).state for task in (settles, opens)] == ["seen", "seen"]


async def test_completed_waits_for_the_end_in_one_of_the_states(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    ends, closes = await waiting(runtime, made, completed=True), await waiting(runtime, made, "closed", completed=True)
    await runtime.trigger_event(made.id, "look")
    await runtime.trigger_event(made.id, "close")
    assert [(await task).state for task in (ends, closes)] == ["closed", "closed"]


async def test_an_instance_that_ended_elsewhere_is_waited_for_no_longer(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    wait = await waiting(runtime, made, "seen")
    await runtime.trigger_event(made.id, "drop")
    with pytest.raises(InstanceFinished, match="cancelled"):
        await wait
    with pytest.raises(InstanceFinished):
        await runtime.wait(made.id, "seen")


async def test_a_run_that_parks_ends_the_wait(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case", context={"broken": True})
    accepted = await runtime.trigger_event(made.id, "charge")
    wait = await waiting(runtime, made, "seen")
    await runtime.process_runs()
    with pytest.raises(RunParked, match="the bank is away") as raised:
        await wait
    assert raised.value.run_id == accepted.run_id
    with pytest.raises(RunParked):
        await runtime.wait(made.id, "seen")


async def test_a_parked_timer_does_not_end_the_wait_for_a_run(running, clock):
    case = {
        "name": "case",
        "initial_state": "open",
        "states": {
            "open": {
                "events": {
                    "remind": {"internal": True, "commands": ["fail"], "timeout": "1h"},
                    "charge": {"target": "seen", "commands": ["charge"]},
                }
            },
            "seen": {},
        },
    }

    @command("fail")
    async def fail(ctx):
        raise ConnectionError("mail is away")

    settings = Settings(timeout_retry=Retry(attempts=1))
    runtime = await running(case, commands=[charge, fail], settings=settings)
    made = await runtime.create_instance("case")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).parked == 1
    await runtime.trigger_event(made.id, "charge")
    wait = await waiting(runtime, made, "seen")
    await runtime.process_runs()
    assert (await wait).state == "seen"


async def test_what_does_not_come_in_time_is_told_with_the_state_it_is_in(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    with pytest.raises(WaitTimeout, match=r"still in 'open' after 0\.01 s"):
        await runtime.wait(made.id, "seen", timeout="0.01s")


@pytest.mark.parametrize("state", ["sen", ["closed", "sen"]])
async def test_a_state_that_there_is_not_is_not_waited_for(running, state):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    for timeout in (0, 5):
        with pytest.raises(InvalidValue, match="state is 'sen', which 'case' does not have") as raised:
            await runtime.wait(made.id, state, timeout=timeout)
        assert raised.value.hint == "did you mean 'seen'?"


async def late(runtime, made):
    with pytest.raises(WaitTimeout) as raised:
        await runtime.wait(made.id, "seen", timeout=0)
    assert raised.value.held_by is not None
    assert raised.value.held_by in str(raised.value)
    return raised.value.held_by


async def test_what_does_not_come_in_time_is_told_with_what_holds_it(running, clock):
    failing, inside = [], []

    @command("charge", durable=True, queue="pay", retry=Retry(initial=timedelta(seconds=4), jitter=0))
    async def flaky(ctx):
        inside.append(await late(runtime, made))
        failing.append(1)
        if len(failing) == 1:
            raise KeyError("boom")
        if len(failing) == 2:
            raise RuntimeError

    runtime = await running(CASE, commands=[flaky])
    made = await runtime.create_instance("case")
    assert await late(runtime, made) == "no run is under way, and it takes 'look', 'charge', 'drop'"
    await runtime.trigger_event(made.id, "charge")
    run = "its run of event 'charge' is under way: "
    assert await late(runtime, made) == f"{run}command 'charge' waits for a worker of queue 'pay'"
    await runtime.process_runs()
    assert inside[0].startswith(run)
    assert inside[0].endswith(" is at command 'charge', attempt 1")
    boom = f"{run}command 'charge' is tried again in 4s, after 1 attempt in vain: KeyError: 'boom'"
    assert await late(runtime, made) == boom
    clock.advance("3.5s")
    assert "is tried again now, after 1 attempt in vain" in await late(runtime, made)
    clock.advance("0.5s")
    await runtime.process_runs()
    assert (await late(runtime, made)).endswith(", after 2 attempts in vain: RuntimeError")
    await runtime.pause(made.id)
    assert (await late(runtime, made)).startswith("it is paused, and its run of event")


async def test_a_paused_instance_and_a_timeout_to_come_are_told_to_those_who_waited(running, clock):
    states = {"open": {"events": {"look": {"target": "seen", "timeout": "2h"}}}, "seen": {}}
    runtime = await running({"name": "case", "initial_state": "open", "states": states})
    made = await runtime.create_instance("case")
    assert (await late(runtime, made)).endswith("it takes 'look'; timeout 'look' fires in 2h")
    clock.advance("3h")
    assert (await late(runtime, made)).endswith("timeout 'look' has been due for 1h")
    await runtime.pause(made.id)
    assert await late(runtime, made) == "it is paused"


async def test_what_holds_it_is_left_out_where_the_store_cannot_say(running):
    store = MemoryStore()
    runtime = await running(CASE, commands=[charge], store=store)
    made = await runtime.create_instance("case")
    await runtime.trigger_event(made.id, "charge")

    class Away:
        async def load(self, run_id, **options):
            raise StoreUnavailable("away")

    class Runless(MemoryStore):
        runs: Any = Away()

    store.__class__ = Runless
    try:
        with pytest.raises(WaitTimeout, match="does a worker run") as raised:
            await runtime.wait(made.id, "seen", timeout=0)
    finally:
        store.__class__ = MemoryStore
    assert raised.value.held_by is None


async def test_an_instance_that_is_not_there_is_not_waited_for(running):
    runtime = await running(CASE, commands=[charge])
    with pytest.raises(InstanceNotFound):
        await runtime.wait(new_id(), "seen")
    made = await runtime.create_instance("case")
    wait = await waiting(runtime, made, "seen")
    await runtime.delete(made.id, force=True)
    with pytest.raises(InstanceNotFound):
        await wait


async def test_an_instance_of_another_tenant_is_not_there(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case", tenant="a")
    service = WorkflowService(runtime)
    assert (await service.for_tenant("a").wait(made.id, "open")).tenant == "a"
    with pytest.raises(InstanceNotFound):
        await service.for_tenant("b").wait(made.id, "open")


@pytest.mark.parametrize(
    ("state", "timeout"), [([], 1), ([1], 1), (7, 1), ("seen", -1), ("seen", "soon"), ("seen", float("nan"))]
)
async def test_arguments_that_mean_nothing_are_refused(running, state, timeout):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    with pytest.raises(InvalidValue):
        await runtime.wait(made.id, state, timeout=timeout)


class Counting(MemoryStore):
    """Notes what it is asked, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.words = LocalSignals()
        self.asked: list[int] = []
        self.again = asyncio.Condition()
        self.away = False

    @property
    def signals(self):
        return self.words

    async def find(self, query, **options):
        self.asked.append(len(query.ids or ()))
        async with self.again:
            self.again.notify_all()
        if self.away:
            raise StoreUnavailable("away")
        return await super().find(query, **options)

    async def was_asked(self, condition):
        """Return when it was asked so that `condition` holds."""
        async with asyncio.timeout(5), self.again:
            await self.again.wait_for(condition)


async def test_all_who_wait_are_served_by_one_question(running):
    store = Counting()
    runtime = await running(CASE, commands=[charge], store=store)
    other = await running(CASE, commands=[charge], store=store)
    made = [await runtime.create_instance("case") for _ in range(20)]
    waits = [await waiting(runtime, one, "seen") for one in made for _ in range(3)]
    await store.was_asked(lambda: 20 in store.asked)
    store.asked.clear()
    for one in made:
        await other.trigger_event(one.id, "look")
    assert {(await wait).state for wait in waits} == {"seen"}
    assert len(store.asked) <= 3


async def test_only_the_instance_that_a_word_names_is_looked_at(running):
    store = Counting()
    runtime = await running(CASE, commands=[charge], store=store)
    made = [await runtime.create_instance("case") for _ in range(5)]
    waits = [await waiting(runtime, one, "seen", timeout=60) for one in made]
    # The looks at all of them come less and less often.
    await store.was_asked(lambda: store.asked.count(5) == 5)
    store.asked.clear()
    store.words.announce([moved(made[0].id), moved("nonsense"), moved(new_id())])
    await store.was_asked(lambda: store.asked)
    assert store.asked == [1]
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)


async def test_a_store_that_is_away_for_a_while_is_asked_again(running):
    store = Counting()
    runtime = await running(CASE, commands=[charge], store=store)
    made = await runtime.create_instance("case")
    store.away = True
    wait = await waiting(runtime, made, "seen")
    await store.was_asked(lambda: len(store.asked) == 2)
    store.away = False
    await runtime.trigger_event(made.id, "look")
    assert (await wait).state == "seen"


async def test_a_store_that_stays_away_is_the_answer_in_the_end(running):
    store = Counting()
    runtime = await running(CASE, commands=[charge], store=store)
    made = await runtime.create_instance("case")
    store.away = True
    with pytest.raises(StoreUnavailable):
        await runtime.wait(made.id, "seen", timeout=0.05)


async def test_an_error_that_is_nobodys_reaches_who_waits(running):
    class Broken(MemoryStore):
        async def find(self, query, **options):
            raise ZeroDivisionError("a bug")

    runtime = await running(CASE, commands=[charge], store=Broken())
    made = await runtime.create_instance("case")
    with pytest.raises(ZeroDivisionError):
        await runtime.wait(made.id, "seen", timeout=5)


async def test_who_gives_up_leaves_nothing_behind(running):
    runtime = await running(CASE, commands=[charge])
    made = await runtime.create_instance("case")
    wait = await waiting(runtime, made, "seen")
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert (await runtime.wait(made.id, "open")).state == "open"


async def test_leaving_the_runtime_ends_every_wait(clock):
    async with WorkflowRuntime(store=MemoryStore(), definitions=[], clock=clock) as runtime:
        pass
    with pytest.raises(NotStarted):
        await runtime.wait(new_id())


async def test_who_waits_when_the_runtime_is_left_is_told(running, store, clock):
    outer = await running(CASE, commands=[charge])
    made = await outer.create_instance("case")
    definitions = [outer.definition("case")]
    async with WorkflowRuntime(store=store, definitions=definitions, commands=[charge], clock=clock) as runtime:
        wait = await waiting(runtime, made, "seen")
    with pytest.raises(NotStarted):
        await wait
