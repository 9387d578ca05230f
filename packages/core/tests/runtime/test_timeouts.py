"""Deadlines: armed on entry, fired when due, backed off and parked when refused or failing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from detent import Fail, Refuse, Retry, Settings, command, guard
from detent.errors import InstanceBusy, InstanceNotFound, StoreUnavailable
from detent.ids import new_id

REMINDED = {
    "name": "invoice",
    "initial_state": "sent",
    "states": {
        "sent": {
            "events": {
                "remind": {"internal": True, "commands": ["mail"], "timeout": "7d"},
                "expire": {"target": "overdue", "timeout": {"after_days": 14, "after_hours": 1}},
                "pay": {"target": "paid"},
            }
        },
        "overdue": {},
        "paid": {},
    },
}


def waiting(**event):
    return {
        "name": "wait",
        "initial_state": "waiting",
        "states": {"waiting": {"events": {"expire": {"target": "done", "timeout": "1h", **event}}}, "done": {}},
    }


@command("mail")
async def mail(ctx):
    ctx.context["reminders"] = ctx.context.get("reminders", 0) + 1


STEADY = Settings(timeout_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))


async def test_several_timeouts_of_a_state_fire_each_at_its_time(running, clock, story):
    runtime = await running(REMINDED, commands=[mail])
    invoice = await runtime.create_instance("invoice")
    assert invoice.due_at == clock.now() + timedelta(days=7)
    clock.advance("7d")
    assert (await runtime.process_timeouts()).processed == 1
    reminded = await runtime.get_instance(invoice.id)
    assert reminded.context == {"reminders": 1}
    assert reminded.due_at == invoice.created_at + timedelta(days=14, hours=1)
    assert (await runtime.process_timeouts()).processed == 0
    clock.advance("8d")
    assert (await runtime.process_timeouts()).processed == 1
    assert await story(runtime, invoice) == [
        "1 $created None>sent success",
        "2 remind sent>sent success",
        "3 expire sent>overdue success",
    ]
    assert (await runtime.get_history(invoice.id))[0].trigger_metadata == {"source": "timeout"}


async def test_leaving_the_state_voids_its_timers(running, clock):
    runtime = await running(REMINDED, commands=[mail])
    invoice = await runtime.create_instance("invoice")
    paid = (await runtime.trigger_event(invoice.id, "pay")).instance
    assert (paid.timers, paid.due_at) == ((), None)
    clock.advance("30d")
    assert (await runtime.process_timeouts()).processed == 0


async def test_a_timeout_fires_at_its_instant_and_not_before(running, clock):
    runtime = await running(waiting())
    await runtime.create_instance("wait")
    clock.advance(timedelta(minutes=59, seconds=59, microseconds=999_999))
    assert (await runtime.process_timeouts()).processed == 0
    clock.advance(timedelta(microseconds=1))
    assert (await runtime.process_timeouts()).processed == 1


async def test_a_deadline_is_computed_from_the_context(running, clock):
    runtime = await running(waiting(timeout={"at": "delivery.until"}))
    due = clock.now() + timedelta(days=3)
    instance = await runtime.create_instance("wait", context={"delivery": {"until": due.isoformat()}})
    assert instance.due_at == due


async def test_a_refused_timeout_stays_armed_backs_off_and_is_parked_in_the_end(running, clock, story):
    @guard("may")
    def may(ctx):
        return Refuse("not yet")

    runtime = await running(waiting(guard="may"), guards=[may], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).refused == 1
    (timer,) = (await runtime.get_instance(instance.id)).timers
    assert (timer.due, timer.attempts, timer.reason) == (clock.now() + timedelta(minutes=1), 1, "not yet")
    assert (await runtime.process_timeouts()).refused == 0
    clock.advance("1m")
    assert (await runtime.process_timeouts()).refused == 1
    clock.advance("2m")
    report = await runtime.process_timeouts()
    assert (report.refused, report.parked) == (1, 1)
    parked = await runtime.get_instance(instance.id)
    assert (parked.due_at, parked.timers[0].parked) == (None, True)
    assert (await story(runtime, instance))[-1] == "4 expire waiting>waiting refused"


async def test_a_failing_timeout_leaves_a_failed_entry_backs_off_and_does_not_starve_others(running, clock, story):
    @command("mail")
    async def flaky(ctx):
        if ctx.context.get("broken"):
            raise ConnectionError("smtp is down")

    runtime = await running(waiting(commands=["mail"]), commands=[flaky], settings=STEADY)
    broken = await runtime.create_instance("wait", context={"broken": True})
    sound = await runtime.create_instance("wait")
    clock.advance("1h")
    report = await runtime.process_timeouts(limit=2)
    assert (report.processed, report.failed, report.parked) == (1, 1, 0)
    assert (await runtime.get_instance(sound.id)).state == "done"
    (timer,) = (await runtime.get_instance(broken.id)).timers
    assert (timer.attempts, timer.reason) == (1, "smtp is down")
    assert (await story(runtime, broken))[-1] == "2 expire waiting>waiting failed"


async def test_a_guard_that_raises_backs_off_too(running, clock):
    @guard("may")
    def may(ctx):
        raise LookupError("no such row")

    runtime = await running(waiting(guard="may"), guards=[may], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).failed == 1
    assert (await runtime.get_instance(instance.id)).due_at == clock.now() + timedelta(minutes=1)


async def test_a_timeout_whose_command_fails_takes_the_error_target(running, clock):
    @command("mail")
    async def bounced(ctx):
        return Fail("bounced")

    definition = waiting(commands=["mail"], error="lost")
    definition["states"]["lost"] = {}
    runtime = await running(definition, commands=[bounced])
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.get_instance(instance.id)).state == "lost"


async def test_an_instance_that_a_step_holds_is_skipped_without_waiting(running, store, clock):
    runtime = await running(waiting())
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    async with store.transaction(instance.id):
        assert (await runtime.process_timeouts()).processed == 0
    assert (await runtime.process_timeouts()).processed == 1


async def test_a_sweep_takes_the_longest_due_first_and_not_more_than_its_limit(running, clock):
    runtime = await running(waiting())
    first = await runtime.create_instance("wait")
    clock.advance("1m")
    second = await runtime.create_instance("wait")
    clock.advance("2h")
    assert (await runtime.process_timeouts(limit=1)).processed == 1
    assert (await runtime.get_instance(first.id)).state == "done"
    assert (await runtime.get_instance(second.id)).state == "waiting"


async def test_a_reentry_arms_the_deadline_anew_and_forgets_refusals(running, clock):
    @guard("may")
    def may(ctx):
        return False

    definition = waiting(guard="may")
    definition["states"]["waiting"]["events"]["restart"] = {"target": "waiting"}
    runtime = await running(definition, guards=[may], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    await runtime.process_timeouts()
    again = (await runtime.trigger_event(instance.id, "restart")).instance
    assert [(timer.due, timer.attempts) for timer in again.timers] == [(clock.now() + timedelta(hours=1), 0)]


async def test_a_version_that_cannot_run_here_backs_off_and_is_never_parked(running, clock):
    @command("gone")
    async def gone(ctx): ...

    other = await running({**waiting(commands=["gone"]), "name": "elsewhere"}, commands=[gone])
    strange = await other.create_instance("elsewhere")
    runtime = await running(
        waiting(), {**waiting(), "name": "elsewhere", "version": 2}, settings=replace(STEADY, unresolvable="warn")
    )
    familiar = await runtime.create_instance("wait")
    clock.advance("1h")
    report = await runtime.process_timeouts(limit=2)
    assert (report.processed, report.failed) == (1, 1)
    assert (await runtime.get_instance(familiar.id)).state == "done"
    for _ in range(5):
        clock.advance("2h")
        await runtime.process_timeouts()
    (timer,) = (await runtime.get_instance(strange.id)).timers
    assert (timer.attempts, timer.parked, "gone" in timer.reason) == (6, False, True)
    assert (await other.process_timeouts()).processed == 0
    clock.advance("2h")
    assert (await other.process_timeouts()).processed == 1


async def test_workflows_that_are_not_registered_here_are_left_to_others(running, clock):
    other = await running({**waiting(), "name": "elsewhere"})
    strange = await other.create_instance("elsewhere")
    runtime = await running(waiting())
    clock.advance("1h")
    assert (await runtime.process_timeouts()).failed == 0
    assert (await runtime.get_instance(strange.id)).version == 1
    assert (await other.process_timeouts()).processed == 1


@pytest.mark.parametrize("error", [InstanceNotFound(new_id()), InstanceBusy(new_id()), StoreUnavailable("elsewhere")])
async def test_what_a_command_raises_backs_off_even_if_a_store_might_have_raised_it(running, clock, error):
    @command("mail")
    async def broken(ctx):
        raise error

    runtime = await running(waiting(commands=["mail"]), commands=[broken], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).failed == 1
    assert (await runtime.get_instance(instance.id)).timers[0].attempts == 1


async def test_a_guard_that_writes_what_it_was_given_harms_nobody(running, clock):
    @guard("may")
    def may(ctx):
        ctx.trigger_metadata["bad"] = object()
        ctx.guard_metadata["seen"] = True
        return Refuse("no\0t yet")

    definition = waiting(guard={"name": "may", "metadata": {"level": 1}})
    runtime = await running(definition, guards=[may], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).refused == 1
    assert (await runtime.get_history(instance.id))[0].trigger_metadata == {"source": "timeout"}
    assert "\0" not in (await runtime.get_instance(instance.id)).timers[0].reason
    assert runtime.definition("wait").states["waiting"].events["expire"].guard.metadata == {"level": 1}


async def test_one_sweep_fires_all_that_is_due_of_one_instance(running, clock):
    runtime = await running(REMINDED, commands=[mail])
    invoice = await runtime.create_instance("invoice")
    clock.advance("15d")
    assert (await runtime.process_timeouts()).processed == 2
    assert (await runtime.get_instance(invoice.id)).state == "overdue"


async def test_a_timeout_whose_event_has_a_payload_model_fires_with_an_empty_payload(running, clock):
    seen = []

    @command("mail")
    async def told(ctx):
        seen.append(ctx.payload)

    schema = {"type": "object", "properties": {"by": {"type": "string"}}}
    runtime = await running(waiting(commands=["mail"], payload=schema), commands=[told])
    await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).processed == 1
    assert seen == [{}]


async def test_observers_hear_of_every_firing_whatever_came_of_it(running, clock, recorder):
    @guard("may")
    def may(ctx):
        if ctx.context["mood"] == "broken":
            raise LookupError("no such row")
        return ctx.context["mood"] == "good" or Refuse("not yet")

    @command("mail")
    async def broken(ctx):
        raise ConnectionError("smtp is down")

    alone = {**waiting(commands=["mail"]), "name": "alone"}
    runtime = await running(waiting(guard="may"), alone, commands=[broken], guards=[may], settings=STEADY)
    for mood in ("good", "bad", "broken"):
        await runtime.create_instance("wait", context={"mood": mood})
    await runtime.create_instance("alone")
    await runtime.settled()
    recorder.heard.clear()
    clock.advance("1h")
    await runtime.process_timeouts()
    await runtime.settled()
    assert sorted(recorder.heard) == [
        "ended completed",
        "expire waiting>done success",
        "failed expire: ConnectionError",
        "failed expire: LookupError",
        "refused expire: not yet",
    ]


async def test_an_available_event_tells_when_it_fires_by_itself_until_that_is_parked(running, clock):
    @guard("may")
    def may(ctx):
        return False

    once = Settings(timeout_retry=Retry(attempts=1))
    runtime = await running(waiting(guard="may"), guards=[may], settings=once)
    instance = await runtime.create_instance("wait")
    assert [event.due_at for event in await runtime.get_available_events(instance)] == [instance.due_at]
    clock.advance("1h")
    assert (await runtime.process_timeouts()).parked == 1
    assert [event.due_at for event in await runtime.get_available_events(instance)] == [None]


async def test_a_report_counts_what_was_parked_now_and_not_what_waits_already(running, clock):
    @guard("may")
    def may(ctx):
        return False

    definition = waiting(guard="may")
    definition["states"]["waiting"]["events"]["remind"] = {"internal": True, "timeout": "1d"}
    runtime = await running(definition, guards=[may], settings=Settings(timeout_retry=Retry(attempts=1)))
    await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).parked == 1
    clock.advance("1d")
    report = await runtime.process_timeouts()
    assert (report.processed, report.parked) == (1, 0)


async def test_a_sweep_fires_a_hundred_unless_told_otherwise(running, clock):
    runtime = await running(waiting())
    for _ in range(101):
        await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).processed == 100
