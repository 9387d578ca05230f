"""What a review of flows found: each was a fault once."""

import pytest

from detent import (
    FlowService,
    InvalidValue,
    MemoryStore,
    Timeouts,
    UnknownWorkflow,
    WorkflowDefinition,
    WorkflowRuntime,
    WorkflowService,
)
from detent.flows import (
    CHILD_ENDED,
    FlowBook,
    FlowInvalid,
    HandlerContext,
    UnknownFlow,
    WaitForChild,
    failure,
    handler,
    success,
    wait_for_event,
)

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


def flow(name, **steps):
    return {"id": name, "initial_step_id": next(iter(steps)), "steps": steps}


FLOWS = [
    flow("slow", a={"type": "slow", "on_failure": "b"}, b={"type": "mend", "output_key": "said"}),
    flow("garbled", a={"type": "garbled", "on_failure": "b"}, b={"type": "mend", "output_key": "said"}),
    flow("asking", a={"type": "ask", "output_key": "answer"}),
    flow("parent", a={"type": "parent", "on_success": "b"}, b={"type": "ask", "output_key": "answer"}),
]
HANDLERS = [slow, mend, garbled, ask, parent]


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


async def test_an_error_that_no_store_could_keep_reaches_the_failure_branch(flows):
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
    with pytest.raises(InvalidValue, match="nor a resume token") as refused:
        await flows.resume("s3cret-with-a-slip")
    assert "s3cret" not in str(refused.value)
