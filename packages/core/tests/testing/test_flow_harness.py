"""A harness over flows: waits and retries end at their instants, and a failed assertion says what happened instead."""

from datetime import timedelta

import pytest
from pydantic import BaseModel

from detent import InvalidValue, SqliteStore, Timeouts, subscriber
from detent.flows import (
    CHILD_ENDED,
    ContextLimits,
    ContextTooLarge,
    Flow,
    FlowInvalid,
    HandlerContext,
    NotWaiting,
    Step,
    TokenRefused,
    UnknownFlow,
    WaitForChild,
    failure,
    goto,
    handler,
    success,
    wait,
    wait_for_event,
)
from detent.json_values import JsonObject
from detent.testing import FakeClock, FlowHarness, HarnessMisused
from detent.testing.coverage import LISTENERS, CoverageSum

HOUR = timedelta(hours=1)
NOON = FakeClock().now()


class ChargeConfig(BaseModel):
    fails: int = 0
    """How many attempts fail."""


@handler("charge")
async def charge(ctx: HandlerContext, config: ChargeConfig, input: int):
    if ctx.attempt <= config.fails:
        return failure("BANK_CLOSED", "nobody is there")
    ctx.publish("charged", {"amount": input})
    return success({"amount": input, "at": ctx.now.isoformat()})


@handler("nap")
async def nap(ctx: HandlerContext):
    return wait(HOUR, "the next tram")


@handler("ask")
async def ask(ctx: HandlerContext):
    return wait_for_event("approval by ana")


@handler("delegate")
async def delegate(ctx: HandlerContext):
    return WaitForChild(str(await ctx.start_child("napping", on_end=CHILD_ENDED)))


@handler("twice")
async def twice(ctx: HandlerContext, input: int):
    for _ in range(2):
        await ctx.perform("charge", {}, input)
    return success()


@handler("round")
def turn(ctx: HandlerContext):
    return goto("a")


HANDLERS = [charge, nap, ask, delegate, twice, turn]


def one(id_, step, **more):
    """A flow of one step."""
    return Flow(id_, initial_step_id="a", steps={"a": step}, **more)


RETRY = {"max_attempts": 2, "backoff_ms": 60_000, "max_backoff_ms": 600_000, "jitter": 0.5}
STEADY = {"max_attempts": 1, "backoff_ms": 60_000}
PAYING = Step("charge", config={"fails": 2}, input={"key": "total"}, output_key="payment", retry=RETRY)
FLOWS = [
    Flow(
        "order",
        initial_step_id="charge",
        steps={
            "charge": Step("charge", input={"key": "total"}, output_key="payment", on_success="ask"),
            "ask": Step("ask", on_success="nap"),
            "nap": Step("nap"),
        },
    ),
    one("napping", Step("nap")),
    one("asking", Step("ask")),
    one("paying", PAYING),
    one("failing", Step("charge", config={"fails": 9}, input={"key": "total"})),
    one("delegating", Step("delegate", output_key="child")),
    one("performing", Step("twice", input={"key": "total"})),
    one("turning", Step("round")),
]


@pytest.fixture
async def harness():
    async with FlowHarness(FLOWS, HANDLERS) as harness:
        yield harness


# -- the work is done


async def test_a_flow_runs_to_its_next_wait_and_goes_on_when_it_is_resumed(harness):
    execution = await harness.run("order", {"total": 40})
    assert (execution.status, execution.current_step) == ("waiting", "ask")
    await harness.assert_waiting("approval", step="ask")
    await harness.resume({"by": "ana"})
    await harness.assert_waiting("tram", step="nap")
    assert harness.execution.wake_at == NOON + HOUR
    ended = await harness.advance("1h")
    assert (ended.status, harness.now) == ("completed", NOON + HOUR)
    await harness.assert_completed({"payment.amount": 40, "ask.by": "ana"}, total=40)


async def test_what_was_started_waits_for_work_and_can_be_stepped(harness):
    assert (await harness.start("order", {"total": 1})).status == "pending"
    assert harness.calls == ()
    stepped = await harness.step()
    assert (stepped.status, stepped.current_step) == ("running", "ask")
    assert (await harness.work()).status == "waiting"


async def test_a_failed_step_is_tried_again_at_its_instants(harness):
    execution = await harness.run("paying", {"total": 5})
    assert execution.wake_at == NOON + timedelta(minutes=1)
    await harness.advance("10m")
    assert [call.attempt for call in harness.calls] == [1, 2, 3]
    third = NOON + timedelta(minutes=3)
    await harness.assert_completed({"payment.at": third.isoformat()})


async def test_calls_say_which_handler_was_called_with_what(harness):
    await harness.run("paying", {"total": 5})
    await harness.advance("10m")
    first, _, last = harness.calls_of("charge")
    assert (first.handler, first.step, first.input, first.config, first.context) == (
        "charge",
        "a",
        5,
        {"fails": 2},
        {"total": 5},
    )
    assert first.key == last.key
    assert str(first) == "a: charge, failed with BANK_CLOSED: nobody is there"


async def test_what_a_handler_performs_is_called_after_it(harness):
    await harness.run("performing", {"total": 5})
    assert [call.handler for call in harness.calls] == ["twice", "charge", "charge"]
    assert {call.step for call in harness.calls} == {"a"}


async def test_the_wait_of_a_child_ends_at_its_instant(harness):
    await harness.run("delegating")
    await harness.assert_waiting("a child")
    await harness.advance("3h")
    await harness.assert_completed({"child.status": "completed"})
    assert harness.execution.updated_at == NOON + HOUR


async def test_a_child_can_be_looked_at(harness):
    await harness.run("delegating")
    await harness.use(harness.execution.context.get("child") or harness.calls[0].result.child_id)
    await harness.assert_waiting("tram")
    assert harness.execution.flow_id == "napping"


async def test_a_token_resumes_once(harness):
    await harness.run("asking")
    token = await harness.token(expires_in="1h")
    await harness.resume({"ok": True}, token=token)
    await harness.assert_completed({"a.ok": True})
    with pytest.raises(TokenRefused, match="used"):
        await harness.resume({"ok": True}, token=token)


async def test_a_token_is_good_until_its_hour_on_the_clock(harness):
    await harness.run("asking")
    token = await harness.token(expires_in="1h")
    await harness.advance("1h")
    with pytest.raises(TokenRefused, match="expired"):
        await harness.resume(token=token)


async def test_a_token_of_another_execution_answers_that_one(harness):
    other = await harness.run("asking")
    token = await harness.token()
    current = await harness.run("asking")
    assert (await harness.resume(token=token)).id == other.id
    assert harness.execution.id == current.id
    await harness.assert_waiting()


async def test_what_does_not_wait_is_not_resumed(harness):
    await harness.run("asking")
    await harness.resume()
    with pytest.raises(NotWaiting):
        await harness.resume()


async def test_a_cancelled_execution_says_who_did_it(harness):
    await harness.run("asking")
    result = await harness.cancel("too late", source="system")
    assert result.cancelled
    await harness.assert_cancelled("system")
    assert not (await harness.cancel()).cancelled


async def test_a_deadline_passes_at_its_instant(harness):
    await harness.run("asking", timeouts=Timeouts(wait="2h"))
    await harness.advance("5h")
    await harness.assert_cancelled("timeout")
    assert harness.execution.updated_at == NOON + 2 * HOUR


async def test_one_key_starts_one_execution(harness):
    first = await harness.start("asking", idempotency_key="k")
    again = await harness.start("asking", idempotency_key="k")
    assert (first.created, again.created, again.id == first.id) == (True, False, True)
    assert not harness.execution.created


async def test_a_flow_that_is_saved_meanwhile_is_run_like_the_others(harness):
    await harness.flows.flows.save(
        one("late", Step("charge", config={"fails": 1}, input={"key": "total"}, retry=STEADY))
    )
    await harness.run("late", {"total": 5})
    await harness.advance("3m")
    await harness.assert_completed()
    assert harness.execution.updated_at == NOON + timedelta(minutes=1)


async def test_what_was_published_is_known_and_delivered():
    heard = []

    @subscriber("charged")
    async def hear(message):
        heard.append(message.payload)

    async with FlowHarness(one("f", Step("charge", input={"static": 3})), [charge], subscribers=[hear]) as harness:
        await harness.run()
        assert [message.payload for message in harness.published("charged")] == heard == [{"amount": 3}]


async def test_the_only_flow_needs_no_name_and_may_be_data_in_a_file_of_its_own(tmp_path):
    written = {
        "id": "f",
        "version": "1.0.0",
        "initialStepId": "s",
        "steps": {"s": {"type": "charge", "input": {"type": "static", "value": 1}, "transitions": {"onSuccess": None}}},
    }
    async with FlowHarness(written, [charge], store=SqliteStore(tmp_path / "flows.db")) as harness:
        await harness.run()
        await harness.assert_completed()


async def test_limits_of_the_test_hold():
    async with FlowHarness(FLOWS, HANDLERS, limits=ContextLimits(keys=1), max_steps=3) as harness:
        with pytest.raises(ContextTooLarge):
            await harness.start("asking", {"a": 1, "b": 2})
        await harness.run("turning")
        await harness.assert_failed("MAX_STEPS")
        assert len(harness.calls) == 3


async def test_flows_are_not_counted_among_the_covered_definitions():
    listener = CoverageSum()
    LISTENERS.append(listener)
    try:
        async with FlowHarness(FLOWS, HANDLERS) as harness:
            await harness.run("asking")
    finally:
        LISTENERS.remove(listener)
    assert list(listener.coverages) == []


# -- what is not as expected


async def complaint(asserting):
    with pytest.raises(AssertionError) as caught:
        await asserting
    return str(caught.value)


async def test_a_failed_assertion_shows_the_path_of_steps(harness):
    await harness.run("order", {"total": 40})
    await harness.resume({"by": "ana"})
    assert (await complaint(harness.assert_completed())).splitlines() == [
        "expected the execution to be completed; it waits in 'nap': the next tram, until 2030-01-01 13:00:00",
        "the path that led there:",
        "  started in 'charge'",
        f"  charge: charge, succeeded with {{'amount': 40, 'at': '{NOON.isoformat()}'}}",
        "  charge → ask",
        "  ask: ask, waits for 'approval by ana'",
        "  ask waits",
        "  ask resumed → nap",
        "  nap: nap, waits for 'the next tram'",
        "  nap waits",
    ]


async def test_attempts_under_way_are_shown_as_well(harness):
    await harness.run("paying", {"total": 5})
    await harness.advance("1m")
    said = await complaint(harness.assert_completed())
    assert "it waits in 'a': the step is tried again, until 2030-01-01 12:03:00" in said
    assert said.endswith("  a: charge, attempt 2, failed with BANK_CLOSED: nobody is there")


async def test_another_error_is_named(harness):
    await harness.run("failing", {"total": 5})
    said = await complaint(harness.assert_failed("NO_MONEY"))
    assert said.startswith(
        "expected it to fail with NO_MONEY; it has failed in 'a' with BANK_CLOSED: nobody is there\n"
    )
    await harness.assert_failed("BANK_CLOSED")


async def test_another_wait_is_named(harness):
    await harness.run("order", {"total": 5})
    assert "to wait for 'rain'; it waits in 'ask': approval by ana\n" in await complaint(harness.assert_waiting("rain"))
    assert "to wait in 'nap'; it waits in 'ask'" in await complaint(harness.assert_waiting(step="nap"))
    assert "to be failed; it waits" in await complaint(harness.assert_failed())


async def test_another_source_is_named(harness):
    await harness.run("asking")
    await harness.cancel("too late")
    said = await complaint(harness.assert_cancelled("timeout"))
    assert said.startswith("expected it to be cancelled by timeout; it was cancelled by user: too late\n")
    assert said.endswith("  cancelled in 'a': too late")


async def test_other_values_are_shown_with_what_was_meant(harness):
    await harness.run("order", {"total": 5})
    said = await complaint(harness.assert_context({"payment.amout": 5}, total=6))
    assert "  total: expected 6, found 5\n" in said
    assert "there is nothing (did you mean 'payment.amount'" in said
    assert "the execution waits in 'ask'" in said


async def test_values_of_what_is_completed_are_compared(harness):
    await harness.run("paying", {"total": 5})
    await harness.advance("3m")
    assert "payment.amount: expected 6, found 5" in await complaint(harness.assert_completed({"payment.amount": 6}))


async def test_what_was_not_begun_says_so(harness):
    await harness.start("order", {"total": 5})
    said = await complaint(harness.assert_completed())
    assert said.endswith("it is pending: its first step was not begun\nthe path that led there:\n  started in 'charge'")


# -- slips of the test


async def test_slips_of_the_test_are_no_failed_assertions(harness):
    with pytest.raises(HarnessMisused, match="no execution was started"):
        harness.execution  # noqa: B018
    with pytest.raises(HarnessMisused, match="several workflows"):
        await harness.run()
    with pytest.raises(UnknownFlow, match="ordr"):
        await harness.run("ordr")
    await harness.run("asking")
    with pytest.raises(HarnessMisused, match="no step 'aks'"):
        await harness.assert_waiting(step="aks")
    with pytest.raises(HarnessMisused, match="no handler 'chrge'"):
        harness.calls_of("chrge")
    with pytest.raises(ValueError, match="backwards"):
        await harness.advance(-HOUR)
    await harness.cancel()
    await harness.run("failing", {"total": 1})
    with pytest.raises(HarnessMisused, match="in no step"):
        await harness.token()


async def test_it_is_entered_before_it_is_used():
    harness = FlowHarness(FLOWS, HANDLERS)
    with pytest.raises(HarnessMisused, match="async with FlowHarness"):
        await harness.run("asking")


async def test_what_cannot_be_run_is_refused_when_it_is_made():
    with pytest.raises(FlowInvalid, match="no handler 'chrge'"):
        FlowHarness(one("f", Step("chrge")), HANDLERS)


@pytest.mark.parametrize("by", ["1 year", 5])
async def test_a_time_that_is_none_is_an_invalid_value(by):
    async with FlowHarness(Flow("napping", initial_step_id="a", steps={"a": Step("nap")}), [nap]) as harness:
        await harness.run()
        with pytest.raises(InvalidValue, match=r"by .* is not a duration"):
            await harness.advance(by)
    with pytest.raises(InvalidValue, match=r"by .* is not a duration"):
        FakeClock().advance(by)


@handler("doze")
async def doze(ctx: HandlerContext):
    return wait(5000)  # type: ignore[arg-type]


async def test_a_wait_without_a_unit_says_what_to_write():
    async with FlowHarness(Flow("dozing", initial_step_id="a", steps={"a": Step("doze")}), [doze]) as harness:
        execution = await harness.run()
    assert execution.error is not None
    assert (execution.error.code, execution.error.message) == (
        "INVALID_WAIT",
        "wait was given 5000 (a number has no unit: wait(timedelta(seconds=5000)), or milliseconds=)",
    )


FORM = {"type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}}}


@handler("sign")
async def sign(ctx: HandlerContext, config: JsonObject):
    return wait_for_event("a signature", form=config["form"])


def signing(form):
    return Flow("signing", initial_step_id="a", steps={"a": Step("sign", config={"form": form}, output_key="signed")})


async def test_data_that_do_not_meet_the_form_are_refused_and_the_flow_waits_on():
    async with FlowHarness(signing(FORM), [sign]) as harness:
        await harness.run()
        token = await harness.token()
        for data, said in [
            ({"approved": "yes"}, "'yes' is not of type 'boolean'"),
            ({}, "required"),
            (None, "missing"),
        ]:
            with pytest.raises(InvalidValue, match=said) as raised:
                await harness.resume(data, token=token)
            assert raised.value.path == "data"
        await harness.assert_waiting("a signature", step="a")
        # The token was not spent.
        await harness.resume({"approved": True}, token=token)
        await harness.assert_completed({"signed.approved": True})


async def test_the_problems_of_data_name_their_places():
    async with FlowHarness(signing(FORM), [sign]) as harness:
        await harness.run()
        with pytest.raises(InvalidValue) as raised:
            await harness.resume({"approved": "yes"})
    assert [(one.path, one.code) for one in raised.value.problems] == [("approved", "type")]


async def test_a_form_that_is_no_schema_fails_the_step():
    async with FlowHarness(signing({"type": "objekt"}), [sign]) as harness:
        execution = await harness.run()
    assert execution.error is not None
    assert execution.error.code == "INVALID_WAIT"
    assert "form is no JSON Schema" in execution.error.message
