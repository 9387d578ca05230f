"""Large values of an execution: out of its row, and there for whoever needs them."""

import pytest

from detent import FlowService, InvalidValue, MemoryStore, SqliteStore, WorkflowRuntime, WorkflowService
from detent.flows import (
    CHILD_ENDED,
    ContextLimits,
    FlowBook,
    HandlerContext,
    WaitForChild,
    handler,
    success,
    wait_for_event,
)

LARGE = "x" * 100_000
SEEN = list[object]()


@handler("make", targets=False)
async def make(ctx: HandlerContext, config):
    for key, value in config["write"].items():
        ctx.context[key] = value * 100_000 if value == "x" else value
    for key in config.get("remove", []):
        await ctx.read(key)
        ctx.delete(key)
    return success(config.get("output"))


@handler("look", targets=False)
async def look(ctx: HandlerContext, config, input):
    SEEN.append(input)
    SEEN.append(sorted(ctx.context))
    if "read" in config:
        SEEN.append(await ctx.read(config["read"]))


@handler("drop", targets=False)
async def drop(ctx: HandlerContext):
    SEEN.append(ctx.has("report"))
    ctx.delete("report")
    SEEN.append(ctx.has("report"))


@handler("rest", targets=False)
async def rest(ctx: HandlerContext):
    return wait_for_event()


@handler("below", targets=False)
async def below(ctx: HandlerContext):
    return WaitForChild(str(await ctx.start_child("chain", on_end=CHILD_ENDED)))


def chain(*steps):
    """A flow of these steps in a row."""
    named = {f"s{number}": step for number, step in enumerate(steps)}
    rows = {name: {**step, "on_success": f"s{int(name[1:]) + 1}"} for name, step in named.items()}
    rows[f"s{len(steps) - 1}"].pop("on_success")
    return {"id": "chain", "initial_step_id": "s0", "steps": rows}


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "flows.db")


async def ran(store, flow, context=None, limits=None):
    """The service, and the execution at its end."""
    book = FlowBook(flows=[flow], handlers=[make, look, rest, drop], limits=limits)
    async with WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands) as runtime:
        flows = FlowService(WorkflowService(runtime), book)
        execution = await flows.run((await flows.start_flow("chain", context)).id)
        instance = await runtime.get_instance(execution.id)
        sizes = await store.values.sizes(execution.id)
    return execution, instance, sizes


async def test_a_large_value_leaves_the_row_and_comes_back(store):
    steps = [
        {"type": "make", "config": {"write": {"report": "x", "note": "small"}}},
        {"type": "look", "input": {"key": "note"}},
        {"type": "look", "input": {"template": "${report}"}},
    ]
    execution, instance, sizes = await ran(store, chain(*steps))
    assert execution.context == {"report": LARGE, "note": "small"}
    assert instance.context.keys() == {"note", "$flow"}
    assert list(sizes.values()) == [100_002]
    assert SEEN == ["small", ["note"], LARGE, ["note", "report"]]


async def test_what_the_input_does_not_name_is_read_when_it_is_asked_for(store):
    steps = [
        {"type": "make", "config": {"write": {"report": "x"}}},
        {"type": "look", "config": {"read": "report"}},
        {"type": "look", "config": {"read": "nothing"}, "input": {"full": True}},
    ]
    await ran(store, chain(*steps))
    assert SEEN == [None, [], LARGE, {"report": LARGE}, ["report"], None]


async def test_what_was_read_and_not_changed_stays_where_it_is_and_what_changed_is_kept_anew(store):
    steps = [
        {"type": "make", "config": {"write": {"report": "x", "other": "x"}}},
        {"type": "look", "input": {"full": True}},
        {"type": "make", "config": {"write": {"report": "short"}}},
    ]
    execution, instance, sizes = await ran(store, chain(*steps))
    assert execution.context == {"report": "short", "other": LARGE}
    assert instance.context["report"] == "short"
    assert len(sizes) == 1


async def test_what_a_handler_deletes_is_gone(store):
    steps = [
        {"type": "make", "config": {"write": {"report": "x"}}},
        {"type": "make", "config": {"write": {}, "remove": ["report"]}},
    ]
    execution, instance, _ = await ran(store, chain(*steps))
    assert execution.context == {}
    assert instance.context.keys() == {"$flow"}


async def test_an_output_is_put_into_what_lies_beside(store):
    steps = [
        {"type": "make", "config": {"write": {}}},
        {"type": "make", "config": {"write": {}, "output": 1}, "output_key": "report.total"},
    ]
    execution, instance, _ = await ran(store, chain(*steps), {"report": {"text": LARGE}})
    assert execution.context == {"report": {"text": LARGE, "total": 1}}
    assert "report" not in instance.context


async def test_what_lies_beside_counts_towards_the_limit(store):
    steps = [{"type": "make", "config": {"write": {f"part{number}": "x"}}} for number in range(3)]
    execution, _, _ = await ran(store, chain(*steps), limits=ContextLimits(total_bytes=250_000))
    assert (execution.status, execution.error.code) == ("failed", "CONTEXT_SIZE_LIMIT")
    assert execution.context.keys() == {"part0", "part1", "error"}


async def test_what_was_patched_meanwhile_counts_and_not_what_lay_beside(store):
    steps = [
        {"type": "make", "config": {"write": {"report": "x"}}},
        {"type": "rest"},
        {"type": "look", "input": {"key": "report"}},
    ]
    book = FlowBook(flows=[chain(*steps)], handlers=[make, look, rest])
    async with WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands) as runtime:
        flows = FlowService(WorkflowService(runtime), book)
        execution = await flows.run((await flows.start_flow("chain")).id)
        await runtime.patch_context(execution.id, {"report": "new"})
        assert (await flows.get(execution.id)).context == {"report": "new"}
        await flows.resume(execution.id)
        execution = await flows.run(execution.id)
    assert SEEN[0] == "new"
    assert execution.context == {"report": "new"}


async def test_a_handler_knows_of_what_lies_beside_and_may_delete_it_unread(store):
    steps = [{"type": "make", "config": {"write": {"report": "x"}}}, {"type": "drop"}]
    execution, _, _ = await ran(store, chain(*steps))
    assert SEEN == [True, False]
    assert execution.context == {}


async def test_data_of_a_resume_are_not_put_into_what_lies_beside(store):
    steps = [
        {"type": "make", "config": {"write": {}}},
        {"type": "rest", "output_key": "report.answer"},
    ]
    book = FlowBook(flows=[chain(*steps)], handlers=[make, look, rest])
    async with WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands) as runtime:
        flows = FlowService(WorkflowService(runtime), book)
        execution = await flows.run((await flows.start_flow("chain", {"report": {"text": LARGE}})).id)
        with pytest.raises(InvalidValue, match="too large"):
            await flows.resume(execution.id, 1)
        assert (await flows.get(execution.id)).status == "waiting"


async def test_nothing_is_moved_where_nothing_shall_be(store):
    steps = [{"type": "make", "config": {"write": {"report": "x"}}}]
    execution, instance, sizes = await ran(store, chain(*steps), limits=ContextLimits(inline_bytes=None))
    assert execution.context == {"report": LARGE}
    assert instance.context["report"] == LARGE
    assert sizes == {}


async def test_what_nothing_refers_to_any_more_goes_with_the_next_step(store):
    write = {"type": "make", "config": {"write": {"report": "x"}, "output": "x"}}
    steps = [
        write,
        {"type": "make", "config": {"write": {"report": "x", "copy": "x"}, "remove": ["report"]}},
        {"type": "make", "config": {"write": {"report": "short"}, "remove": ["copy"]}},
        {"type": "look"},
    ]
    execution, instance, sizes = await ran(store, chain(*steps))
    assert (execution.context, sizes) == ({"report": "short"}, {})
    assert instance.context["$flow"]["values"] == {}


async def test_a_value_that_a_later_step_writes_again_is_another_one(store):
    """What a step drops is taken out by the next, maybe by a worker that has lost it: it must not be what that one has put."""
    steps = [
        {"type": "make", "config": {"write": {"report": "x"}}},
        {"type": "make", "config": {"write": {}, "remove": ["report"]}},
        {"type": "make", "config": {"write": {"report": "x"}}},
    ]
    execution, _, sizes = await ran(store, chain(*steps))
    assert execution.context == {"report": LARGE}
    assert len(sizes) == 1


async def test_the_result_of_a_child_holds_its_large_values(store):
    child = chain({"type": "make", "config": {"write": {"report": "x", "note": "small"}}})
    parent = {
        "id": "parent",
        "initial_step_id": "a",
        "steps": {"a": {"type": "below", "output_key": "result", "on_success": "b"}, "b": {"type": "look"}},
    }
    book = FlowBook(flows=[child, parent], handlers=[make, look, below])
    async with WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands) as runtime:
        flows = FlowService(runtime, book)
        started = await flows.run((await flows.start_flow("parent")).id)
        [below_it] = await runtime.find_instances(parent=started.id)
        await flows.run(below_it.id)
        await runtime.process_inbox()
        ended = await flows.run(started.id)
        assert ended.status == "completed", ended
        assert ended.context["result"]["context"] == {"report": LARGE, "note": "small"}
        assert list((await store.values.sizes(started.id)).values()) != []
