"""FlowMonkey's behaviours 23 and 28 to 31 on every store, and bad input: dead workers, limits, checks and checkpoints.

Whatever goes wrong has a code of its own, and leaves an execution unchanged or on its failure branch, never stuck.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from detent import ExecutionStatus, Settings, subscriber
from detent.errors import DetentError, InvalidValue, LeaseLost
from detent.flows import (
    CHILD_ENDED,
    ContextLimits,
    ContextTooLarge,
    Flow,
    FlowInvalid,
    WaitForChild,
    failure,
    goto,
    success,
    wait,
    wait_for_event,
    wait_until,
)
from detent.json_values import JsonObject
from tests.parity.flows import Told, chain, single
from tests.parity.ground import Gate

LEASE = Settings().lease
COMPLETED, FAILED, WAITING = ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.WAITING


async def test_23_what_a_worker_killed_after_its_effect_had_begun_is_done_again_under_the_same_key(
    flowing, backend, store, clock
):
    """The second attempt knows that it is one; who was told the effect's key can tell too. What the step publishes comes once."""
    gate, delivered = Gate(), []
    effects: dict[str, list[int]] = {}

    @subscriber("charged")
    async def hear(delivery):
        delivered.append(delivery.payload)

    async def charge(ctx):
        effects.setdefault(ctx.key, []).append(ctx.attempt)
        ctx.publish("charged", {"key": ctx.key})
        if (ctx.step_id, ctx.attempt) == ("a", 1):
            await gate.passed()
        return success(ctx.key)

    work = Told(charge)
    async with asyncio.timeout(20), backend.kit(store).second() as second:
        one = await flowing(chain("a", "b"), handlers=[work.handler], subscribers=[hear])
        two = await flowing(chain("a", "b"), handlers=[work.handler], store=second, subscribers=[hear])
        started = await one.flows.start_flow("chain")
        killed = asyncio.create_task(one.runtime.process_runs())
        await gate.reached.wait()
        assert (await two.flows.run(started.id)).status is ExecutionStatus.RUNNING
        clock.advance(LEASE)
        ended = await two.flows.run(started.id)
        killed.cancel()
        await asyncio.wait([killed])
        await two.runtime.process_outbox()
    assert [(call.step, call.attempt) for call in work.calls] == [("a", 1), ("a", 2), ("b", 1)]
    assert list(effects.values()) == [[1, 2], [1]]
    assert (ended.status, ended.step_count) == (COMPLETED, 2)
    assert ended.context == dict(zip("ab", effects, strict=True))
    assert delivered == [{"key": key} for key in effects]
    assert await two.flows.get(started.id) == ended


LIMITS = ContextLimits(value_bytes=1000, total_bytes=1500, keys=5, depth=3)
TOO_LARGE: dict[str, JsonObject] = {
    "CONTEXT_VALUE_TOO_LARGE": {"big": "x" * 1000},
    "CONTEXT_SIZE_LIMIT": {"one": "x" * 800, "two": "x" * 800},
    "CONTEXT_KEY_LIMIT": {str(n): n for n in range(6)},
    "CONTEXT_NESTING_LIMIT": {"deep": [[[[1]]]]},
}


@pytest.mark.parametrize("limit", TOO_LARGE)
async def test_28_a_flow_is_not_started_with_more_than_its_context_may_hold(flowing, limit):
    process = await flowing(single(type="echo"), limits=LIMITS)
    with pytest.raises(ContextTooLarge) as refused:
        await process.flows.start_flow("single", TOO_LARGE[limit])
    assert (refused.value.code, refused.value.limit) == ("context_too_large", limit)
    assert (await process.runtime.count_instances())[()] == 0


@pytest.mark.parametrize("limit", TOO_LARGE)
@pytest.mark.parametrize("way", ["set", "context"])
async def test_28_a_step_that_would_write_more_fails_and_writes_nothing(flowing, limit, way):
    large = TOO_LARGE[limit]

    async def write(ctx):
        if way == "context":
            ctx.context.update(large)
        elif way == "set":
            for key, value in large.items():
                ctx.set(key, value)
        return success()

    process = await flowing(single(), handlers=[Told(write).handler], limits=LIMITS)
    ended = await process.done("single", {"n": 1})
    assert (ended.status, ended.error.code, ended.context.keys()) == (FAILED, limit, {"n", "error"})


@pytest.mark.parametrize(
    ("limit", "context", "output"),
    [
        ("CONTEXT_VALUE_TOO_LARGE", {"n": 1}, "x" * 1000),
        ("CONTEXT_SIZE_LIMIT", {"n": "x" * 800}, "x" * 800),
        ("CONTEXT_KEY_LIMIT", {str(n): n for n in range(5)}, 1),
        ("CONTEXT_NESTING_LIMIT", {"n": 1}, [[[[1]]]]),
    ],
)
async def test_28_an_output_that_the_context_cannot_hold_fails_its_step(flowing, limit, context, output):
    """The error itself is always held: a step that deals with it has the room that there was before."""
    flow = mended(output_key="answer")
    process = await flowing(flow, handlers=[Told(success(output)).handler], limits=LIMITS)
    ended = await process.done("mended", context)
    assert (ended.status, ended.error.code, ended.error.step_id) == (COMPLETED, limit, "only")
    assert ended.context.keys() == {*context, "error"}


async def test_28_a_wait_is_not_ended_with_more_than_the_context_may_hold(flowing):
    process = await flowing(single(), handlers=[Told(wait_for_event()).handler], limits=LIMITS)
    seen = await process.done("single")
    token = await process.flows.tokens.generate(seen.id, "only")
    for execution in (seen.id, token):
        with pytest.raises(ContextTooLarge) as refused:
            await process.flows.resume(execution, "x" * 1000)
        assert refused.value.limit == "CONTEXT_VALUE_TOO_LARGE"
    assert (await process.flows.get(seen.id)).context == {}
    ended = await process.flows.resume(token, "short")
    assert (ended.status, ended.context) == (COMPLETED, {"answer": "short"})


async def test_28_an_output_that_has_no_place_fails_its_step_and_changes_nothing(flowing):
    """`total` is a number here, and `total.net` nothing that could be in it."""
    process = await flowing(single(output_key="total.net"), handlers=[Told(success(5)).handler])
    ended = await process.done("single", {"total": 7})
    assert (ended.status, ended.error.code) == (FAILED, "OUTPUT_ERROR")
    assert ended.error.details == {"path": "context.total.net"}
    assert ended.context["total"] == 7


async def test_28_data_that_has_no_place_is_refused_and_the_flow_waits_on(flowing):
    process = await flowing(single(output_key="total.net"), handlers=[Told(wait_for_event()).handler])
    seen = await process.done("single", {"total": 7})
    with pytest.raises(InvalidValue) as refused:
        await process.flows.resume(seen.id, 5)
    assert refused.value.path == "context.total.net"
    assert await process.flows.get(seen.id) == seen
    assert (await process.flows.resume(seen.id)).status is COMPLETED


@pytest.mark.parametrize("place", ["__proto__.x", "a.constructor", "prototype", "error", "$flow.steps", "a..b", ""])
async def test_28_an_output_cannot_be_put_where_it_harms(flowing, place):
    with pytest.raises(FlowInvalid) as refused:
        await flowing(single(type="echo", output_key=place))
    [problem] = refused.value.problems
    assert (problem.path, problem.code) == ("steps.only.output_key", "bad_output_path")


BROKEN = {
    "id": "broken",
    "version": "1.0.0",
    "initialStepId": "nowhere",
    "steps": {
        "a": {"id": "b", "type": "echo", "input": {"type": "full"}, "transitions": {"onSuccess": "gone"}},
        "c": {"id": "c", "type": "ecko", "input": {"type": "full"}, "transitions": {"onFailure": "away"}},
    },
}


async def test_29_a_flow_is_refused_with_the_path_and_the_reason_of_every_problem(flowing):
    process = await flowing()
    with pytest.raises(FlowInvalid) as refused:
        await process.flows.flows.save(BROKEN)
    assert refused.value.code == "flow_invalid"
    assert {(problem.path, problem.code) for problem in refused.value.problems} == {
        ("initial_step_id", "unknown_step"),
        ("steps.a.id", "id_mismatch"),
        ("steps.a.on_success", "unknown_step"),
        ("steps.c.on_failure", "unknown_step"),
        ("steps.c.type", "unknown_handler"),
    }
    assert all(problem.message for problem in refused.value.problems)
    assert await process.flows.flows.list() == []


async def test_29_a_flow_without_steps_is_refused(flowing):
    process = await flowing()
    with pytest.raises(FlowInvalid) as refused:
        await process.flows.flows.save({"id": "empty", "initialStepId": "a", "steps": {}})
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("steps", "no_steps")]


async def test_29_an_unknown_selector_is_refused(flowing):
    process = await flowing()
    step = {"type": "echo", "input": {"type": "guess", "of": "x"}}
    with pytest.raises(FlowInvalid) as refused:
        await process.flows.flows.save({"id": "guessing", "initialStepId": "a", "steps": {"a": step}})
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("steps.a.input", "bad_selector")]


async def test_29_a_step_without_transitions_is_a_last_one_and_one_that_nothing_leads_to_is_told_of(flowing, caplog):
    steps = {"a": {"type": "echo", "input": {"type": "full"}}, "lost": {"type": "echo", "input": {"type": "full"}}}
    process = await flowing({"id": "short", "initialStepId": "a", "steps": steps})
    assert (await process.done("short")).status is COMPLETED
    assert "no transition leads from 'a' to 'lost'" in caplog.text


async def test_30_a_step_of_a_worker_that_stalls_is_taken_over_and_the_old_one_is_refused(
    flowing, backend, store, clock
):
    """What the first attempt had kept is there for the second; what it wants to keep later is not, nor its result."""
    stalled, taken_over, refused = Gate(), Gate(), []

    async def copy(ctx):
        if ctx.attempt == 2:
            await ctx.checkpoint("page", 2)
            await taken_over.passed()
            return success(dict(ctx.kept))
        await ctx.checkpoint("page", 1)
        await ctx.checkpoint("began", "first")
        await stalled.passed()
        for say in (ctx.heartbeat, lambda: ctx.progress(0.9), lambda: ctx.checkpoint("page", 9)):
            with pytest.raises(LeaseLost):
                await say()
            refused.append(True)
        return success("too late")

    work = Told(copy, stateful=True)
    async with asyncio.timeout(20), backend.kit(store).second() as second:
        one = await flowing(single(), handlers=[work.handler])
        two = await flowing(single(), handlers=[work.handler], store=second)
        started = await one.flows.start_flow("single")
        first = asyncio.create_task(one.runtime.process_runs())
        await stalled.reached.wait()
        clock.advance(LEASE)
        other = asyncio.create_task(two.runtime.process_runs())
        await taken_over.reached.wait()
        run_id = (await one.runtime.get_instance(started.id)).run_id
        held = await one.runtime.runs.get(run_id)
        stalled.open()
        assert ((await first).lost, refused) == (1, [True] * 3)
        assert await one.runtime.runs.get(run_id) == held
        taken_over.open()
        assert (await other).completed == 1
        ended = await one.flows.get(started.id)
    assert (ended.status, ended.context["answer"]) == (COMPLETED, {"page": 2, "began": "first"})
    assert [(call.attempt, call.kept) for call in work.calls] == [(1, {}), (2, {"page": 1, "began": "first"})]
    assert (held.attempts, held.crashes) == (2, 1)


async def test_30_a_step_that_kills_its_workers_is_not_left_running(flowing, clock):
    """After as many as it may it waits for an operator, who lets it go on or cancels it; no worker is given it any more."""
    work = Told(success("at last"), stateful=True)
    process = await flowing(single(), handlers=[work.handler], settings=Settings(max_crashes=2))
    executions = [await process.flows.start_flow("single") for _ in range(2)]
    for _ in range(2):
        # It is claimed, and never heard of again.
        assert len(await process.runtime.running().runs.claim(10)) == 2
        clock.advance(LEASE)
    assert (await process.runtime.process_runs()).parked == 2
    for execution in executions:
        seen = await process.flows.run(execution.id)
        assert (seen.status, seen.wake_at) == (WAITING, None)
        assert "its worker died or lost it 2 times" in seen.wait_reason
    assert work.calls == []
    kept, given_up = executions
    await process.runtime.runs.retry((await process.runtime.get_instance(kept.id)).run_id)
    assert (await process.flows.run(kept.id)).context["answer"] == "at last"
    assert (await process.flows.cancel(given_up.id)).cancelled


async def test_31_a_step_that_raises_is_tried_as_often_as_it_may_and_keeps_all_its_checkpoints(flowing):
    async def copy(ctx):
        await ctx.checkpoint(f"page {ctx.attempt}", {"rows": ctx.attempt})
        await ctx.checkpoint("last", ctx.attempt)
        if ctx.attempt < 3:
            raise OSError("disk is full")
        return success(dict(ctx.kept))

    work = Told(copy, stateful=True)
    process = await flowing(single(retry={"max_attempts": 2, "backoff_ms": 100}), handlers=[work.handler])
    started = await process.flows.start_flow("single")
    ended = await process.flows.run(started.id, simulate_time=True)
    pages = {f"page {n}": {"rows": n} for n in (1, 2, 3)}
    assert (ended.status, ended.context) == (COMPLETED, {"answer": {**pages, "last": 3}})
    assert [len(call.kept) for call in work.calls] == [0, 2, 3]


async def test_31_a_step_that_never_stops_raising_fails(flowing):
    work = Told(OSError("disk is full"), stateful=True)
    process = await flowing(single(retry={"max_attempts": 2}), handlers=[work.handler])
    started = await process.flows.start_flow("single")
    ended = await process.flows.run(started.id, simulate_time=True)
    assert (ended.status, ended.error.code, len(work.calls)) == (FAILED, "HANDLER_ERROR", 3)
    assert ended.error.message == "OSError: disk is full"


def mended(**first):
    """A flow whose first step is dealt with by another one."""
    steps = {"only": {"type": "work", "output_key": "n.x", "on_failure": "mend", **first}, "mend": {"type": "echo"}}
    return Flow("mended", initial_step_id="only", steps=steps)


SECONDS: Any = 60
"""A number is no time."""
BAD: list[tuple[JsonObject, Any, str]] = [
    ({"input": {"template": "to ${who:?}"}}, success(), "INPUT_ERROR"),
    ({}, success(1), "OUTPUT_ERROR"),
    ({}, goto("nowhere"), "INVALID_TRANSITION"),
    ({"output_key": "answer"}, success("x" * 900), "CONTEXT_VALUE_TOO_LARGE"),
    ({"output_key": "answer"}, success(float("nan")), "OUTPUT_ERROR"),
    ({"output_key": "answer"}, success(object()), "OUTPUT_ERROR"),
    ({}, wait(timedelta.max), "INVALID_WAIT"),
    ({}, wait(SECONDS), "INVALID_WAIT"),
    ({}, wait_until(datetime(2030, 1, 1)), "INVALID_WAIT"),
    ({}, wait_for_event(details={"no": object()}), "INVALID_WAIT"),
    ({}, failure("OWN", details=object()), "OWN"),
    ({}, failure("OWN", "x" * 999, details="x" * 999), "OWN"),
    ({}, "no result", "HANDLER_ERROR"),
]


@pytest.mark.parametrize(("step", "answer", "code"), BAD, ids=[code + str(n) for n, (*_, code) in enumerate(BAD)])
async def test_bad_input_takes_the_failure_branch_with_a_code_of_its_own(flowing, step, answer, code):
    process = await flowing(mended(**step), handlers=[Told(answer).handler], limits=ContextLimits(value_bytes=900))
    ended = await process.done("mended", {"n": 1})
    assert (ended.status, ended.error.code, ended.error.step_id) == (COMPLETED, code, "only")
    assert (ended.context["n"], ended.context.keys()) == (1, {"n", "error"})


@pytest.mark.parametrize(
    ("context", "refused"),
    [({"$flow": {}}, "invalid_value"), ({"error": 1}, "invalid_value"), ({"n": object()}, "invalid_value")],
)
async def test_bad_input_starts_nothing(flowing, context, refused):
    process = await flowing(single(type="echo"))
    with pytest.raises(DetentError) as error:
        await process.flows.start_flow("single", context)
    assert error.value.code == refused
    assert (await process.runtime.count_instances())[()] == 0


@pytest.mark.parametrize("child", [{"total.net": "place"}, {"answer": "size"}], ids=["no place", "too large"])
async def test_bad_input_from_a_child_takes_the_failure_branch_of_its_parent(flowing, child):
    """The child ends well, and what it hands over cannot be taken in: the parent must not wait for ever."""
    [(place, _)] = child.items()

    async def call(ctx):
        return WaitForChild(str(await ctx.start_child("single", context={"big": "x" * 150}, on_end=CHILD_ENDED)))

    parent = Flow("parent", initial_step_id="call", steps={
        "call": {"type": "work", "output_key": place, "on_failure": "mend"},
        "mend": {"type": "echo"},
    })  # fmt: skip
    limits = ContextLimits(value_bytes=200)
    process = await flowing(parent, single(type="echo"), handlers=[Told(call).handler], limits=limits)
    started = await process.done("parent", {"total": 7})
    await process.runtime.process_runs()
    await process.runtime.process_inbox()
    ended = await process.flows.run(started.id)
    assert (ended.status, ended.context["total"]) == (COMPLETED, 7)
    assert ended.error.code == ("OUTPUT_ERROR" if place == "total.net" else "CONTEXT_VALUE_TOO_LARGE")
