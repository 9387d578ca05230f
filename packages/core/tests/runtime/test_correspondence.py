"""An explanation tells what goes between an instance and others: messages to it, its children, deliveries from it."""

from datetime import timedelta

import pytest

from detent import MemoryStore, Refuse, Retry, Settings, SqliteStore, command, guard, subscriber
from detent.runtime.correspondence import LIMIT, SHOWN
from detent.runtime.outgoing import order_to_cancel

MINUTE = Retry(attempts=2, initial=timedelta(minutes=1), jitter=0)
STEADY = Settings(inbox_retry=MINUTE, outbox_retry=MINUTE)

GATE = {
    "name": "gate",
    "initial_state": "shut",
    "states": {
        "shut": {
            "events": {
                "open": {"target": "wide", "commands": ["say"]},
                "knock": {"target": "shut", "guard": "awake"},
                "work": {"internal": True, "commands": ["toil"]},
                "ship": {"internal": True, "commands": ["ship"]},
                "end": {"target": "gone"},
            }
        },
        "wide": {"events": {"close": {"target": "shut"}}},
        "gone": {},
    },
}
BOX = {
    "name": "box",
    "initial_state": "full",
    "states": {"full": {"events": {"empty": {"target": "done"}}}, "done": {}},
}


@command("say")
async def say(ctx):
    ctx.publish("gate.open", {"by": "hand"})


@command("toil", durable=True)
async def toil(ctx):
    pass


@command("ship")
async def ship(ctx):
    await ctx.start_child("box")
    for _ in range(2):
        await ctx.start_child("box", on_end="close", wait_for="all", group="g")
    await ctx.start_child("box", on_end="knock")


@guard("awake")
def awake(ctx):
    return bool(ctx.context.get("awake")) or Refuse("everybody sleeps")


@subscriber("gate.*", name="mail")
async def mail(delivery):
    raise KeyError("no stamp")


@pytest.fixture(params=["memory", "sqlite"])
async def runtime(request, running, tmp_path):
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")
    return await running(
        GATE, BOX, commands=[say, toil, ship], guards=[awake], subscribers=[mail], settings=STEADY, store=store
    )


async def told(runtime, gate, word):
    return [line for line in (await runtime.explain(gate.id)).sentences if word in line]


async def test_messages_that_wait_are_told_with_the_reason(runtime, clock):
    gate = await runtime.create_instance("gate")
    await runtime.send(gate, "close", expires="1d")
    await runtime.send(gate, "open", delay="2h")
    clock.advance("30s")
    await runtime.send(gate, "knock")
    assert (await runtime.explain(gate.id)).sentences[-3:] == (
        "Message 'close', sent 30s ago, waits for a state that declares it, until 2030-01-02 12:00:00 UTC.",
        "Message 'open', sent 30s ago, may be taken in 1h59m.",
        "Message 'knock', sent just now, is taken with the next sweep.",
    )
    await runtime.process_inbox()
    clock.advance("10s")
    explanation = await runtime.explain(gate.id)
    assert explanation.sentences[-1] == (
        "Message 'knock', sent 10s ago, is tried again in 50s, after 1 attempt in vain: everybody sleeps."
    )
    assert [message.event for message in explanation.messages] == ["close", "open", "knock"]
    assert explanation.problems == ()


async def test_messages_wait_for_the_end_of_a_run_and_for_the_end_of_a_pause(runtime):
    gate = await runtime.create_instance("gate")
    await runtime.send(gate, "open")
    await runtime.trigger_event(gate.id, "work")
    assert await told(runtime, gate, "Message") == ["Message 'open', sent just now, waits for the end of the run."]
    await runtime.process_runs()
    await runtime.pause(gate)
    assert await told(runtime, gate, "Message") == [
        "Message 'open', sent just now, waits until the instance is resumed."
    ]


async def test_a_message_that_nobody_takes_is_a_problem(runtime, clock):
    gate = await runtime.create_instance("gate")
    await runtime.send(gate, "open")
    clock.advance("1m")
    assert (await runtime.explain(gate.id)).problems == ()
    clock.advance("5s")
    assert (await runtime.explain(gate.id)).problems == (
        "Message 'open' could have been taken for 1m5s: it seems that nobody takes messages "
        "(run a worker, or call process_inbox).",
    )


async def test_dead_letters_are_problems_of_the_living_and_of_those_that_have_ended(runtime, clock):
    gate = await runtime.create_instance("gate")
    await runtime.send(gate, "knock")
    for _ in range(2):
        await runtime.process_inbox()
        clock.advance("1m")
    dead = (
        "Message 'knock' is a dead letter since 2030-01-01 12:01:00 UTC: everybody sleeps "
        "(inbox.revive, inbox.discard).",
    )
    assert (await runtime.explain(gate.id)).problems == dead
    await runtime.send(gate, "open")
    await runtime.trigger_event(gate.id, "end")
    ended = await runtime.explain(gate.id)
    assert ended.problems == dead
    assert "Message 'open', sent just now, comes too late." in ended.sentences


async def test_many_dead_letters_are_told_in_few_lines(runtime, clock):
    gate = await runtime.create_instance("gate")
    for _ in range(LIMIT + 1):
        await runtime.send(gate, "close", expires="1m")
    clock.advance("1m")
    await runtime.process_inbox()
    explanation = await runtime.explain(gate.id)
    assert (len(explanation.messages), len(explanation.problems)) == (LIMIT, SHOWN + 1)
    assert explanation.problems[-1] == f"There are more dead letters than these {SHOWN} (inbox.list)."


async def test_live_children_are_told_with_what_their_end_sends(runtime):
    gate = await runtime.create_instance("gate")
    await runtime.trigger_event(gate.id, "ship")
    assert await told(runtime, gate, "live") == [
        "It has 1 live child of workflow 'box': nobody is told of the end.",
        "It has 2 live children of workflow 'box': the last one's end in group 'g' sends it event 'close'.",
        "It has 1 live child of workflow 'box': the end of each sends it event 'knock'.",
    ]
    children = (await runtime.explain(gate.id)).children
    assert len(children) == 4
    for child in children:
        await runtime.trigger_event(child.id, "empty")
    assert (await runtime.explain(gate.id)).children == ()


async def test_the_order_to_cancel_children_is_told_until_it_is_carried_out(runtime, clock):
    gate = await runtime.create_instance("gate")
    await runtime.trigger_event(gate.id, "ship")
    cancelled = await runtime.cancel(gate.id)
    # As after a crash between the commit and what follows it.
    await runtime.store.inbox.put(order_to_cancel(cancelled, None, clock.now()))
    assert await told(runtime, gate, "order") == ["The order to cancel its children is taken with the next sweep."]
    await runtime.process_inbox()
    assert await told(runtime, gate, "order") == []


async def test_deliveries_are_told_until_they_are_made_and_dead_ones_are_problems(runtime, clock):
    gate = await runtime.create_instance("gate")
    await runtime.trigger_event(gate.id, "open")
    due = "It has 1 delivery to 'mail' to make: that of 'gate.open' waits for a worker."
    assert await told(runtime, gate, "deliver") == [due]
    await runtime.process_outbox()
    assert await told(runtime, gate, "deliver") == [
        "It has 1 delivery to 'mail' to make: that of 'gate.open' is made again in 1m, "
        "after 1 attempt in vain: KeyError: 'no stamp'."
    ]
    clock.advance("1m")
    await runtime.process_outbox()
    explanation = await runtime.explain(gate.id)
    assert explanation.problems == (
        "The delivery of 'gate.open' to 'mail' is dead since 2030-01-01 12:01:00 UTC, "
        "after 2 attempts in vain: KeyError: 'no stamp' (outbox.replay).",
    )
    assert [delivery.topic for delivery in explanation.deliveries] == ["gate.open"]
    await runtime.outbox.replay(explanation.deliveries)
    assert await told(runtime, gate, "deliver") == [due]


async def test_what_was_sent_in_a_lent_transaction_is_told_there(runtime):
    gate = await runtime.create_instance("gate")
    async with runtime.store.transaction(None) as unit:
        await runtime.send(gate, "open", connection=unit.connection)
        inside = await runtime.explain(gate.id, connection=unit.connection)
        assert [message.event for message in inside.messages] == ["open"]
