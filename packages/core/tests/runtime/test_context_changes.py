"""What history keeps of the context: enough to walk from each entry to the one before and back, however a step changed it."""

import copy
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import (
    ContextChange,
    Fail,
    FlowService,
    MemoryStore,
    Settings,
    WorkflowDefinition,
    WorkflowRuntime,
    WorkflowService,
    command,
    read_archived,
)
from detent.flows import FlowBook, HandlerContext, handler, success, wait_for_event
from detent.runtime.context_changes import MAX_BYTES, changes_between
from detent.testing.clock import FakeClock

KEYS = st.sampled_from(["a", "b", "c/d", "~", "", "~1", "ä"])
SCALARS = st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, "", "x"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3))
CONTEXTS = st.dictionaries(KEYS, VALUES, max_size=4)
RECORDING = Settings(record_changes=True)


def _put(context: dict[str, Any], path: str, value: Any, *, gone: bool) -> None:
    *within, last = [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]
    place = reduce(lambda found, token: found[token], within, context)
    if gone:
        del place[last]
    else:
        place[last] = value


def applied(context, changes):
    """The context after."""
    after = copy.deepcopy(context)
    for change in changes:
        _put(after, change.path, change.value, gone=change.op == "remove")
    return after


def undone(context, changes):
    """The context before."""
    before = copy.deepcopy(context)
    for change in changes:
        _put(before, change.path, change.was, gone=change.op == "add")
    return before


@given(CONTEXTS, CONTEXTS)
def test_changes_lead_from_one_context_to_the_other_and_back(before, after):
    changes = changes_between(before, after)
    # As text, because for Python `True`, `1` and `1.0` are equal.
    assert repr(sorted_in(applied(before, changes))) == repr(sorted_in(after))
    assert repr(sorted_in(undone(after, changes))) == repr(sorted_in(before))


@given(CONTEXTS)
def test_equal_contexts_have_no_changes(context):
    assert changes_between(context, copy.deepcopy(context)) == ()


def sorted_in(value):
    if isinstance(value, dict):
        return {key: sorted_in(value[key]) for key in sorted(value)}
    return [sorted_in(item) for item in value] if isinstance(value, list) else value


def test_objects_are_looked_into_and_lists_are_replaced_whole():
    before = {"order": {"total": 5, "lines": [1, 2], "note": None}, "old": None}
    after = {"order": {"total": 7, "lines": [1, 3], "note": None}, "new": {"a/b": 1}}
    assert changes_between(before, after) == (
        ContextChange("add", "/new", {"a/b": 1}),
        ContextChange("remove", "/old", was=None),
        ContextChange("replace", "/order/lines", [1, 3], [1, 2]),
        ContextChange("replace", "/order/total", 7, 5),
    )


def test_what_is_absent_is_told_from_null():
    [removed], [added] = changes_between({"a": None}, {}), changes_between({}, {"a": None})
    assert removed.to_json() == {"op": "remove", "path": "/a", "was": None}
    assert added.to_json() == {"op": "add", "path": "/a", "value": None}
    assert ContextChange(**removed.to_json()) == removed


def test_changes_share_no_json_with_the_contexts():
    before, after = {"a": [1], "b": {"c": [2]}}, {"a": [3], "d": {"e": [4]}}
    for change in changes_between(before, after):
        for value in (change.value, change.was):
            (value.clear() if isinstance(value, list | dict) else None)
    assert (before, after) == ({"a": [1], "b": {"c": [2]}}, {"a": [3], "d": {"e": [4]}})


def test_changes_that_are_too_large_keep_their_paths_alone():
    before, after = {"a": 1, "text": "x" * MAX_BYTES}, {"text": "y", "b": 2}
    assert [change.to_json() for change in changes_between(before, after)] == [
        {"op": "remove", "path": "/a", "omitted": True},
        {"op": "add", "path": "/b", "omitted": True},
        {"op": "replace", "path": "/text", "omitted": True},
    ]


def test_where_the_paths_are_too_many_one_change_stands_for_all():
    before = {f"{'key' * 10} {number}": number for number in range(1000)}
    assert changes_between(before, {}) == (ContextChange("replace", "", omitted=True),)


CLAIM: Any = {
    "name": "claim",
    "initial_state": "new",
    "context_precedence": "state",
    "states": {
        "new": {
            "context": {"phase": {"name": "new"}},
            "events": {
                "assess": {"target": "assessed", "commands": ["assess"]},
                "note": {"internal": True, "commands": ["assess"]},
                "fast": {"target": "waiting"},
                "fail": {"target": "paid", "error": "waiting", "commands": ["decline"]},
                "break": {"target": "paid", "commands": ["burst"]},
            },
        },
        "assessed": {"context": {"phase": {"name": "assessed"}}, "on_enter": {"target": "waiting"}},
        "waiting": {
            "context": {"phase": {"name": "waiting"}, "waits": True},
            "events": {"pay": {"target": "paid", "commands": ["charge"]}, "lapse": {"target": "new", "timeout": "1d"}},
        },
        "paid": {"context": {"waits": None}},
    },
}


@command("assess")
def assess(ctx):
    ctx.context["assessed"] = ctx.context.get("assessed", 0) + 1
    ctx.context.pop("customer", None)


@command("decline")
def decline(ctx):
    ctx.context["declined"] = True
    return Fail("declined")


@command("burst")
def burst(ctx):
    ctx.context["broken"] = True
    raise ValueError("burst")


@command("charge", durable=True)
async def charge(ctx):
    ctx.context["charged"] = {"run": ctx.run.attempt}


COMMANDS = [assess, decline, burst, charge]


@pytest.fixture
async def runtime(running):
    return await running(CLAIM, commands=COMMANDS, settings=RECORDING)


async def changed(runtime, instance, count):
    """What the newest entries changed, the oldest of them first: `event: path path`."""
    newest = await runtime.get_history(instance.id, limit=count)
    return [f"{entry.event}: {' '.join(sorted(c.path for c in entry.changes))}" for entry in reversed(newest)]


async def test_each_entry_of_a_commit_has_the_changes_of_its_own(runtime):
    claim = await runtime.create_instance("claim", context={"customer": "anna"})
    await runtime.trigger_event(claim.id, "assess")
    assert await changed(runtime, claim, 3) == [
        "$created: ",
        "assess: /assessed /customer /phase/name",
        "$on_enter: /phase/name /waits",
    ]


async def test_however_the_context_was_changed_history_leads_back_to_the_creation(runtime, clock):
    created = await runtime.create_instance("claim", context={"customer": "anna", "a": {"b": 1}})
    await runtime.trigger_event(created.id, "note")
    with pytest.raises(ValueError, match="burst"):
        await runtime.trigger_event(created.id, "break")
    await runtime.trigger_event(created.id, "fail")
    clock.advance("1d")
    assert (await runtime.process_timeouts()).processed == 1
    await runtime.patch_context(created.id, {"a": {"b": 2}}, remove=["declined"])
    await runtime.force(created.id, "waiting", context={"forced": True})
    await runtime.trigger_event(created.id, "pay")
    await runtime.process_runs()

    assert await changed(runtime, created, 9) == [
        "$created: ",
        "note: /assessed /customer",
        "break: ",
        "fail: /declined /phase/name /waits",
        "lapse: /phase/name",
        "$context_patched: /a/b /declined",
        "$forced: /forced /phase/name",
        "pay: ",
        "pay: /charged /waits",
    ]
    now = await runtime.get_instance(created.id)
    entries = await runtime.get_history(created.id)
    assert reduce(undone, [entry.changes for entry in entries], now.context) == created.context


async def test_nothing_is_recorded_unless_it_is_asked_for(running):
    runtime = await running(CLAIM, commands=COMMANDS)
    claim = await runtime.create_instance("claim", context={"customer": "anna"})
    await runtime.trigger_event(claim.id, "assess")
    await runtime.patch_context(claim.id, {"customer": "ben"})
    assert {entry.changes for entry in await runtime.get_history(claim.id)} == {None}


async def test_what_the_join_of_branches_brings_is_a_change(running):
    fork = {
        "name": "order",
        "initial_state": "new",
        "states": {
            "new": {"events": {"go": {"target": "forked"}}},
            "forked": {"on_enter": {"fork": ["left"], "target": "done"}},
            "left": {"events": {"end": {"target": "over"}}},
            "over": {"context": {"over": True}},
            "done": {},
        },
    }
    runtime = await running(fork, settings=RECORDING)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "go")
    [left] = await runtime.find_instances(parent=order)
    await runtime.trigger_event(left.id, "end")
    await runtime.process_inbox()
    assert await changed(runtime, left, 1) == ["end: /over"]
    assert await changed(runtime, order, 1) == ["$joined: /left"]


@handler("ask", targets=False)
async def ask(ctx: HandlerContext):
    return wait_for_event(reason="approval")


@handler("keep", targets=False)
async def keep(ctx: HandlerContext):
    ctx.context["kept"] = 1
    return success()


async def test_what_a_flow_keeps_of_itself_is_left_out():
    steps = {"ask": {"type": "ask", "on_success": "keep", "on_resume": "keep"}, "keep": {"type": "keep"}}
    book = FlowBook(flows=[{"id": "f", "initial_step_id": "ask", "steps": steps}], handlers=[ask, keep])
    runtime = WorkflowRuntime(
        store=MemoryStore(), definitions=book.definitions, commands=book.commands, settings=RECORDING
    )
    async with runtime:
        flows = FlowService(WorkflowService(runtime), book)
        execution = await flows.run((await flows.start_flow("f")).id)
        await flows.resume(execution.id, {"approved": True})
        await flows.run(execution.id)
        entries = await runtime.get_history(execution.id)
        assert "$flow" in (await runtime.get_instance(execution.id)).context
    paths = {change.path for entry in entries for change in entry.changes or ()}
    assert paths == {"/ask", "/kept"}


async def test_an_upgrade_records_what_its_transform_changed(store):
    newer = {**CLAIM, "version": 2}
    runtime = WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict(each) for each in (CLAIM, newer)],
        commands=COMMANDS,
        clock=FakeClock(),
        settings=RECORDING,
    )
    async with runtime:
        service = WorkflowService(runtime)
        old = await service.create_instance("claim", context={"amount": 5}, version="1")
        await service.upgrade_instances("claim", transform_context=lambda context, _: {**context, "currency": "EUR"})
        assert await changed(service, old, 1) == ["$upgraded: /currency"]


async def test_an_archive_keeps_what_changed_and_reads_one_that_knew_nothing_of_it(runtime):
    claim = await runtime.create_instance("claim")
    await runtime.trigger_event(claim.id, "fast")
    history = await runtime.get_history(claim.id)
    kept = await runtime.delete(claim.id, force=True, archive=True)
    assert read_archived(kept).history == tuple(reversed(history))
    document = copy.deepcopy(kept.document)
    for entry in document["history"]:
        del entry["changes"]
    assert {entry.changes for entry in read_archived(document).history} == {None}
