"""An explanation says where an instance stands, how it came there, and what holds it up; and it always has an answer."""

from datetime import timedelta

import pytest

from detent import Fail, MemoryStore, Refuse, Retry, Settings, SqliteStore, command, guard
from detent.errors import InstanceNotFound
from detent.ids import new_id
from detent.runtime import explanation_verbs
from detent.service.service import WorkflowService


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    """Kept open, so that runtimes over it may come and go."""
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")
    await store.open()
    yield store
    await store.close()


INVOICE = {
    "name": "invoice",
    "initial_state": "draft",
    "states": {
        "draft": {"events": {"send": {"target": "sent"}}},
        "sent": {
            "events": {
                "pay": {"target": "paid", "error": "disputed", "commands": ["charge"]},
                "void": {"target": "voided", "guard": "may_void"},
                "note": {"internal": True, "commands": ["write_note"]},
                "expire": {"target": "voided", "guard": "may_void", "timeout": "2h"},
            }
        },
        "disputed": {"events": {"drop": {"target": "voided", "guard": "may_void"}}},
        "paid": {},
        "voided": {"outcome": "cancelled"},
    },
}


@command("charge")
async def charge(ctx):
    return Fail("declined", "the card was declined.") if ctx.context.get("broke") else None


@command("write_note")
async def write_note(ctx):
    ctx.context["notes"] = ctx.context.get("notes", 0) + 1


@guard("may_void")
def may_void(ctx):
    if ctx.context.get("angry"):
        raise LookupError("no mood")
    return bool(ctx.context.get("voidable")) or Refuse("an auditor must agree")


STEADY = Settings(timeout_retry=Retry(attempts=2, initial=timedelta(minutes=10), jitter=0))


@pytest.fixture
async def runtime(running):
    return await running(INVOICE, commands=[charge, write_note], guards=[may_void], settings=STEADY)


async def sent(runtime, **context):
    invoice = await runtime.create_instance("invoice", context=context)
    return (await runtime.trigger_event(invoice, "send", trigger_metadata={"actor": "ana"})).instance


async def test_waiting_for_events_and_a_timeout(runtime, clock):
    invoice = await sent(runtime)
    clock.advance("30m")
    explanation = await runtime.explain(invoice.id)
    assert explanation.sentences == (
        f"Instance {invoice.id} of 'invoice', version 1, is active in state 'sent'.",
        "Event 'send' led there from 'draft', 30m ago, at 2030-01-01 12:00:00 UTC (actor: ana).",
        "It takes event 'pay', which leads to 'paid'.",
        "Event 'void' would be refused now: an auditor must agree.",
        "It takes event 'note', which stays in the state.",
        "Event 'expire' would be refused now: an auditor must agree.",
        "Timeout 'expire' fires by itself in 1h30m, at 2030-01-01 14:00:00 UTC.",
    )
    assert str(explanation) == "\n".join(explanation.sentences)
    assert (explanation.arrived_by.event, explanation.since) == ("send", invoice.entered_at)
    assert (explanation.last, explanation.problems) == (None, ())
    assert [event.name for event in explanation.events] == ["pay", "void", "note", "expire"]
    (outlook,) = explanation.timers
    assert (outlook.timer.event, outlook.left.total_seconds(), outlook.overdue) == ("expire", 5400, False)


async def test_a_new_instance_was_created_where_it_stands(runtime):
    invoice = await runtime.create_instance("invoice")
    lines = (await runtime.explain(invoice)).sentences
    assert lines[1] == "It was created there, just now, at 2030-01-01 12:00:00 UTC."


async def test_what_happened_a_second_ago_is_not_just_now(runtime, clock):
    invoice = await runtime.create_instance("invoice")
    clock.advance("1s")
    assert (await runtime.explain(invoice)).sentences[1].startswith("It was created there, 1s ago, at ")


async def test_a_timeout_is_not_overdue_at_its_very_instant(runtime, clock):
    invoice = await sent(runtime)
    clock.advance("2h")
    assert [outlook.overdue for outlook in (await runtime.explain(invoice)).timers] == [False]
    clock.advance("1s")
    assert [outlook.overdue for outlook in (await runtime.explain(invoice)).timers] == [True]


async def test_what_happened_since_is_told_and_is_not_how_it_came_there(runtime, clock):
    invoice = await sent(runtime)
    await runtime.trigger_event(invoice, "note")
    explanation = await runtime.explain(invoice)
    assert (explanation.arrived_by.event, explanation.last.event) == ("send", "note")
    assert explanation.sentences[2] == (
        "Last, event 'note' did its work in place, just now, at 2030-01-01 12:00:00 UTC."
    )
    clock.advance("1m")
    await runtime.trigger_event(invoice, "void")
    assert (await runtime.explain(invoice)).sentences[2] == (
        "Last, event 'void' was refused, just now, at 2030-01-01 12:01:00 UTC: an auditor must agree."
    )
    await runtime.patch_context(invoice, {"x": 1}, reason="by phone", trigger_metadata={"actor": "bo"})
    assert (await runtime.explain(invoice)).sentences[2] == (
        "Last, its context was patched, just now, at 2030-01-01 12:01:00 UTC (actor: bo): by phone."
    )


async def test_a_failure_that_was_rolled_back_is_told(running):
    @command("charge")
    async def breaks(ctx):
        raise ConnectionError("the bank is\nclosed.")

    runtime = await running(INVOICE, commands=[breaks, write_note], guards=[may_void])
    invoice = await sent(runtime)
    with pytest.raises(ConnectionError):
        await runtime.trigger_event(invoice, "pay")
    explanation = await runtime.explain(invoice)
    assert explanation.arrived_by.event == "send"
    assert explanation.sentences[2].startswith("Last, event 'pay' failed and was rolled back, just now")
    assert explanation.sentences[2].endswith(": ConnectionError: the bank is closed.")


async def test_led_astray_by_a_failure_and_stuck_there(runtime):
    invoice = await sent(runtime, broke=True)
    await runtime.trigger_event(invoice, "pay")
    explanation = await runtime.explain(invoice)
    assert explanation.sentences[1:] == (
        "Event 'pay' led there from 'sent' by failing, just now, at 2030-01-01 12:00:00 UTC: the card was declined.",
        "Event 'drop' would be refused now: an auditor must agree.",
        "It is stuck as things are: no timeout will fire, and every event would be refused.",
    )
    assert explanation.problems == explanation.sentences[-1:]
    await runtime.patch_context(invoice, {"voidable": True})
    assert (await runtime.explain(invoice)).problems == ()


async def test_a_guard_that_raises_is_a_refusal(runtime):
    invoice = await sent(runtime, angry=True)
    assert "Event 'void' would be refused now: guard 'may_void' raised LookupError: no mood." in str(
        await runtime.explain(invoice)
    )


@pytest.mark.parametrize(
    ("end", "stands", "came"),
    [
        ("pay", "has completed in state 'paid' since 2030-01-01 12:00:00 UTC.", "Event 'pay' led there from 'sent'"),
        ("void", "was cancelled in state 'voided' since", "Event 'void' led there from 'sent'"),
        ("cancel", "was cancelled in state 'sent' since", "Event 'send' led there from 'draft'"),
    ],
)
async def test_ended(runtime, clock, end, stands, came):
    invoice = await sent(runtime, voidable=True)
    if end == "cancel":
        await runtime.cancel(invoice, reason="a duplicate")
    else:
        await runtime.trigger_event(invoice, end)
    clock.advance("4d5h6m")
    explanation = await runtime.explain(invoice)
    lines = explanation.sentences
    assert stands in lines[0]
    assert lines[1].startswith(f"{came}, 4d5h ago")
    assert lines[-1] == "It has ended and takes no event any more."
    assert (explanation.events, explanation.timers, explanation.problems) == ((), (), ())
    assert ("Last, it was cancelled" in str(explanation)) == (end == "cancel")


async def test_paused(runtime, clock):
    invoice = await sent(runtime)
    await runtime.pause(invoice, reason="under audit")
    clock.advance("3h")
    explanation = await runtime.explain(invoice)
    assert explanation.sentences[3:] == (
        "Timeout 'expire' has been due for 1h.",
        "It is paused (under audit): it takes no event and fires no timeout until it is resumed.",
    )
    assert "is paused in state 'sent'" in explanation.sentences[0]
    assert explanation.problems == explanation.sentences[-1:]


async def test_a_timeout_refused_and_then_parked(runtime, clock):
    invoice = await sent(runtime)
    clock.advance("2h")
    await runtime.process_timeouts()
    assert (await runtime.explain(invoice)).sentences[-1] == (
        "Timeout 'expire' fires by itself in 10m, at 2030-01-01 14:10:00 UTC, after 1 attempt in vain: "
        "an auditor must agree."
    )
    clock.advance("10m")
    await runtime.process_timeouts()
    explanation = await runtime.explain(invoice)
    assert explanation.problems == (
        "Timeout 'expire' is parked after 2 attempts and waits for an operator (rearm): an auditor must agree.",
    )
    assert explanation.sentences.count(explanation.problems[0]) == 1
    assert (explanation.timers[0].timer.parked, explanation.timers[0].overdue) == (True, False)


async def test_a_timeout_is_late_before_it_is_a_problem(runtime, clock):
    invoice = await sent(runtime)
    clock.advance("2h1m")
    punctual = await runtime.explain(invoice)
    assert punctual.sentences[-1] == "Timeout 'expire' is due and fires with the next sweep."
    assert (punctual.problems, punctual.timers[0].overdue) == ((), True)
    clock.advance("1s")
    (problem,) = (await runtime.explain(invoice)).problems
    assert problem == (
        "Timeout 'expire' is overdue by 1m1s: it seems that nobody sweeps (run a worker, or call process_timeouts)."
    )


BARE = {
    "name": "invoice",
    "version": 2,
    "initial_state": "draft",
    "states": {"draft": {"events": {"send": {"target": "paid"}}}, "paid": {}},
}


async def test_withdrawn_because_its_version_cannot_run(runtime, running, clock):
    invoice = await sent(runtime)
    fresh = await running(BARE)
    clock.advance("3h")
    explanation = await fresh.explain(invoice)
    missing = (
        "no command 'charge' is registered, no command 'write_note' is registered, no guard 'may_void' is registered"
    )
    assert explanation.problems == (
        "Workflow 'invoice' is withdrawn in this process and takes no step: "
        f"version 1 has 1 live instance and cannot run: {missing}.",
        f"Version 1 cannot run in this process: {missing}.",
    )
    assert explanation.arrived_by.event == "send"
    assert explanation.events == ()
    assert explanation.sentences[2] == "Timeout 'expire' has been due for 1h."


async def test_withdrawn_because_of_others(runtime, running):
    await sent(runtime)
    both = await running(INVOICE, BARE, commands=[charge, write_note], guards=[may_void])
    second = await both.create_instance("invoice")
    fresh = await running(BARE)
    explanation = await fresh.explain(second)
    (problem,) = explanation.problems
    assert problem.startswith(
        "Workflow 'invoice' is withdrawn in this process and takes no step: version 1 has 1 live instance and cannot run"
    )
    assert [event.name for event in explanation.events] == ["send"]
    assert (await both.explain(second)).problems == ()


async def test_what_has_ended_is_held_up_by_nothing(runtime, running):
    await sent(runtime)
    ended = await sent(runtime)
    await runtime.cancel(ended)
    fresh = await running(BARE)
    assert fresh.unavailable
    explanation = await fresh.explain(ended)
    assert (explanation.problems, explanation.arrived_by.event) == ((), "send")


async def test_a_timeout_that_will_fire_is_a_way_on(running, clock):
    refusing = {"target": "voided", "guard": "may_void"}
    states = {"sent": {"events": {"void": refusing, "expire": {**refusing, "timeout": "2h"}}}, "voided": {}}
    runtime = await running(
        {"name": "invoice", "initial_state": "sent", "states": states}, guards=[may_void], settings=STEADY
    )
    invoice = await runtime.create_instance("invoice")
    assert (await runtime.explain(invoice)).problems == ()
    for _ in range(2):
        clock.advance("2h")
        await runtime.process_timeouts()
    parked, stuck = (await runtime.explain(invoice)).problems
    assert parked.startswith("Timeout 'expire' is parked after 2 attempts")
    assert stuck == "It is stuck as things are: no timeout will fire, and every event would be refused."


async def test_a_state_that_the_newest_version_lacks(running):
    def claim(version, state):
        states = {state: {"events": {"next": {"target": "end"}}}, "end": {}}
        return {
            "name": "claim",
            "version": version,
            "version_policy": "latest",
            "initial_state": state,
            "states": states,
        }

    old = await running(claim(1, "filed"))
    instance = await old.create_instance("claim")
    new = await running(claim(2, "noted"), settings=Settings(unresolvable="warn"))
    (problem,) = (await new.explain(instance)).problems
    assert problem.startswith("Version 1 cannot run in this process: instance")
    assert problem.endswith("is in state 'filed', which version 2 of 'claim' does not have.")
    await old.trigger_event(instance, "next")
    assert (await new.explain(instance)).problems == ()


async def test_put_there_by_an_operator_and_by_itself(running):
    definition = {
        "name": "hop",
        "initial_state": "a",
        "states": {
            "a": {"on_enter": {"target": "b"}},
            "b": {"on_enter": {"commands": ["write_note"]}, "events": {"go": {"target": "b"}, "end": {"target": "c"}}},
            "c": {},
        },
    }
    runtime = await running(definition, commands=[write_note])
    instance = await runtime.create_instance("hop")
    hopped = await runtime.explain(instance)
    assert hopped.sentences[1].startswith("It went there by itself from 'a', just now")
    assert hopped.sentences[2].startswith("Last, what its state does on entry was done, just now")
    await runtime.trigger_event(instance, "go")
    assert (await runtime.explain(instance)).arrived_by.event == "go"
    await runtime.force(instance, "b", reason="once more")
    forced = await runtime.explain(instance)
    assert forced.sentences[1] == (
        "An operator put it there from 'b', just now, at 2030-01-01 12:00:00 UTC: once more."
    )


async def test_how_it_came_there_is_found_behind_many_refusals_up_to_a_point(runtime, clock, monkeypatch):
    monkeypatch.setattr(explanation_verbs, "PAGE", 3)
    invoice = await sent(runtime)
    for _ in range(7):
        clock.advance("1s")
        await runtime.trigger_event(invoice, "void")
    assert (await runtime.explain(invoice)).arrived_by.event == "send"
    monkeypatch.setattr(explanation_verbs, "LOOK_BACK", 6)
    explanation = await runtime.explain(invoice)
    assert (explanation.arrived_by, explanation.last.event) == (None, "void")
    assert explanation.sentences[1] == (
        "It has been there for 7s, since 2030-01-01 12:00:00 UTC; history does not tell any more how it came there."
    )


async def test_a_handle_and_a_service_explain_too(runtime):
    invoice = await sent(runtime)
    assert (await runtime.get_handle(invoice).explain()).arrived_by.event == "send"
    service = WorkflowService(runtime).for_tenant("acme")
    with pytest.raises(InstanceNotFound):
        await service.explain(invoice)
    with pytest.raises(InstanceNotFound):
        await runtime.explain(new_id())


async def test_inside_a_lent_transaction_it_sees_what_is_not_committed(runtime, store):
    invoice = await runtime.create_instance("invoice")
    async with store.begin() as connection:
        await runtime.trigger_event(invoice, "send", connection=connection)
        explanation = await runtime.explain(invoice.id, connection=connection)
    assert (explanation.instance.state, explanation.arrived_by.event) == ("sent", "send")
