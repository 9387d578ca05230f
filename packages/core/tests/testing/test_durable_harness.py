"""A harness over durable commands, messages and subscribers: what a worker would do is done, at the instant it is due."""

from datetime import timedelta

import pytest

from detent import (
    Event,
    Fail,
    GiveUp,
    Ok,
    OnEnter,
    Outcome,
    Refuse,
    Retry,
    RetryAfter,
    SqliteStore,
    State,
    WorkflowDefinition,
    command,
    subscriber,
)
from detent.definition.commands import CommandRef
from detent.errors import InstanceBusy
from detent.testing import HarnessMisused, NeverAtRest, WorkflowHarness, simple_paths

MINUTE = timedelta(minutes=1)
RETRY = Retry(attempts=3, initial=MINUTE, jitter=0.5)


def workflow(states, name="w", **more):
    return WorkflowDefinition(name=name, initial_state=next(iter(states)), states=states, **more)


ORDER = workflow(
    {
        "new": State(
            events={
                "pay": Event(target="paid", error="declined", commands=["charge", "note"], guard="is_open"),
                "drop": Event(target="dropped", timeout="14d", commands=["release"]),
            }
        ),
        "paid": State(on_enter=OnEnter(commands=["ship"], target="shipped", error="declined")),
        "shipped": State(),
        "declined": State(outcome="failure"),
        "dropped": State(outcome="cancelled"),
    },
    "order",
    publish="order",
)


@command("charge", durable=True, retry=RETRY)
async def charge(ctx):
    ctx.context["charged"] = ctx.context.get("total")
    ctx.publish("charged", {"total": ctx.context.get("total")})


@command("ship", durable=True, retry=RETRY)
async def ship(ctx):
    ctx.context["shipped"] = True


@command("release", durable=True, retry=RETRY)
async def release(ctx):
    ctx.context["released"] = True


@pytest.fixture
async def harness():
    async with WorkflowHarness(ORDER, commands=[charge, ship, release]) as harness:
        await harness.start(context={"total": 40})
        yield harness


def stuck(**event):
    """A workflow of one durable event that nothing takes the failure of."""
    return workflow({"a": State(events={"go": Event(target="b", commands=["charge"], **event)}), "b": State()})


# -- the work is done


async def test_a_trigger_ends_where_the_run_led(harness):
    result = await harness.trigger("pay", payload={"card": "x"})
    assert (result.outcome, result.to_state) == (Outcome.ACCEPTED, "new")
    await harness.assert_state("shipped")
    await harness.assert_context(charged=40, shipped=True)
    await harness.assert_history([("pay", "paid")])


async def test_starting_runs_a_durable_entry():
    definition = workflow(
        {"new": State(on_enter=OnEnter(commands=["charge"], target="old")), "old": State(events={}, tags=("end",))}
    )
    async with WorkflowHarness(definition, commands=[charge]) as harness:
        assert (await harness.start()).state == "old"
        harness.assert_called("charge", times=1)


async def test_calls_say_which_attempt_they_are(harness):
    harness.stub("charge", answers=[OSError("down"), Ok()])
    await harness.trigger("pay")
    await harness.advance("1m")
    first, second = harness.calls("charge")
    (note,) = harness.calls("note")
    assert (first.attempt, second.attempt, note.attempt, note.key) == (1, 2, None, None)
    assert first.key == second.key == f"{harness.history[1].transition_id}:0"
    assert str(second).startswith("2. charge of pay in new, attempt 2, answered")


async def test_without_a_worker_the_test_says_when_work_is_done():
    async with WorkflowHarness(ORDER, commands=[charge, ship], worker=False) as harness:
        await harness.start()
        await harness.trigger("pay")
        await harness.assert_state("new")
        harness.assert_not_called("charge")
        report = await harness.work()
        assert (report.runs.completed, report.outbox.delivered) == (2, 0)
        await harness.assert_state("shipped")
        assert (await harness.work()).pieces == 0


async def test_without_a_worker_the_clock_leaves_runs_alone():
    async with WorkflowHarness(ORDER, commands=[charge, ship], worker=False) as harness:
        await harness.start()
        harness.stub("charge", answers=[OSError("down"), Ok()])
        await harness.trigger("pay")
        assert (await harness.work()).runs.retrying == 1
        assert await harness.advance("1h") == []
        assert len(harness.calls("charge")) == 1
        assert (await harness.work()).runs.completed == 2


async def test_what_others_began_is_done_by_work(harness):
    await harness.runtime.enqueue_event(harness.instance, "pay")
    assert (await harness.work()).runs.completed == 2
    assert harness.state == "shipped"


async def test_it_works_over_a_file_as_well(tmp_path):
    store = SqliteStore(tmp_path / "detent.db")
    async with WorkflowHarness(ORDER, commands=[charge, ship], store=store) as harness:
        await harness.start()
        harness.stub("charge", answers=[OSError("down"), Ok()])
        await harness.trigger("pay")
        assert [entry.event for entry in await harness.advance("1m")] == ["pay"]
        await harness.assert_state("shipped")
        assert [message.topic for message in harness.published()] == ["order.created", "order.pay", "order.on_enter"]


# -- time


async def test_attempts_are_made_at_their_instants_and_without_chance(harness):
    harness.stub("charge", answers=[OSError("1"), OSError("2"), Ok()])
    times = []
    harness.stub("note", lambda ctx: times.append(ctx.now))
    began = harness.now
    await harness.trigger("pay")
    (paid,) = await harness.advance("1h")
    assert times == [paid.created_at] == [began + 3 * MINUTE]
    assert (paid.event, paid.outcome, harness.now) == ("pay", Outcome.SUCCESS, began + timedelta(hours=1))


async def test_retry_after_says_the_instant_of_the_next_attempt(harness):
    harness.stub("charge", answers=[RetryAfter(timedelta(hours=5)), Ok()])
    began = harness.now
    await harness.trigger("pay")
    assert await harness.advance("4h") == []
    (paid,) = await harness.advance("1d")
    assert paid.created_at - began == timedelta(hours=5)


async def test_runs_and_timeouts_of_several_instances_come_in_the_order_of_time():
    definition = workflow(
        {
            "a": State(
                events={
                    "go": Event(target="b", commands=["charge"]),
                    "nag": Event(internal=True, timeout="90s"),
                }
            ),
            "b": State(),
        }
    )
    async with WorkflowHarness(definition, commands=[charge]) as harness:
        first = await harness.start()
        second = await harness.start()
        harness.stub("charge", answers=[OSError("1"), OSError("2"), Ok()])
        await harness.trigger("go", instance=first)
        came = [(entry.event, entry.instance_id) for entry in await harness.advance("1h")]
        assert came == [("nag", second.id), ("go", first.id)]


async def test_a_durable_timeout_is_answered_by_how_it_ended(harness):
    (dropped,) = await harness.advance("20d")
    assert (dropped.event, dropped.outcome, dropped.to_state) == ("drop", Outcome.SUCCESS, "dropped")
    assert harness.coverage.taken[_way(harness, "drop after 14d")] == 1


async def test_a_timeout_that_has_not_ended_is_answered_as_accepted_and_one_that_cannot_as_parked(harness):
    harness.stub("release", raises=OSError("down"))
    (accepted,) = await harness.advance("14d")
    assert (accepted.event, accepted.outcome) == ("drop", Outcome.ACCEPTED)
    (parked,) = await harness.advance("1h")
    assert (parked.event, parked.outcome) == ("$parked", Outcome.FAILED)


async def test_what_a_dead_worker_held_is_taken_over_when_its_lease_ends():
    async with WorkflowHarness(ORDER, commands=[charge, ship], worker=False) as harness:
        await harness.start()
        await harness.trigger("pay")
        await harness.runtime.running().runs.claim(1)
        assert (await harness.work()).pieces == 0
        harness.clock.advance("30s")
        assert (await harness.work()).runs.completed == 2


async def test_advancing_stops_where_a_lease_ends(harness):
    await harness.runtime.enqueue_event(harness.instance, "pay")
    await harness.runtime.running().runs.claim(1)
    began = harness.now
    (paid,) = await harness.advance("1h")
    assert (paid.event, paid.created_at - began) == ("pay", timedelta(seconds=30))


async def test_entries_that_lead_to_each_other_for_ever_are_told():
    definition = workflow(
        {
            "a": State(events={"go": Event(target="b", timeout="1d")}),
            "b": State(on_enter=OnEnter(commands=["charge"], target="c")),
            "c": State(on_enter=OnEnter(commands=["charge"], target="b")),
        }
    )
    async with WorkflowHarness(definition, commands=[charge]) as harness:
        await harness.start()
        with pytest.raises(NeverAtRest, match=r"more than 50 .*'\$on_enter' in '[bc]'"):
            await harness.advance("1d", at_most=50)


# -- failures


async def test_what_a_durable_command_gives_up_or_answers_as_a_failure_takes_the_error_target(harness):
    harness.stub("charge", raises=GiveUp("no money", code="broke"))
    await harness.trigger("pay")
    await harness.assert_history([("pay", "declined", "failure")])
    assert harness.history[-1].commands[0].code == "broke"
    await harness.start()
    harness.stub("charge", answer=Fail("declined"))
    await harness.trigger("pay")
    await harness.assert_state("declined")
    harness.assert_called("charge", times=2)


async def test_a_parked_run_says_why_in_a_failed_assertion():
    async with WorkflowHarness(stuck(), commands=[charge]) as harness:
        harness.stub("charge", raises=ConnectionError("the bank is closed"))
        await harness.start()
        await harness.trigger("go")
        with pytest.raises(AssertionError) as caught:
            await harness.assert_state("b")
        assert str(caught.value).splitlines()[-1] == (
            "its run of 'go' is tried again at command 'charge' at 2030-01-01 12:01:00, after 1 attempt: "
            "ConnectionError: the bank is closed"
        )
        await harness.advance("1h")
        for assertion in (harness.assert_state("b"), harness.assert_context(a=1), harness.assert_history(["go"])):
            with pytest.raises(AssertionError) as caught:
                await assertion
            assert str(caught.value).endswith(
                "its run of 'go' is parked at command 'charge' after 3 attempts: ConnectionError: the bank is closed"
            )


async def test_an_event_that_comes_while_a_run_is_under_way_is_told_what_that_waits_for(harness):
    harness.stub("charge", raises=OSError("the bank is closed"))
    await harness.trigger("pay")
    with pytest.raises(InstanceBusy) as caught:
        await harness.trigger("drop")
    (note,) = caught.value.__notes__
    assert note.endswith("after 1 attempt: OSError: the bank is closed")


async def test_a_run_that_nobody_works_on_says_so():
    async with WorkflowHarness(stuck(), commands=[charge], worker=False) as harness:
        await harness.start()
        await harness.trigger("go")
        with pytest.raises(AssertionError, match="its run of 'go' waits for a worker at command 'charge'"):
            await harness.assert_state("b")


async def test_slips_of_the_test_inside_a_durable_command_are_raised(harness):
    harness.stub("charge", answers=[])
    with pytest.raises(HarnessMisused, match=r"asked for the 1\. time"):
        await harness.trigger("pay")

    def check(ctx):
        assert ctx.context["total"] == 41

    await harness.start(context={"total": 40})
    harness.stub("charge", check)
    with pytest.raises(AssertionError, match="40 == 41"):
        await harness.trigger("pay")


async def test_slips_inside_other_commands_that_nobody_waits_for_are_raised_as_well(harness):
    harness.stub("note", answers=[])
    with pytest.raises(HarnessMisused, match="'note' is asked for the 1"):
        await harness.trigger("pay")
    definition = workflow({"a": State(events={"go": Event(target="b", timeout="1d", commands=["call"])}), "b": State()})
    async with WorkflowHarness(definition) as other:
        other.stub("call", answers=[])
        await other.start()
        with pytest.raises(HarnessMisused, match="'call' is asked for the 1"):
            await other.advance("1d")
        await other.start()
        with pytest.raises(HarnessMisused, match="'call' is asked for the 2"):
            await other.send("go")
        with pytest.raises(HarnessMisused, match="'call' is asked for the 3"):
            await other.trigger("go")
        assert (await other.work()).pieces == 0


async def test_a_stub_gets_the_run(harness):
    async def half(ctx):
        await ctx.run.checkpoint("half", True)
        if ctx.run.attempt == 1:
            raise OSError("down")
        ctx.context["half"] = ctx.run.kept["half"]

    harness.stub("charge", half)
    await harness.run(["pay", "1m"])
    await harness.assert_context(half=True)


# -- history, coverage and paths


async def test_that_an_event_was_accepted_counts_only_where_that_is_expected(harness):
    await harness.trigger("pay")
    await harness.assert_history(["pay"])
    await harness.assert_history([("pay", "new", "accepted"), ("pay", "paid", "success")])
    await harness.assert_history(["$created", ("pay", "paid"), ("$on_enter", "shipped")])
    with pytest.raises(AssertionError, match=r"expected the history pay → new \(accepted\); it is different"):
        await harness.assert_history([("pay", "new", "accepted")])


async def test_an_acceptance_covers_nothing_and_its_end_does():
    async with WorkflowHarness(ORDER, commands=[charge, ship], worker=False) as harness:
        await harness.start()
        await harness.trigger("pay")
        assert harness.coverage.percent == 0
        await harness.work()
        taken = [str(way) for way, times in harness.coverage.taken.items() if times]
        assert taken == ["new -pay-> paid", "paid -on enter-> shipped"]


@pytest.mark.parametrize("path", simple_paths(ORDER), ids=str)
async def test_simple_paths_go_through_durable_commands(path, harness):
    await harness.run(path)
    await harness.assert_state(path.end)


async def test_simple_paths_cover_all_there_is():
    async with WorkflowHarness(ORDER, commands=[charge, ship, release]) as harness:
        for path in simple_paths(ORDER):
            await harness.run(path)
        harness.coverage.assert_complete()


async def test_a_path_that_a_parked_run_leaves_says_why():
    @command("charge", durable=True, retry="never")
    async def broken(ctx):
        raise OSError("down")

    definition = stuck()
    async with WorkflowHarness(definition, commands=[broken]) as harness:
        (path,) = simple_paths(definition)
        with pytest.raises(AssertionError, match="is parked at command 'charge' after 1 attempt: OSError: down"):
            await harness.run(path)


async def test_a_command_that_only_the_definition_makes_durable_is_stubbed_like_any():
    definition = workflow(
        {"a": State(events={"go": Event(target="b", commands=[CommandRef("call", durable=True)])}), "b": State()}
    )
    async with WorkflowHarness(definition) as harness:
        await harness.run(["go"])
        (call,) = harness.assert_called("call")
        assert (harness.state, call.attempt) == ("b", 1)


# -- messages

DOOR = workflow(
    {
        "shut": State(events={"unlock": Event(target="open", guard="has_key")}),
        "open": State(events={"enter": Event(target="in", commands=["charge"])}),
        "in": State(),
    },
    "door",
)


async def test_a_sent_event_is_taken_as_soon_as_it_can_be():
    async with WorkflowHarness(DOOR, commands=[charge]) as harness:
        await harness.start()
        message = await harness.send("enter", {"by": "ada"})
        assert (message.event, harness.state) == ("enter", "shut")
        await harness.trigger("unlock")
        await harness.assert_state("in")
        await harness.assert_history(["unlock", "enter"])
        assert harness.calls("charge")[0].payload == {"by": "ada"}


async def test_messages_that_are_delayed_or_refused_are_taken_at_their_instants():
    async with WorkflowHarness(DOOR, commands=[charge]) as harness:
        harness.stub_guard("has_key", Refuse("no key"))
        await harness.start()
        began = harness.now
        await harness.send("unlock", delay="1h")
        (refused,) = await harness.advance("1h")
        assert (refused.outcome, refused.created_at - began) == (Outcome.REFUSED, timedelta(hours=1))
        await harness.assert_refused("unlock", reason="no key")
        harness.stub_guard("has_key", True)
        (unlocked,) = await harness.advance("1h")
        assert unlocked.created_at - refused.created_at == timedelta(seconds=1)


async def test_a_message_that_expires_is_given_up_at_that_instant():
    async with WorkflowHarness(DOOR, commands=[charge]) as harness:
        await harness.start()
        await harness.send("enter", expires="1h")
        expires = harness.now + timedelta(hours=1)
        await harness.advance("1d")
        (dead,) = await harness.runtime.inbox.list(dead=True)
        assert dead.dead_at == expires


async def test_without_a_worker_a_message_waits_for_work():
    async with WorkflowHarness(DOOR, worker=False) as harness:
        await harness.start()
        await harness.send("unlock")
        await harness.assert_state("shut")
        assert (await harness.work()).inbox.applied == 1
        await harness.assert_state("open")


async def test_a_parent_hears_of_its_child():
    @command("begin", durable=True)
    async def begin(ctx):
        await ctx.start_child("door", on_end="done")

    parent = workflow(
        {
            "idle": State(events={"go": Event(target="waiting", commands=["begin"])}),
            "waiting": State(events={"done": Event(target="ended")}),
            "ended": State(),
        },
        "parent",
    )
    async with WorkflowHarness([parent, DOOR], commands=[begin, charge]) as harness:
        started = await harness.start("parent")
        await harness.trigger("go")
        (child,) = await harness.runtime.find_instances(workflow="door")
        await harness.use(child)
        await harness.run(["unlock", "enter"])
        await harness.use(started)
        await harness.assert_state("ended")


# -- what is published


async def test_what_was_published_is_known_without_subscribers(harness):
    await harness.trigger("pay")
    told = [(message.topic, message.payload) for message in harness.published("charged")]
    assert told == [("charged", {"total": 40})]
    (paid,) = harness.published("order.p*")
    assert (paid.key, paid.instance_id, paid.sequence) == (str(harness.instance.id), harness.instance.id, 3)
    assert paid.payload["to_state"] == "paid"
    assert str(harness.published("charged")[0]) == "charged: {'total': 40}"


async def test_what_was_rolled_back_is_not_published(harness):
    def publish_and_fail(ctx):
        ctx.publish("charged")
        raise OSError("down")

    harness.stub("charge", publish_and_fail)
    await harness.run(["pay", "1h"])
    assert harness.published("charged") == ()


async def test_subscribers_get_what_is_published_and_failed_deliveries_are_made_at_their_instants():
    heard = []

    @subscriber("order.*", retry=Retry(initial=MINUTE, jitter=0.5))
    async def post(delivery):
        heard.append((delivery.topic, delivery.attempts, harness.now - began))
        if delivery.topic == "order.pay" and delivery.attempts == 1:
            raise OSError("down")

    async with WorkflowHarness(ORDER, commands=[charge, ship], subscribers=[post]) as harness:
        began = harness.now
        await harness.start()
        await harness.trigger("pay")
        await harness.advance("1h")
    zero = timedelta()
    assert heard == [
        ("order.created", 1, zero),
        ("order.pay", 1, zero),
        ("order.pay", 2, MINUTE),
        ("order.on_enter", 1, MINUTE),
    ]


async def test_a_report_counts_the_deliveries_to_subscribers_and_no_others():
    @subscriber("order.pay")
    async def post(delivery):
        pass

    async with WorkflowHarness(ORDER, commands=[charge, ship], subscribers=[post], worker=False) as harness:
        await harness.start()
        await harness.trigger("pay")
        assert [message.topic for message in harness.published()] == ["order.created"]
        assert (await harness.work()).outbox.delivered == 1
        assert len(harness.published()) == 4


def _way(harness, said):
    (way,) = [way for way in harness.coverage.ways if said in str(way)]
    return way
