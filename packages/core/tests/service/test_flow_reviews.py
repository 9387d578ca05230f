"""What a review of flows found: each was a fault once."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from detent import (
    FlowService,
    IdempotencyConflict,
    InstanceNotFound,
    InvalidValue,
    MemoryStore,
    Settings,
    Timeouts,
    UnknownWorkflow,
    WorkflowDefinition,
    WorkflowRuntime,
    WorkflowService,
)
from detent.flows import (
    CHILD_ENDED,
    Flow,
    FlowBook,
    FlowInvalid,
    HandlerContext,
    NotWaiting,
    TokenRefused,
    UnknownFlow,
    WaitForChild,
    failure,
    handler,
    success,
    wait_for_event,
)
from detent.testing import FakeClock

PLAIN = WorkflowDefinition.from_dict(
    {
        "name": "invoice",
        "initial_state": "open",
        "states": {"open": {"events": {"pay": {"target": "paid"}}}, "paid": {}},
        "metadata": {"flow": {"by": "hand"}},
    }
)


@handler("slow", targets=False)
async def slow(ctx: HandlerContext):
    return failure("TIMEOUT", "the other side was slow")


@handler("mend", targets=False)
async def mend(ctx: HandlerContext):
    return success(ctx.error and ctx.error["message"])


@handler("garbled", targets=False)
async def garbled(ctx: HandlerContext):
    raise OSError("no such file: \0 \ud800")


@handler("ask", targets=False)
async def ask(ctx: HandlerContext):
    return wait_for_event("an answer")


@handler("parent", targets=False)
async def parent(ctx: HandlerContext):
    child = await ctx.start_child("asking", on_end=CHILD_ENDED)
    return WaitForChild(str(child))


@handler("stubborn", targets=False)
async def stubborn(ctx: HandlerContext):
    return failure("BUSY", "the bank is busy")


@handler("look", targets=False)
async def look(ctx: HandlerContext):
    seen: dict[str, object] = {"has": ctx.has("doc")}
    for name, ask in (("get", lambda: ctx.get("doc")), ("item", lambda: ctx.context["doc"])):
        try:
            seen[name] = type(ask()).__name__
        except InvalidValue as error:
            seen[name] = type(error).__name__
    return success({**seen, "read": len(await ctx.read("doc"))})


@handler("counting", targets=False)
async def counting(ctx: HandlerContext, config):
    config["n"] += 1
    config["seen"].append(config["n"])
    return success(config)


def flow(name, **steps):
    return {"id": name, "initial_step_id": next(iter(steps)), "steps": steps}


FLOWS = [
    flow("slow", a={"type": "slow", "on_failure": "b"}, b={"type": "mend", "output_key": "said"}),
    flow("garbled", a={"type": "garbled", "on_failure": "b"}, b={"type": "mend", "output_key": "said"}),
    flow("asking", a={"type": "ask", "output_key": "answer"}),
    flow("stubborn", a={"type": "stubborn", "retry": {"maxAttempts": 3, "backoffMs": 60_000}}),
    flow(
        "bulky",
        a={"type": "look", "output_key": "first", "on_success": "b"},
        b={"type": "look", "output_key": "second"},
    ),
    flow("counting", a={"type": "counting", "config": {"n": 0, "seen": []}, "output_key": "count"}),
    flow("parent", a={"type": "parent", "on_success": "b"}, b={"type": "ask", "output_key": "answer"}),
]
HANDLERS = [slow, mend, garbled, ask, stubborn, look, counting, parent]


@pytest.fixture
async def store():
    return MemoryStore()


@pytest.fixture
def book():
    return FlowBook(flows=FLOWS, handlers=HANDLERS)


@pytest.fixture
async def runtime(store, book):
    async with WorkflowRuntime(
        store=store, definitions=[*book.definitions, PLAIN], commands=book.commands, adopts=book.adopts
    ) as runtime:
        yield runtime


@pytest.fixture
def flows(runtime, book):
    return FlowService(WorkflowService(runtime), book)


async def test_a_failure_that_is_called_timeout_is_not_the_end_of_the_executions_time(flows):
    started = await flows.start_flow("slow", timeouts=Timeouts(execution="1h"))
    execution = await flows.run(started.id)
    assert (execution.status, execution.context["said"]) == ("completed", "the other side was slow")


async def test_an_error_that_no_store_could_keep_reaches_the_failure_branch(flows, caplog):
    # What is logged of it could not be sent to those who count the tests.
    caplog.set_level(logging.CRITICAL, "detent.flows")
    execution = await flows.run((await flows.start_flow("garbled")).id)
    assert execution.status == "completed"
    assert execution.context["said"].startswith("OSError: no such file:")


async def test_a_child_that_nobody_waits_for_any_more_ends_no_other_wait(runtime, flows):
    waiting = await flows.run((await flows.start_flow("parent")).id)
    [child] = (await runtime.find_instances(parent=waiting.id)).instances
    await flows.resume(waiting.id, "never mind")
    asking = await flows.run(waiting.id)
    assert (asking.status, asking.current_step) == ("waiting", "b")
    await flows.run(child.id)
    await flows.resume(child.id, "late")
    await runtime.process_inbox()
    still = await flows.get(waiting.id)
    assert (still.status, still.current_step) == ("waiting", "b")
    assert "answer" not in still.context
    await flows.resume(waiting.id, "mine")
    assert (await flows.get(waiting.id)).context["answer"] == "mine"


async def test_a_flow_may_not_take_the_name_of_a_workflow_that_is_none(flows):
    with pytest.raises(FlowInvalid, match="that is no flow"):
        await flows.flows.save(flow("invoice", a={"type": "ask"}) | {"version": "2"})


async def test_a_workflow_that_is_no_flow_is_not_started_as_one(runtime, flows):
    with pytest.raises(UnknownFlow):
        await flows.start_flow("invoice")
    assert (await runtime.count_instances(workflow="invoice"))[()] == 0


async def test_what_looks_like_a_flow_and_is_none_keeps_nobody_from_starting(store, book):
    async with WorkflowRuntime(store=store, definitions=[PLAIN]):
        pass
    async with WorkflowRuntime(
        store=store, definitions=book.definitions, commands=book.commands, adopts=book.adopts
    ) as runtime:
        with pytest.raises(UnknownWorkflow):
            await runtime.create_instance("invoice")


async def test_slips_are_answered_with_what_was_meant(flows):
    execution = await flows.run((await flows.start_flow("asking")).id)
    with pytest.raises(UnknownFlow, match="known: '1'"):
        await flows.start_flow("asking", version="9")
    with pytest.raises(InvalidValue, match="known: 'a'"):
        await flows.tokens.generate(execution.id, "z")
    with pytest.raises(TokenRefused, match="unknown") as refused:
        await flows.resume("s3cret-with-a-slip")
    assert "s3cret" not in str(refused.value)


async def test_an_execution_whose_step_waits_for_an_operator_ends_at_its_deadline(book):
    clock = FakeClock()
    async with WorkflowRuntime(
        store=MemoryStore(),
        definitions=book.definitions,
        commands=book.commands,
        settings=Settings(max_crashes=1),
        clock=clock,
    ) as runtime:
        flows = FlowService(runtime, book)
        started = await flows.start_flow("asking", timeouts=Timeouts(execution="1h"))
        # Its worker dies.
        await runtime.running().runs.claim(1)
        clock.advance(timedelta(minutes=1))
        parked = await flows.run(started.id)
        assert (parked.status, parked.wake_at) == ("waiting", None)
        clock.advance(timedelta(hours=1))
        await runtime.process_timeouts()
        ended = await flows.get(started.id)
    assert ended.cancellation is not None
    assert (ended.cancellation.source, ended.cancellation.reason) == ("timeout", "the execution took too long")


async def test_a_flow_starts_in_the_transaction_of_its_caller(flows, store):
    started = None
    with suppress(OSError):
        async with store.begin() as mine:
            started = await flows.within(mine).start_flow("asking")
            raise OSError
    assert started is not None
    with pytest.raises(InstanceNotFound):
        await flows.get(started.id)
    async with store.begin() as mine:
        started = await flows.within(mine).start_flow("asking")
    assert (await flows.run(started.id)).status == "waiting"


async def test_what_a_service_is_made_of_and_given_is_checked(runtime, book):
    flows = FlowService(runtime, book)
    with pytest.raises(InvalidValue, match="FlowBook"):
        FlowService(book, runtime)
    with pytest.raises(InvalidValue, match="Timeouts"):
        await flows.start_flow("asking", timeouts={"wait": "1d"})  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="id of a flow"):
        await flows.start_flow(7)  # type: ignore[arg-type]
    started = await flows.start_flow(Flow.from_dict(FLOWS[2]))
    assert (started.flow_id, started.status) == ("asking", "pending")
    with pytest.raises(InvalidValue, match="time zone"):
        await flows.events(started.id, since=datetime(2026, 1, 1))
    with pytest.raises(InvalidValue, match="completed"):
        await flows.events(started.id, types=["step.complete"])
    await flows.start_flow("asking", idempotency_key="k", fingerprint="one")
    with pytest.raises(IdempotencyConflict):
        await flows.start_flow("asking", idempotency_key="k", fingerprint="two")


async def test_why_a_step_is_tried_again_is_seen_while_it_waits_for_that(flows):
    waiting = await flows.run((await flows.start_flow("stubborn")).id)
    assert waiting.error is not None
    assert (waiting.status, waiting.error.code, waiting.error.message) == ("waiting", "BUSY", "the bank is busy")
    with pytest.raises(NotWaiting, match="tried again"):
        await flows.resume(waiting.id)


async def test_a_value_beside_the_context_is_not_taken_for_a_missing_one(flows):
    execution = await flows.run((await flows.start_flow("bulky", {"doc": "x" * 70_000})).id)
    assert execution.status == "completed", execution.error
    assert execution.context["second"] == {"get": "InvalidValue", "item": "InvalidValue", "has": True, "read": 70_000}


async def test_an_application_records_events_of_its_own_among_the_others(flows):
    execution = await flows.run((await flows.start_flow("asking")).id)
    await flows.record(execution.id, "invoice.printed", {"pages": 2})
    [event] = await flows.events(execution.id, types=["execution.recorded"])
    assert (event.step_id, event.details) == ("a", {"name": "invoice.printed", "details": {"pages": 2}})
    assert (await flows.get(execution.id)).status == "waiting"
    ended = await flows.resume(execution.id, "yes")
    await flows.record(ended.id, "archived")
    assert [event.type for event in await flows.events(ended.id)][-1] == "execution.recorded"
    with pytest.raises(InvalidValue, match="name"):
        await flows.record(ended.id, "")


async def test_what_a_handler_does_to_its_config_is_gone_with_the_attempt(flows):
    for _ in range(2):
        execution = await flows.run((await flows.start_flow("counting")).id)
        assert execution.context["count"] == {"n": 1, "seen": [1]}


async def test_what_is_noted_behind_an_end_leaves_the_end_as_it_was(flows):
    execution = await flows.run((await flows.start_flow("asking")).id)
    await flows.cancel(execution.id, reason="no time")
    await flows.record(execution.id, "archived")
    cancelled = await flows.get(execution.id)
    assert cancelled.cancellation is not None
    assert (cancelled.cancellation.source, cancelled.cancellation.reason) == ("user", "no time")
