"""Timeouts that do not wait for the run that is under way: they cancel it, and lead out of its state."""

import asyncio
from datetime import timedelta

import pytest

from detent import Event, OnEnter, State, WorkflowDefinition, command, guard, validate
from detent.errors import InstanceBusy, RunParked
from detent.store.run_records import RunStatus


def order(**event):
    late = Event(target="late", timeout={"after_hours": 1, "interrupts": True}, **event)
    return WorkflowDefinition(
        name="order",
        initial_state="working",
        states={
            "working": State(on_enter=OnEnter(target="done", commands=["work"]), events={"give_up": late}),
            "done": State(),
            "late": State(outcome="cancelled"),
        },
    )


@command("work", durable=True, retry="never")
async def work(ctx):
    raise OSError("the line is dead")


async def test_a_parked_run_is_ended_by_a_timeout_that_does_not_wait_for_it(running, clock):
    runtime = await running(order(), commands=[work])
    created = await runtime.create_instance("order")
    await runtime.process_runs()
    with pytest.raises(RunParked):
        await runtime.wait(created.id, "done", timeout=1)
    clock.advance(timedelta(minutes=59))
    assert (await runtime.process_timeouts()).processed == 0
    clock.advance(timedelta(minutes=1))
    assert (await runtime.process_timeouts()).processed == 1
    after = await runtime.get_instance(created.id)
    assert (after.state, after.status, after.run_id, after.parked_at) == ("late", "cancelled", None, None)
    run = await runtime.runs.get(created.run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "timeout 'give_up' fired")


async def test_a_command_under_way_is_cancelled_and_what_it_answers_is_nothing(running, clock):
    begun, stopped = asyncio.Event(), []

    @command("work", durable=True)
    async def endless(ctx):
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    runtime = await running(order(), commands=[endless])
    created = await runtime.create_instance("order")
    sweep = asyncio.create_task(runtime.process_runs())
    async with asyncio.timeout(5):
        await begun.wait()
        clock.advance(timedelta(hours=1))
        assert (await runtime.process_timeouts()).processed == 1
        runtime.running().runs.leases.doubt(created.run_id)
        assert (await sweep).lost == 1
    assert stopped == [True]
    assert (await runtime.get_instance(created.id)).state == "late"


async def test_a_guard_that_refuses_it_leaves_the_run_alone(running, clock):

    @guard("patient")
    def patient(ctx):
        return False

    runtime = await running(order(guard="patient"), commands=[work], guards=[patient])
    created = await runtime.create_instance("order")
    clock.advance(timedelta(hours=1))
    assert (await runtime.process_timeouts()).refused == 1
    after = await runtime.get_instance(created.id)
    assert (after.state, after.run_id) == ("working", created.run_id)
    assert (await runtime.runs.get(created.run_id)).status is RunStatus.PENDING


async def test_a_timeout_that_waits_does_not_fire_while_the_run_is_parked(running, clock):
    definition = order().to_dict()
    definition["states"]["working"]["events"]["give_up"]["timeout"] = "1h"
    runtime = await running(WorkflowDefinition.from_dict(definition), commands=[work])
    created = await runtime.create_instance("order")
    await runtime.process_runs()
    clock.advance(timedelta(hours=2))
    assert (await runtime.process_timeouts()).processed == 0
    assert (await runtime.get_instance(created.id)).state == "working"


def test_it_is_written_as_it_is_read_and_an_internal_event_has_none():
    definition = order()
    written = definition.to_dict()["states"]["working"]["events"]["give_up"]["timeout"]
    assert written["interrupts"] is True
    assert WorkflowDefinition.from_dict(definition.to_dict()) == definition
    event = Event(internal=True, timeout={"after_hours": 1, "interrupts": True})
    staying = WorkflowDefinition(name="order", initial_state="a", states={"a": State(events={"x": event})})
    assert "internal_interrupts" in [problem.code for problem in validate(staying)]


async def test_an_optional_deadline_may_be_missing(running, clock):
    timeout = {"at": "deadline", "optional": True}
    definition = WorkflowDefinition(
        name="order",
        initial_state="open",
        states={"open": State(events={"late": Event(target="over", timeout=timeout)}), "over": State()},
    )
    runtime = await running(definition)
    assert (await runtime.create_instance("order")).timers == ()
    dated = await runtime.create_instance("order", context={"deadline": "1h"})
    clock.advance(timedelta(hours=1))
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.get_instance(dated.id)).state == "over"


async def test_a_timeout_that_begins_a_run_does_not_interrupt_that_one(running, clock):
    ran = []

    @command("apologise", durable=True)
    async def apologise(ctx):
        ran.append(ctx.run.attempt)

    runtime = await running(order(commands=["apologise"]), commands=[work, apologise])
    created = await runtime.create_instance("order")
    clock.advance(timedelta(hours=1))
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.process_timeouts()).processed == 0
    assert (await runtime.process_runs()).completed == 1
    assert ((await runtime.get_instance(created.id)).state, ran) == ("late", [1])


async def test_retrying_a_timeout_that_waits_does_not_interrupt(running, clock):
    @guard("patient")
    def patient(ctx):
        return False

    definition = WorkflowDefinition(
        name="order",
        initial_state="open",
        states={
            "open": State(
                events={
                    "expire": Event(target="late", timeout="1h", guard="patient"),
                    "pay": Event(target="done", commands=["work"]),
                }
            ),
            "done": State(),
            "late": State(),
        },
    )
    runtime = await running(definition, commands=[work], guards=[patient])
    created = await runtime.create_instance("order")
    clock.advance(timedelta(hours=1))
    assert (await runtime.process_timeouts()).refused == 1
    await runtime.trigger_event(created.id, "pay")
    with pytest.raises(InstanceBusy):
        await runtime.retry(created.id)
