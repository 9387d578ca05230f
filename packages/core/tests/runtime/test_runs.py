"""Durable commands: accepted, run by a worker, repeated, and finished in a commit of their own."""

import asyncio
import threading
from datetime import timedelta

import pytest

from detent import Fail, GiveUp, Goto, Ok, Outcome, Retry, RetryAfter, RunStatus, Settings, Status, command, guard
from detent.errors import (
    DefinitionInvalid,
    InstanceBusy,
    InvalidValue,
    LeaseLost,
    RegistrationInvalid,
    StoreUnavailable,
)
from detent.ids import new_id

STEADY = Retry(attempts=3, initial=timedelta(minutes=1), jitter=0)


def paying(*commands, **event):
    return {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {
                "events": {"pay": {"target": "paid", "commands": list(commands), **event}, "drop": {"target": "off"}}
            },
            "paid": {"context": {"paid": True}},
            "off": {"outcome": "cancelled"},
            "failed": {"outcome": "failure"},
        },
    }


def charging(*answers, **options):
    """A durable command that answers or raises these, one per attempt, and notes what it was told."""
    left, told = list(answers), []

    @command("charge", durable=True, **{"retry": STEADY, **options})
    async def charge(ctx):
        told.append((ctx.run.key, ctx.run.attempt))
        ctx.context["attempt"] = ctx.run.attempt
        answer = left.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return charge, told


@command("note")
async def note(ctx):
    ctx.context["noted"] = ctx.context.get("noted", 0) + 1


async def test_an_event_with_a_durable_command_is_accepted_and_finished_by_a_worker(running, recorder, story):
    charge, told = charging(Ok(data={"id": 7}))
    runtime = await running(paying({"name": "charge", "output": "charge"}), commands=[charge])
    order = await runtime.create_instance("order")

    accepted = await runtime.trigger_event(order.id, "pay", payload={"card": "x"}, trigger_metadata={"actor": "ana"})
    assert (accepted.outcome, accepted.from_state, accepted.to_state) == (Outcome.ACCEPTED, "new", "new")
    assert accepted.instance.run_id == accepted.run_id is not None
    assert told == []

    report = await runtime.process_runs()
    assert (report.completed, report.worked_on) == (1, 1)
    after = await runtime.get_instance(order.id)
    assert (after.state, after.status, after.run_id) == ("paid", Status.COMPLETED, None)
    assert after.context == {"attempt": 1, "charge": {"id": 7}, "paid": True}
    assert await story(runtime, order) == [
        "1 $created None>new success",
        "2 pay new>new accepted",
        "3 pay new>paid success",
    ]
    ended, begun, _ = await runtime.get_history(order.id)
    assert ended.payload == begun.payload == {"card": "x"}
    assert ended.trigger_metadata == begun.trigger_metadata == {"actor": "ana"}
    assert ended.transition_id == begun.transition_id == accepted.run_id
    await runtime.settled()
    assert recorder.heard == [
        "created new",
        "pay new>new accepted",
        "pay new>paid success",
        "command charge ok",
        "ended completed",
    ]


async def test_a_repeated_key_is_answered_with_the_acceptance(running):
    charge, told = charging(Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    first = await runtime.trigger_event(order.id, "pay", idempotency_key="k")
    await runtime.process_runs()
    again = await runtime.trigger_event(order.id, "pay", idempotency_key="k")
    assert again.replayed
    assert (again.outcome, again.run_id) == (Outcome.ACCEPTED, first.run_id)
    assert again.instance.state == "paid"
    assert len(told) == 1


async def test_a_guard_is_asked_when_the_event_is_accepted_and_not_again(running):
    asked = []

    @guard("open")
    async def is_open(ctx):
        asked.append(ctx.event)
        return len(asked) == 1

    charge, _ = charging(Ok())
    runtime = await running(paying("charge", guard="open"), commands=[charge], guards=[is_open])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    assert (await runtime.get_instance(order.id)).state == "paid"
    other = await runtime.create_instance("order")
    assert (await runtime.trigger_event(other.id, "pay")).outcome is Outcome.REFUSED
    assert asked == ["pay", "pay"]


async def test_while_a_run_is_under_way_nothing_else_is_taken(running):
    charge, _ = charging(Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    for attempt in (
        runtime.trigger_event(order.id, "drop"),
        runtime.enqueue_event(order.id, "drop"),
        runtime.force(order.id, "off"),
        runtime.patch_context(order.id, {"a": 1}),
    ):
        with pytest.raises(InstanceBusy, match="is under way") as busy:
            await attempt
        assert busy.value.run_id == accepted.run_id
    (drop,) = [event for event in await runtime.get_available_events(order.id) if event.name == "drop"]
    assert not drop.available
    assert str(accepted.run_id) in str(await runtime.explain(order.id))


async def test_a_failed_attempt_is_repeated_after_its_delay_under_the_same_key(running, clock):
    charge, told = charging(ConnectionError("down"), Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")

    assert (await runtime.process_runs()).retrying == 1
    run = await runtime.runs.get(accepted.run_id)
    assert (run.status, run.attempts) == (RunStatus.PENDING, 1)
    assert run.error == {"code": "ConnectionError", "message": "down"}
    assert run.available_at == clock.now() + timedelta(minutes=1)
    assert (await runtime.process_runs()).worked_on == 0

    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    assert told == [(f"{accepted.run_id}:0", 1), (f"{accepted.run_id}:0", 2)]


async def test_what_a_failed_attempt_wrote_to_the_context_is_forgotten(running, clock):
    @command("charge", durable=True, retry=STEADY)
    async def charge(ctx):
        ctx.context[f"try{ctx.run.attempt}"] = True
        if ctx.run.attempt == 1:
            raise OSError

    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    clock.advance("1m")
    await runtime.process_runs()
    assert (await runtime.get_instance(order.id)).context == {"try2": True, "paid": True}


async def test_a_command_that_succeeded_is_not_run_again_when_a_later_one_fails(running, clock):
    ran = []

    @command("first", durable=True)
    async def first(ctx):
        ran.append("first")
        ctx.context["reference"] = 42

    @command("second", durable=True, retry=STEADY)
    async def second(ctx):
        ran.append(f"second sees {ctx.context['reference']}")
        if len(ran) < 3:
            raise OSError("down")

    runtime = await running(paying("first", "second"), commands=[first, second])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    clock.advance("1m")
    await runtime.process_runs()
    assert ran == ["first", "second sees 42", "second sees 42"]
    assert (await runtime.get_instance(order.id)).context == {"reference": 42, "paid": True}


async def test_used_up_attempts_take_the_error_target(running, clock):
    charge, told = charging(OSError("1"), OSError("2"), OSError("3"))
    runtime = await running(paying("charge", error="failed"), commands=[charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    for _ in range(3):
        await runtime.process_runs()
        clock.advance("2m")
    after = await runtime.get_instance(order.id)
    assert (after.state, after.status, len(told)) == ("failed", Status.FAILED, 3)
    assert after.context == {}
    last = (await runtime.get_history(order.id))[0]
    assert (last.outcome, last.reason) == (Outcome.FAILURE, "OSError: 3")
    assert [(c.name, c.ok, c.code) for c in last.commands] == [("charge", False, "raised")]


async def test_used_up_attempts_without_an_error_target_park_the_run(running, clock, recorder):
    charge, _ = charging(OSError("1"), OSError("2"), OSError("3"), Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    for _ in range(3):
        await runtime.process_runs()
        clock.advance("2m")
    after = await runtime.get_instance(order.id)
    assert (after.state, after.parked_at) == ("new", clock.now() - timedelta(minutes=2))
    run = await runtime.runs.get(accepted.run_id)
    assert (run.status, run.reason, run.attempts) == (RunStatus.PARKED, "OSError: 3", 3)
    last = (await runtime.get_history(order.id))[0]
    assert (last.event, last.outcome, last.reason) == ("$parked", Outcome.FAILED, "OSError: 3")
    assert [found.id for found in (await runtime.find_instances(parked=True)).instances] == [order.id]
    assert (run.error["code"], run.error["message"]) == ("OSError", "3")
    assert "traceback" not in last.error
    told = run.error["traceback"].splitlines()
    # From where it left Detent's own code, to what was raised.
    assert (told[0], told[-1]) == ("Traceback (most recent call last):", "OSError: 3")
    assert next(line for line in told if line.startswith("  File ")).endswith("in charge")
    told = str(await runtime.explain(order.id))
    assert "is parked at command 'charge' and waits for an operator (retry, cancel): OSError: 3." in told
    assert (await runtime.process_runs()).worked_on == 0

    retried = await runtime.retry(order.id, trigger_metadata={"actor": "ops"})
    assert (retried.outcome, retried.run_id) == (Outcome.ACCEPTED, accepted.run_id)
    assert (await runtime.process_runs()).completed == 1
    assert (await runtime.get_instance(order.id)).parked_at is None


async def test_giving_up_needs_no_more_attempts(running):
    charge, told = charging(GiveUp("no such card", code="no_card"))
    runtime = await running(paying("charge", error="failed"), commands=[charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    last = (await runtime.get_history(order.id))[0]
    assert [(c.code, c.message) for c in last.commands] == [("no_card", "no such card")]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("retry", "again"),
    [
        (Retry(give_up_on=(ValueError,), initial=timedelta(minutes=1)), False),
        (Retry(retry_on=(OSError,), initial=timedelta(minutes=1)), False),
        (Retry(retry_on=(LookupError, ValueError), initial=timedelta(minutes=1)), True),
    ],
)
async def test_a_policy_says_which_errors_are_worth_another_attempt(running, retry, again):
    charge, _ = charging(ValueError("bad"), retry=retry)
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    report = await runtime.process_runs()
    assert (report.retrying, report.parked) == ((1, 0) if again else (0, 1))


async def test_a_command_may_say_when_to_try_again(running, clock):
    charge, _ = charging(RetryAfter(600, "busy"), Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    assert (await runtime.runs.get(accepted.run_id)).available_at == clock.now() + timedelta(minutes=10)


async def test_an_attempt_that_takes_too_long_is_cancelled_and_repeated(running, clock):
    cancelled = []

    @command("charge", durable=True, retry=STEADY, timeout=timedelta(milliseconds=10))
    async def charge(ctx):
        if ctx.run.attempt == 1:
            try:
                await never()
            finally:
                cancelled.append(True)

    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    assert (await runtime.process_runs()).retrying == 1
    assert cancelled == [True]
    assert (await runtime.runs.get(accepted.run_id)).error["code"] == "command_timed_out"
    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1


async def never():
    await asyncio.Event().wait()


async def test_a_failure_answered_without_an_error_target_parks_and_goes_on_with_that_command(running):
    charge, told = charging(Fail("declined", "no money"), Ok())
    runtime = await running(paying("note", "charge"), commands=[note, charge])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    assert (await runtime.process_runs()).parked == 1
    assert (await runtime.runs.get(accepted.run_id)).error["code"] == "command_failed"
    await runtime.runs.retry(accepted.run_id, reason="he has money now")
    assert (await runtime.process_runs()).completed == 1
    assert (await runtime.get_instance(order.id)).context["noted"] == 1
    assert len(told) == 2


async def test_a_failure_answered_takes_the_error_target_and_keeps_what_was_written(running):
    charge, _ = charging(Fail("declined", "no money"))
    runtime = await running(paying("note", "charge", error="failed"), commands=[note, charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    after = await runtime.get_instance(order.id)
    assert (after.state, after.context) == ("failed", {"noted": 1, "attempt": 1})


async def test_a_best_effort_command_changes_nothing_by_failing(running, clock):
    @command("mail", durable=True, best_effort=True, retry=Retry(attempts=2, initial=timedelta(minutes=1), jitter=0))
    async def mail(ctx):
        ctx.context["mailed"] = True
        raise OSError("no server")

    runtime = await running(paying("mail", "note"), commands=[mail, note])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    clock.advance("1m")
    await runtime.process_runs()
    after = await runtime.get_instance(order.id)
    assert (after.state, after.context) == ("paid", {"noted": 1, "paid": True})
    last = (await runtime.get_history(order.id))[0]
    assert [(c.name, c.ok, c.best_effort) for c in last.commands] == [("mail", False, True), ("note", True, False)]


@pytest.mark.parametrize("durable", [True, False])
async def test_a_best_effort_command_that_breaks_the_context_model_has_failed(running, durable):
    @command("guess", durable=durable, best_effort=True)
    async def guess(ctx):
        ctx.context["amount"] = "many"

    charge, _ = charging(Ok())
    model = {"type": "object", "properties": {"amount": {"type": "integer"}}}
    runtime = await running({**paying("charge", "guess"), "context_model": model}, commands=[charge, guess])
    order = await runtime.create_instance("order", context={"amount": 1})
    await runtime.trigger_event(order.id, "pay")
    assert (await runtime.process_runs()).completed == 1
    after, (entry, *_) = await runtime.get_instance(order.id), await runtime.get_history(order.id)
    assert (after.context["amount"], [record.ok for record in entry.commands]) == (1, [True, False])


async def test_commands_of_one_list_share_the_transaction_only_where_they_are_transactional(running, store):
    seen = []

    @command("write")
    async def write(ctx):
        assert ctx.run is None
        ctx.connection.put("notes", "a", 1)

    @command("call", durable=True)
    async def call(ctx):
        seen.append(ctx.connection)

    runtime = await running(paying("write", "call"), commands=[write, call])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    assert seen == [None]
    async with store.begin() as transaction:
        assert transaction.get("notes", "a") == 1


async def test_a_transactional_command_that_raises_is_rolled_back_and_repeated(running, store, clock):
    attempts = []

    @command("write")
    async def write(ctx):
        attempts.append(True)
        ctx.connection.put("notes", f"n{len(attempts)}", 1)
        if len(attempts) == 1:
            raise OSError

    charge, _ = charging(Ok())
    runtime = await running(paying("charge", "write"), commands=[charge, write], settings=Settings(run_retry=STEADY))
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    assert (await runtime.process_runs()).retrying == 1
    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    async with store.begin() as transaction:
        assert (transaction.get("notes", "n1"), transaction.get("notes", "n2")) == (None, 1)


async def test_what_was_checkpointed_within_a_command_is_there_on_the_next_attempt(running, clock):
    seen = []

    @command("upload", durable=True, retry=STEADY)
    async def upload(ctx):
        seen.append(dict(ctx.run.kept))
        await ctx.run.checkpoint(f"part{ctx.run.attempt}", {"bytes": 10})
        await ctx.run.progress(0.5, "half")
        if ctx.run.attempt < 3:
            raise OSError

    @command("check", durable=True)
    async def check(ctx):
        seen.append(dict(ctx.run.kept))

    runtime = await running(paying("upload", "check"), commands=[upload, check])
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    assert (await runtime.runs.get(accepted.run_id)).progress == {"fraction": 0.5, "message": "half"}
    for _ in range(2):
        clock.advance("5m")
        await runtime.process_runs()
    part = {"bytes": 10}
    assert seen == [{}, {"part1": part}, {"part1": part, "part2": part}, {}]


async def test_an_entry_with_durable_commands_becomes_a_run_of_its_own(running, story):
    charge, _ = charging(Ok(), Ok())
    definition = {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {"events": {"pay": {"target": "paying"}}},
            "paying": {"on_enter": {"commands": ["charge"], "target": "shipping"}},
            "shipping": {"on_enter": {"commands": ["charge"]}, "events": {"arrive": {"target": "done"}}},
            "done": {},
        },
    }
    runtime = await running(definition, commands=[charge])
    order = await runtime.create_instance("order")
    result = await runtime.trigger_event(order.id, "pay")
    assert (result.outcome, result.to_state, result.run_id is None) == (Outcome.SUCCESS, "paying", False)
    await runtime.process_runs()
    assert await story(runtime, order) == [
        "1 $created None>new success",
        "2 pay new>paying success",
        "3 $on_enter paying>shipping success",
        "4 $on_enter shipping>shipping success",
    ]
    assert (await runtime.trigger_event(order.id, "arrive")).to_state == "done"


async def test_a_creation_may_lead_to_a_run(running):
    charge, _ = charging(Ok())
    definition = {
        "name": "order",
        "initial_state": "paying",
        "states": {"paying": {"on_enter": {"commands": ["charge"], "target": "done"}}, "done": {}},
    }
    runtime = await running(definition, commands=[charge])
    order = await runtime.create_instance("order")
    assert (order.state, order.run_id is None) == ("paying", False)
    await runtime.process_runs()
    assert (await runtime.get_instance(order.id)).state == "done"


async def test_entries_with_durable_commands_may_go_round_in_a_circle(running):
    @command("poll", durable=True)
    async def poll(ctx):
        ctx.context["polls"] = ctx.context.get("polls", 0) + 1
        return Goto("finish") if ctx.context["polls"] == 3 else None

    definition = {
        "name": "polling",
        "initial_state": "asking",
        "states": {
            "asking": {
                "on_enter": {"commands": ["poll"], "target": "resting"},
                "events": {"finish": {"target": "done"}},
            },
            "resting": {"on_enter": {"target": "asking"}},
            "done": {},
        },
    }
    runtime = await running(definition, commands=[poll])
    instance = await runtime.create_instance("polling")
    await runtime.process_runs()
    after = await runtime.get_instance(instance.id)
    assert (after.state, after.context) == ("done", {"polls": 3})


async def test_the_guard_of_a_chosen_event_is_asked_once_and_remembered(running, clock):
    asked = []

    @command("choose", durable=True)
    async def choose(ctx):
        return Goto("left")

    @guard("may")
    def may(ctx):
        asked.append(True)
        return len(asked) == 1

    charge, _ = charging(OSError("down"), Ok())
    definition = {
        "name": "choice",
        "initial_state": "fork",
        "states": {
            "fork": {
                "on_enter": {"commands": ["choose"], "error": "lost"},
                "events": {"left": {"target": "end", "guard": "may", "commands": ["charge"]}},
            },
            "end": {},
            "lost": {},
        },
    }
    runtime = await running(definition, commands=[choose, charge], guards=[may])
    instance = await runtime.create_instance("choice")
    assert (await runtime.process_runs()).retrying == 1
    clock.advance("1m")
    assert (await runtime.process_runs()).completed == 1
    after = await runtime.get_instance(instance.id)
    assert (after.state, len(asked)) == ("end", 1)
    assert [c.name for c in (await runtime.get_history(instance.id))[0].commands] == ["choose", "charge"]


async def test_any_event_can_be_enqueued(running, story):
    runtime = await running(paying("note"), commands=[note])
    order = await runtime.create_instance("order")
    accepted = await runtime.get_handle(order).enqueue_event("pay", payload={"a": 1})
    assert accepted.outcome is Outcome.ACCEPTED
    assert (await runtime.get_instance(order.id)).state == "new"
    await runtime.process_runs()
    assert await story(runtime, order) == [
        "1 $created None>new success",
        "2 pay new>new accepted",
        "3 pay new>paid success",
    ]


async def test_an_event_without_commands_can_be_enqueued(running):
    runtime = await running(paying())
    order = await runtime.create_instance("order")
    await runtime.enqueue_event(order.id, "drop")
    await runtime.process_runs()
    assert (await runtime.get_instance(order.id)).state == "off"


async def test_a_subject_is_kept_for_the_worker_and_has_to_be_json(running):
    seen = []

    @command("charge", durable=True)
    async def charge(ctx):
        seen.append(ctx.subject)

    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    with pytest.raises(InvalidValue):
        await runtime.trigger_event(order.id, "pay", subject=object())
    await runtime.trigger_event(order.id, "pay", subject={"card": 1})
    await runtime.process_runs()
    assert seen == [{"card": 1}]


async def test_a_timeout_whose_event_is_durable_is_accepted_once(running, clock, story):
    charge, _ = charging(Ok())
    definition = {
        "name": "dunning",
        "initial_state": "open",
        "states": {
            "open": {
                "events": {
                    "dun": {"internal": True, "commands": ["charge"], "timeout": "1d"},
                    "pay": {"target": "paid"},
                }
            },
            "paid": {},
        },
    }
    runtime = await running(definition, commands=[charge])
    claim = await runtime.create_instance("dunning")
    clock.advance("1d")
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.process_timeouts()).processed == 0
    await runtime.process_runs()
    assert (await runtime.process_timeouts()).processed == 0
    assert await story(runtime, claim) == [
        "1 $created None>open success",
        "2 dun open>open accepted",
        "3 dun open>open success",
    ]
    assert (await runtime.get_instance(claim.id)).timers == ()


async def test_timeouts_wait_for_a_run_and_then_fire(running, clock):
    charge, _ = charging(Ok())
    definition = {
        "name": "claim",
        "initial_state": "open",
        "states": {
            "open": {
                "events": {
                    "note": {"internal": True, "commands": ["charge"]},
                    "expire": {"target": "expired", "timeout": "1h"},
                }
            },
            "expired": {},
        },
    }
    runtime = await running(definition, commands=[charge])
    claim = await runtime.create_instance("claim")
    assert (await runtime.trigger_event(claim.id, "note")).instance.due_at is None
    clock.advance("2h")
    assert (await runtime.process_timeouts()).processed == 0
    await runtime.process_runs()
    assert (await runtime.get_instance(claim.id)).due_at is not None
    assert (await runtime.process_timeouts()).processed == 1
    assert (await runtime.get_instance(claim.id)).state == "expired"


async def test_a_command_that_is_no_coroutine_does_not_hold_up_the_loop(running):
    threads = []

    @command("charge", durable=True)
    def charge(ctx):
        threads.append(threading.current_thread())
        return Ok(data=1)

    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    assert threads[0] is not threading.main_thread()


async def test_a_lent_transaction_takes_the_acceptance_along(running, store):
    charge, _ = charging(Ok())
    runtime = await running(paying("charge"), commands=[charge])
    order = await runtime.create_instance("order")
    async with store.begin() as transaction:
        await runtime.trigger_event(order.id, "pay", connection=transaction)
        assert (await runtime.process_runs()).worked_on == 0
    assert (await runtime.process_runs()).completed == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": "-1s"}, "timeout"),
        ({"retry": "often"}, "retry"),
        ({"queue": " "}, "queue"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_where_they_are_written(options, fault):
    with pytest.raises(RegistrationInvalid, match=fault):
        command("charge", durable=True, **options)


async def test_a_command_is_durable_where_its_reference_says_so(running):
    runtime = await running(paying({"name": "note", "durable": True}), commands=[note])
    order = await runtime.create_instance("order")
    assert (await runtime.trigger_event(order.id, "pay")).outcome is Outcome.ACCEPTED
    other = await running(
        {**paying({"name": "plain", "durable": False}), "name": "other"},
        commands=[command("plain", durable=True)(lambda ctx: None)],
    )
    order = await other.create_instance("other")
    assert (await other.trigger_event(order.id, "pay")).outcome is Outcome.SUCCESS


async def test_compensation_without_an_error_target_is_a_definition_error(running):
    charge, _ = charging(Ok())
    with pytest.raises(DefinitionInvalid, match="never undone"):
        await running(paying({"name": "charge", "compensate": ["note"]}), commands=[charge, note])


@pytest.mark.parametrize("durable", [True, False])
async def test_a_context_that_breaks_the_model_parks_before_the_last_answer_is_saved(running, durable):
    broken = [True]

    @command("work", durable=durable)
    async def work(ctx):
        ctx.context["total"] = "many" if broken else 7

    definition = paying("work") | {"context_model": {"type": "object", "properties": {"total": {"type": "integer"}}}}
    runtime = await running(definition, commands=[work])
    order = await runtime.create_instance("order")
    accepted = await runtime.enqueue_event(order.id, "pay")
    assert (await runtime.process_runs()).parked == 1
    run = await runtime.runs.get(accepted.run_id)
    assert (run.journal, run.command, "context" in run.reason) == ((), "work", True)
    broken.clear()
    await runtime.runs.retry(run.id)
    assert (await runtime.process_runs()).completed == 1
    assert (await runtime.get_instance(order.id)).context["total"] == 7


@pytest.mark.parametrize("error", [InstanceBusy(new_id()), StoreUnavailable("of another"), LeaseLost(new_id())])
async def test_what_a_transactional_command_raises_of_another_instance_or_store_is_a_failed_attempt(running, error):
    attempts = []

    @command("work")
    async def work(ctx):
        attempts.append(True)
        raise error

    runtime = await running(paying("work", error="failed"), commands=[work], settings=Settings(run_retry=STEADY))
    order = await runtime.create_instance("order")
    accepted = await runtime.enqueue_event(order.id, "pay")
    assert (await runtime.process_runs()).retrying == 1
    assert (await runtime.runs.get(accepted.run_id)).attempts == len(attempts) == 1
