"""The inbox: what is sent is kept, taken once, in order, when the instance can take it; the rest is reported."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from detent import (
    Fail,
    InboxMessage,
    InboxReport,
    InstanceFinished,
    InstanceNotFound,
    InvalidValue,
    MemoryStore,
    Ok,
    Outcome,
    Refuse,
    Retry,
    RunStatus,
    Settings,
    Status,
    WorkflowDefinition,
    WorkflowObserver,
    command,
    guard,
)
from detent.errors import StepRolledBack, StoreUnavailable
from detent.runtime import judging
from detent.runtime.runtime import WorkflowRuntime
from detent.store.messages import InboxQuery

STEADY = Settings(inbox_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))

ORDER = {
    "name": "order",
    "initial_state": "new",
    "states": {
        "new": {"events": {"pay": {"target": "paid"}, "note": {"internal": True, "commands": ["note"]}}},
        "paid": {"events": {"ship": {"target": "shipped"}, "note": {"internal": True, "commands": ["note"]}}},
        "shipped": {"events": {"close": {"target": "closed"}}},
        "closed": {},
    },
}


@command("note")
async def note(ctx):
    ctx.context["notes"] = [*ctx.context.get("notes", []), ctx.payload]


class Mourner(WorkflowObserver):
    """Remembers the dead letters it was told of."""

    def __init__(self) -> None:
        self.letters: list[InboxMessage] = []

    async def on_dead_letter(self, message: InboxMessage) -> None:
        self.letters.append(message)


@pytest.fixture
async def runtime(running):
    return await running(ORDER, commands=[note], settings=STEADY)


async def waiting(runtime, **query):
    return [(message.event, message.payload) for message in await runtime.inbox.list(dead=False, **query)]


def report(**counts):
    return InboxReport(**{name: counts.get(name, 0) for name in ("applied", "waiting", "postponed", "dead", "skipped")})


async def test_a_sent_event_is_taken_once_with_its_payload_and_who_sent_it(runtime):
    order = await runtime.create_instance("order")
    sent = await runtime.send(order.id, "pay", {"card": "x"}, trigger_metadata={"actor": "ana"})

    assert (sent.instance_id, sent.event, sent.payload) == (order.id, "pay", {"card": "x"})
    assert (await runtime.get_instance(order.id)).state == "new"
    assert await runtime.process_inbox() == report(applied=1)
    entry = (await runtime.get_history(order.id))[0]
    assert (entry.event, entry.to_state, entry.payload, entry.trigger_metadata) == (
        "pay",
        "paid",
        {"card": "x"},
        {"actor": "ana"},
    )
    assert await runtime.inbox.list() == []
    assert await runtime.process_inbox() == report()


async def test_an_event_that_comes_before_the_wait_is_kept_until_its_state_is_reached(runtime):
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "ship")

    assert await runtime.process_inbox() == report(waiting=1)
    assert await runtime.process_inbox() == report(), "it is not judged again before the instance moves"
    await runtime.trigger_event(order.id, "pay")
    assert await runtime.process_inbox() == report(applied=1)
    assert (await runtime.get_instance(order.id)).state == "shipped"


async def test_one_visit_takes_all_that_fits_in_the_order_of_arrival(runtime):
    order = await runtime.create_instance("order")
    for event, payload in [("close", None), ("note", 1), ("pay", None), ("ship", None), ("note", 2)]:
        await runtime.send(order.id, event, payload)

    assert await runtime.process_inbox() == report(applied=4, dead=1)
    now = await runtime.get_instance(order.id)
    assert (now.status, now.context["notes"]) == (Status.COMPLETED, [1])
    assert [entry.event for entry in reversed(await runtime.get_history(order.id))] == [
        "$created",
        "note",
        "pay",
        "ship",
        "close",
    ]


async def test_events_of_one_name_are_taken_in_the_order_they_were_sent(runtime):
    order = await runtime.create_instance("order")
    for number in range(20):
        await runtime.send(order.id, "note", number)

    assert (await runtime.process_inbox()).applied == 20
    assert (await runtime.get_instance(order.id)).context["notes"] == list(range(20))


async def test_any_number_of_sweeps_at_once_take_each_message_once_and_in_order(runtime):
    orders = [await runtime.create_instance("order") for _ in range(5)]
    for number in range(10):
        for order in orders:
            await runtime.send(order.id, "note", number)

    reports = await asyncio.gather(*(runtime.process_inbox() for _ in range(8)))
    while (again := await runtime.process_inbox()) != report():
        reports.append(again)

    assert sum(one.applied for one in reports) == 50
    for order in orders:
        assert (await runtime.get_instance(order.id)).context["notes"] == list(range(10))


async def test_an_event_that_no_state_declares_is_refused_with_the_nearest_name(runtime):
    order = await runtime.create_instance("order")
    for wrong in ("shop", "$cancel_children"):
        with pytest.raises(InvalidValue) as refused:
            await runtime.send(order.id, wrong)
        assert refused.value.path == "event"
    with pytest.raises(InvalidValue, match="did you mean 'ship'"):
        await runtime.send(order.id, "shipp")
    with pytest.raises(InvalidValue, match="payload"):
        await runtime.send(order.id, "ship", {1, 2})


async def test_nothing_is_sent_to_an_instance_that_is_not_there_of_another_tenant_or_ended(runtime):
    order = await runtime.create_instance("order", tenant="a")
    with pytest.raises(InstanceNotFound):
        await runtime.send("0198c000-0000-7000-8000-000000000000", "pay")
    await runtime.cancel(order.id)
    with pytest.raises(InstanceFinished):
        await runtime.send(order.id, "pay")


async def test_a_tenant_sees_its_own_messages_and_instances_only(store, running, clock):
    await running(ORDER, commands=[note])
    ours = await running(ORDER, commands=[note], tenant="a")
    theirs = await running(ORDER, commands=[note], tenant="b")
    order = await ours.create_instance("order")
    sent = await ours.send(order.id, "close")

    with pytest.raises(InstanceNotFound):
        await theirs.send(order.id, "pay")
    assert await theirs.inbox.list() == []
    assert await theirs.inbox.discard(sent.id) == set()
    assert await theirs.process_inbox() == report()
    assert [message.id for message in await ours.inbox.list()] == [sent.id]
    assert await ours.inbox.discard([sent.id]) == {sent.id}


async def test_a_delayed_message_waits_and_holds_up_nobody(runtime, clock):
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "note", "late", delay="2h")
    await runtime.send(order.id, "note", "soon")

    assert await runtime.process_inbox() == report(applied=1)
    clock.advance("2h")
    assert await runtime.process_inbox() == report(applied=1)
    assert (await runtime.get_instance(order.id)).context["notes"] == ["soon", "late"]


@pytest.mark.parametrize("early", [{"event": "ship"}, {"event": "pay", "delay": "2h"}])
async def test_the_last_of_very_many_messages_is_taken_when_it_alone_can_be(runtime, early):
    order = await runtime.create_instance("order")
    for _ in range(1499):
        await runtime.send(order.id, **early)
    await runtime.send(order.id, "note", "found")

    assert (await runtime.process_inbox()).applied == 1
    assert (await runtime.get_instance(order.id)).context["notes"] == ["found"]


async def test_more_messages_than_are_judged_at_once_are_all_judged_in_one_visit(runtime, monkeypatch):
    monkeypatch.setattr(judging, "JUDGED_AT_ONCE", 500)
    order = await runtime.create_instance("order")
    for _ in range(2500):
        await runtime.send(order.id, "ship")

    assert await runtime.process_inbox() == report(waiting=2500)
    assert await runtime.process_inbox() == report()
    await runtime.cancel(order.id)
    assert await runtime.process_inbox() == report(dead=2500)


async def test_a_message_that_was_put_off_blocks_its_own_event_however_many_are_behind_it(running, clock):
    @guard("good")
    def good(ctx):
        return Refuse("bad") if ctx.payload == "bad" else True

    runtime = await running(_with_guard(), guards=[good], commands=[note], settings=STEADY)
    door = await runtime.create_instance("door")
    bad = await runtime.send(door.id, "enter", "bad")
    for _ in range(1200):
        await runtime.send(door.id, "enter", "late", delay="2h")
    await runtime.send(door.id, "enter", "good")

    assert await runtime.process_inbox() == report(postponed=1)
    last = (await runtime.inbox.list(after=bad.number + 1199))[-1]
    assert (last.payload, last.available_at) == ("good", clock.now() + _minutes(1))
    await runtime.inbox.discard(bad.id)
    clock.advance("1m")
    assert await runtime.process_inbox() == report(applied=1)


async def test_an_expired_message_is_a_dead_letter_that_observers_hear_of(store, clock, caplog):
    mourner = Mourner()
    definition = WorkflowDefinition.from_dict(ORDER)
    async with WorkflowRuntime(
        store=store, definitions=[definition], commands=[note], observers=[mourner], clock=clock
    ) as runtime:
        order = await runtime.create_instance("order")
        sent = await runtime.send(order.id, "ship", expires="1h")
        assert await runtime.process_inbox() == report(waiting=1)
        clock.advance("1h")
        assert await runtime.process_inbox() == report(dead=1)
        await runtime.settled()
        await runtime.trigger_event(order.id, "pay")
        assert await runtime.process_inbox() == report()

        [dead] = await runtime.inbox.list(dead=True)
        assert (dead.id, dead.dead_at, dead.reason) == (sent.id, clock.now(), "it expired")
        assert mourner.letters == [dead]
        assert "dead letter: it expired" in caplog.text


async def test_a_message_that_would_expire_before_it_may_be_taken_is_refused(runtime):
    order = await runtime.create_instance("order")
    with pytest.raises(InvalidValue, match="expires"):
        await runtime.send(order.id, "pay", delay="2h", expires="1h")


async def test_what_is_left_when_the_instance_ends_is_dead(runtime):
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "ship")
    await runtime.cancel(order.id)

    assert (await runtime.process_inbox()).dead == 1
    [dead] = await runtime.inbox.list(dead=True, instance=order.id)
    assert dead.reason == "the instance is cancelled"
    assert await runtime.process_inbox() == report()


async def test_nothing_is_taken_by_a_paused_instance(runtime):
    order = await runtime.create_instance("order")
    await runtime.pause(order.id)
    await runtime.send(order.id, "pay")

    assert await runtime.process_inbox() == report()
    await runtime.resume(order.id)
    assert await runtime.process_inbox() == report(applied=1)


async def test_a_refused_message_backs_off_and_blocks_its_own_event_only(running, clock):
    open_for = {"vip"}

    @guard("known")
    def known(ctx):
        return True if ctx.payload in open_for else Refuse(f"{ctx.payload} is unknown")

    definition = {
        "name": "door",
        "initial_state": "shut",
        "states": {
            "shut": {
                "events": {
                    "enter": {"internal": True, "guard": "known", "commands": ["note"]},
                    "note": {"internal": True, "commands": ["note"]},
                    "end": {"target": "ended"},
                }
            },
            "ended": {},
        },
    }
    runtime = await running(definition, commands=[note], guards=[known], settings=STEADY)
    door = await runtime.create_instance("door")
    for event, payload in [("enter", "guest"), ("enter", "vip"), ("note", "n")]:
        await runtime.send(door.id, event, payload)

    assert await runtime.process_inbox() == report(applied=1, postponed=1)
    assert (await runtime.get_instance(door.id)).context["notes"] == ["n"]
    first, second = await runtime.inbox.list()
    assert (first.attempts, first.reason, first.available_at) == (1, "guest is unknown", clock.now() + _minutes(1))
    assert (second.attempts, second.available_at) == (0, clock.now() + _minutes(1)), "it is not found until then"
    assert await runtime.process_inbox() == report()

    await runtime.send(door.id, "enter", "vip")
    assert await runtime.process_inbox() == report()
    clock.advance("1m")
    assert await runtime.process_inbox() == report(postponed=1)
    open_for.add("guest")
    clock.advance("2m")
    assert await runtime.process_inbox() == report(applied=3)
    assert (await runtime.get_instance(door.id)).context["notes"] == ["n", "guest", "vip", "vip"]


async def test_a_message_that_is_refused_too_often_is_dead_and_frees_those_behind(running, clock):
    @guard("good")
    def good(ctx):
        return True if ctx.payload == "good" else Refuse("bad")

    definition = _with_guard()
    runtime = await running(definition, guards=[good], commands=[note], settings=STEADY)
    door = await runtime.create_instance("door")
    bad = await runtime.send(door.id, "enter", "bad", idempotency_key="k")
    await runtime.send(door.id, "enter", "good")

    for minutes in (1, 2):
        assert await runtime.process_inbox() == report(postponed=1)
        clock.advance(minutes=minutes)
    assert await runtime.process_inbox() == report(dead=1, applied=1)
    [dead] = await runtime.inbox.list(dead=True)
    assert (dead.id, dead.attempts, dead.reason) == (bad.id, 3, "bad")

    assert await runtime.inbox.revive(bad) == {bad.id}
    assert await runtime.process_inbox() == report(postponed=1)
    assert await runtime.inbox.discard(bad.id) == {bad.id}
    assert await runtime.inbox.list() == []


async def test_a_message_behind_one_that_was_discarded_is_not_overtaken(running, clock):
    @guard("good")
    def good(ctx):
        return Refuse("bad") if ctx.payload == "bad" else True

    runtime = await running(_with_guard(), guards=[good], commands=[note], settings=STEADY)
    door = await runtime.create_instance("door")
    bad = await runtime.send(door.id, "enter", "bad")
    await runtime.send(door.id, "enter", 1)
    await runtime.process_inbox()
    await runtime.inbox.discard(bad.id)
    await runtime.send(door.id, "enter", 2)

    assert await runtime.process_inbox() == report()
    clock.advance("1m")
    assert await runtime.process_inbox() == report(applied=2)
    assert (await runtime.get_instance(door.id)).context["notes"] == [1, 2]


async def test_a_failing_command_rolls_back_leaves_its_entry_and_is_tried_again(running, clock, story):
    answers = [RuntimeError("no network"), Fail("declined", "no money"), Ok()]

    @command("charge")
    async def charge(ctx):
        ctx.connection.put("charges", "c", len(answers))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    runtime = await running(_charging(), commands=[charge], settings=STEADY)
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "pay", idempotency_key="pay-1")

    for minutes in (1, 2):
        assert await runtime.process_inbox() == report(postponed=1)
        assert (await runtime.get_instance(order.id)).state == "new"
        clock.advance(minutes=minutes)
    assert await runtime.process_inbox() == report(applied=1)
    assert await story(runtime, order) == [
        "1 $created None>new success",
        "2 pay new>new failed",
        "3 pay new>new failed",
        "4 pay new>paid success",
    ]


async def test_a_payload_that_breaks_its_model_is_dead_at_once(running):
    definition = {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {
                "events": {
                    "pay": {
                        "target": "paid",
                        "payload": {
                            "type": "object",
                            "properties": {"amount": {"type": "integer"}},
                            "required": ["amount"],
                        },
                    }
                }
            },
            "paid": {},
        },
    }
    runtime = await running(definition)
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "pay", {"amount": "much"})
    await runtime.send(order.id, "pay", {"amount": 3})

    assert await runtime.process_inbox() == report(dead=1, applied=1)
    [dead] = await runtime.inbox.list(dead=True)
    assert "payload" in dead.reason


async def test_a_key_that_was_answered_consumes_the_message_and_runs_nothing(runtime):
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "note", payload=1, idempotency_key="once")
    await runtime.send(order.id, "note", 1, idempotency_key="once")
    await runtime.send(order.id, "note", 2, idempotency_key="twice")
    await runtime.send(order.id, "note", 2, idempotency_key="twice")

    assert await runtime.process_inbox() == report(applied=3)
    assert (await runtime.get_instance(order.id)).context["notes"] == [1, 2]
    replayed = await runtime.trigger_event(order.id, "note", idempotency_key="twice")
    assert replayed.replayed


async def test_a_key_that_stands_for_another_event_makes_a_dead_letter(runtime):
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "note", payload=1, idempotency_key="k")
    await runtime.send(order.id, "pay", idempotency_key="k")

    assert await runtime.process_inbox() == report(dead=1)
    assert (await runtime.get_instance(order.id)).state == "new"


async def test_one_bad_message_stops_no_other_instance(running):
    @command("explode")
    async def explode(ctx):
        raise InstanceNotFound(ctx.instance_id)

    definition = {
        "name": "bomb",
        "initial_state": "new",
        "states": {"new": {"events": {"go": {"target": "gone", "commands": ["explode"]}}}, "gone": {}},
    }
    runtime = await running(definition, ORDER, commands=[explode, note], settings=STEADY)
    bomb, order = await runtime.create_instance("bomb"), await runtime.create_instance("order")
    await runtime.send(bomb.id, "go")
    await runtime.send(order.id, "pay")

    assert await runtime.process_inbox() == report(postponed=1, applied=1)


async def test_a_durable_event_is_accepted_as_a_run_and_later_messages_wait_for_it(running, clock):
    @command("charge", durable=True)
    async def charge(ctx):
        return Ok()

    runtime = await running(_charging(), commands=[charge], settings=STEADY)
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "pay")
    await runtime.send(order.id, "close")

    assert await runtime.process_inbox() == report(applied=1)
    [run] = await runtime.runs.for_instance(order.id)
    assert (run.status, run.event) == (RunStatus.PENDING, "pay")
    assert await waiting(runtime) == [("close", None)]
    assert await runtime.process_inbox() == report()
    assert (await runtime.process_runs()).completed == 1
    assert await runtime.process_inbox() == report(applied=1)
    assert (await runtime.get_instance(order.id)).state == "closed"


async def test_an_instance_that_a_step_holds_is_passed_over(runtime, store):
    order = await runtime.create_instance("order")
    await runtime.send(order.id, "pay")
    async with store.transaction(order.id):
        assert await runtime.process_inbox() == report(skipped=1)
    assert await runtime.process_inbox() == report(applied=1)


async def test_a_message_is_there_when_the_transaction_that_sent_it_commits(runtime, store):
    words: list[str] = []
    async with store.signals.listen(words.append):
        async with store.begin() as transaction:
            order = await runtime.create_instance("order", connection=transaction)
            await runtime.send(order.id, "pay", connection=transaction)
            assert await runtime.inbox.list() == []
            assert await runtime.process_inbox() == report()
            assert "inbox" not in words
        assert "inbox" in words
    assert await runtime.process_inbox() == report(applied=1)


async def test_a_message_is_gone_with_the_transaction_that_rolled_back(runtime, store):
    order = await runtime.create_instance("order")
    with suppress(ZeroDivisionError):
        async with store.begin() as transaction:
            await runtime.send(order.id, "pay", connection=transaction)
            raise ZeroDivisionError
    assert await runtime.inbox.list() == []


async def test_a_sent_message_is_announced_and_waits_for_nobody_who_holds_the_instance(runtime, store):
    order = await runtime.create_instance("order")
    words: list[str] = []
    async with store.signals.listen(words.append), store.transaction(order.id):
        await runtime.send(order.id, "pay")
    assert words == ["inbox"]


@pytest.mark.parametrize("error", [StepRolledBack("deadlock"), StoreUnavailable("gone"), RuntimeError("dead")])
async def test_a_crash_before_the_commit_leaves_message_and_instance_as_they_were(running, clock, error, monkeypatch):
    store = MemoryStore()
    runtime = await running(ORDER, commands=[note], settings=STEADY, store=store)
    order = await runtime.create_instance("order")
    sent = await runtime.send(order.id, "note", 1)
    unit = type(await _unit(store, order.id))
    write = unit.write

    async def crash(self, change):
        await write(self, change)
        monkeypatch.setattr(unit, "write", write)
        raise error

    monkeypatch.setattr(unit, "write", crash)
    try:
        await runtime.process_inbox()
    except StoreUnavailable as raised:
        assert raised is error  # noqa: PT017 - only one of the three is raised
    now = await runtime.get_instance(order.id)
    assert now.context == {}
    assert [message.id for message in await runtime.inbox.list()] == [sent.id]

    clock.advance("1m")
    assert await runtime.process_inbox() == report(applied=1)
    assert (await runtime.get_instance(order.id)).context == {"notes": [1]}


async def test_messages_of_a_version_that_cannot_run_here_are_left_to_others(store, clock):
    newer = {**ORDER, "version": "2.0.0"}
    theirs = WorkflowRuntime(
        store=store, definitions=[WorkflowDefinition.from_dict(ORDER)], commands=[note], clock=clock
    )
    async with theirs:
        order = await theirs.create_instance("order")
        older = WorkflowDefinition.from_dict(
            {**newer, "states": {"new": {"events": {"pay": {"target": "paid"}}}, "paid": {}}}
        )
        ours = WorkflowRuntime(store=store, definitions=[older], clock=clock, settings=Settings(unresolvable="warn"))
        async with ours:
            await ours.send(order.id, "ship")
            await ours.send(order.id, "pay")
            assert await ours.process_inbox() == report(skipped=1)
            assert await ours.process_inbox() == report()
            clock.advance("5s")
            assert await theirs.process_inbox() == report(applied=2)


async def test_messages_are_listed_page_by_page_and_by_event(runtime):
    order = await runtime.create_instance("order")
    for number in range(3):
        await runtime.send(order.id, "note", number)
    await runtime.send(order.id, "ship")

    first = await runtime.inbox.list(limit=2)
    assert [message.payload for message in first] == [0, 1]
    assert [message.event for message in await runtime.inbox.list(after=first[-1])] == ["note", "ship"]
    assert len(await runtime.inbox.list(event="ship", instance=order, after=first[-1].number)) == 1
    for wrong in ({"limit": 0}, {"after": "x"}):
        with pytest.raises(InvalidValue):
            await runtime.inbox.list(**wrong)


async def test_a_refusal_that_is_not_recorded_still_backs_off(running, clock):
    @guard("good")
    def good(ctx):
        return Refuse("never")

    definition = {**_with_guard(), "record_refusals": False}
    runtime = await running(definition, guards=[good], commands=[note], settings=STEADY)
    door = await runtime.create_instance("door")
    await runtime.send(door.id, "enter")

    assert await runtime.process_inbox() == report(postponed=1)
    assert len(await runtime.get_history(door.id)) == 1
    assert await runtime.process_inbox() == report()


async def test_a_command_may_send_to_another_instance_in_its_own_commit(running, store):
    @command("tell")
    async def tell(ctx):
        await wired.send(ctx.payload, "note", "hello", connection=ctx.connection)

    teller = {
        "name": "teller",
        "initial_state": "new",
        "states": {"new": {"events": {"go": {"target": "gone", "commands": ["tell"]}}}, "gone": {}},
    }
    wired = await running(ORDER, teller, commands=[note, tell])
    order, one = await wired.create_instance("order"), await wired.create_instance("teller")
    result = await wired.trigger_event(one.id, "go", payload=str(order.id))
    assert result.outcome is Outcome.SUCCESS
    assert await wired.process_inbox() == report(applied=1)
    assert (await wired.get_instance(order.id)).context == {"notes": ["hello"]}


async def test_a_handle_sends_too(runtime):
    order = await runtime.create_instance("order")
    await runtime.get_handle(order).send("pay", delay=timedelta(0))
    assert len(await runtime.store.inbox.find(InboxQuery(instance_id=order.id), limit=10)) == 1


def _minutes(number):
    return timedelta(minutes=number)


def _with_guard():
    return {
        "name": "door",
        "initial_state": "shut",
        "states": {
            "shut": {
                "events": {
                    "enter": {"internal": True, "guard": "good", "commands": ["note"]},
                    "end": {"target": "ended"},
                }
            },
            "ended": {},
        },
    }


def _charging():
    return {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {"events": {"pay": {"target": "paid", "commands": ["charge"]}, "close": {"target": "closed"}}},
            "paid": {"events": {"close": {"target": "closed"}}},
            "closed": {},
        },
    }


async def _unit(store, instance_id):
    async with store.transaction(instance_id) as unit:
        return unit
