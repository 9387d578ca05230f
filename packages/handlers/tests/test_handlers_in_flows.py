"""The handlers in flows that run: what the fakes of the other tests cannot promise."""

from datetime import timedelta

import pytest

from detent.flows.handler import handler
from detent.flows.results import failure, success
from detent.json_values import JsonValue
from detent.testing import FlowHarness
from detent_handlers import all_handlers


@handler("double", targets=False)
async def double(ctx, input: JsonValue):
    "Doubles an item; 13 is refused."
    return failure("UNLUCKY", "13") if input["item"] == 13 else success(input["item"] * 2)


def flow(id_, **steps):
    return {"id": id_, "version": "1", "initialStepId": next(iter(steps)), "steps": steps}


def harness(*flows):
    return FlowHarness(list(flows), [*all_handlers(), double])


FULL = {"type": "full"}
SHIPPING = flow(
    "ship",
    sum={
        "type": "transform",
        "config": {"operation": "query", "query": "sum(lines[].price)"},
        "input": FULL,
        "outputKey": "total",
        "transitions": {"onSuccess": "rest"},
    },
    rest={"type": "delay", "config": {"hours": 2}, "input": FULL, "transitions": {"onSuccess": None}},
)


def parent(**config):
    step = {"type": "sub-flow", "config": {"flowId": "ship", **config}, "input": FULL, "outputKey": "shipped"}
    return flow("order", child=step | {"transitions": {"onSuccess": None}})


async def test_a_flow_waits_for_its_child_through_the_childs_own_wait():
    async with harness(parent(), SHIPPING) as at:
        await at.run("order", {"lines": [{"price": 5}, {"price": 7}]})
        await at.assert_waiting()
        await at.advance("2h")
        await at.assert_completed({"shipped.status": "completed", "shipped.context.total": 12})


async def test_a_child_that_fails_fails_the_step():
    async with harness(parent(), SHIPPING) as at:
        await at.run("order", {"lines": [{"price": "five"}]})
        await at.assert_failed("CHILD_FAILED")


async def test_without_waiting_the_flow_goes_on_and_the_child_by_itself():
    async with harness(parent(waitForCompletion=False), SHIPPING) as at:
        await at.run("order", {"lines": [{"price": 5}]})
        await at.assert_completed()
        await at.use(at.context["shipped"]["execution_id"])
        await at.advance("2h")
        await at.assert_completed(total=5)


async def test_a_child_of_an_unknown_flow_fails_the_step():
    async with harness(parent(flowId="shop"), SHIPPING) as at:
        await at.run("order", {})
        await at.assert_failed("SUB_FLOW_ERROR")


DOUBLING = {"handler": {"type": "double"}, "checkpointEvery": 1}
BATCH = {
    "type": "batch",
    "config": DOUBLING,
    "input": {"type": "key", "key": "numbers"},
    "outputKey": "done",
    "transitions": {"onSuccess": None},
}


async def test_a_batch_that_is_repeated_goes_on_from_what_it_kept():
    retried = BATCH | {"retry": {"maxAttempts": 1, "backoffMs": 1000}}
    async with harness(flow("count", all=retried)) as at:
        await at.run("count", {"numbers": [1, 2, 13, 4]})
        await at.advance(timedelta(seconds=1))
        await at.assert_failed("BATCH_ITEM_FAILED")
        assert at.execution.error.details == {"index": 2, "code": "UNLUCKY", "message": "13"}
        assert [call.attempt for call in at.calls_of("batch")] == [1, 2]
        assert [call.input["index"] for call in at.calls_of("double")] == [0, 1, 2, 2]


async def test_a_batch_that_goes_on_tells_what_failed():
    config = DOUBLING | {"continueOnError": True, "concurrency": 2}
    async with harness(flow("count", all=BATCH | {"config": config})) as at:
        await at.run("count", {"numbers": [1, 13, 4]})
        await at.assert_completed({"done.results": [2, None, 8], "done.failed": 1, "done.errors.0.index": 1})


async def test_the_items_of_a_batch_are_done_with_what_the_context_says():
    config = {"handler": {"type": "double", "input": {"template": {"item": "${item.price}", "by": "${who}"}}}}
    async with harness(flow("count", all=BATCH | {"config": config})) as at:
        await at.run("count", {"numbers": [{"price": 1}, {"price": 4}], "who": "ana"})
        await at.assert_completed({"done.results": [2, 8]})
        assert [call.input for call in at.calls_of("double")] == [{"item": 1, "by": "ana"}, {"item": 4, "by": "ana"}]


@pytest.mark.parametrize("type_", ["batch.process", "batch-process"])
async def test_a_batch_in_flowmonkeys_spelling_runs(type_):
    config = {"items": [1, 2, 3], "processor": "double", "batchSize": 10, "checkpointEvery": 100}
    async with harness(flow("count", all=BATCH | {"type": type_, "config": config})) as at:
        await at.run("count", {})
        await at.assert_completed({"done.results": [2, 4, 6]})


async def test_each_item_of_a_batch_may_start_a_child():
    config = {"handler": {"type": "sub-flow", "config": {"flowId": "ship", "waitForCompletion": False}}}
    async with harness(flow("count", all=BATCH | {"config": config}), SHIPPING) as at:
        await at.run("count", {"numbers": ["same", "same"], "lines": []})
        await at.assert_completed()
        assert len({one["execution_id"] for one in at.context["done"]["results"]}) == 2


ROUTED = flow(
    "route",
    kind={
        "type": "switch",
        "config": {"path": "kind", "cases": {"big": "sum"}, "default": None},
        "input": FULL,
        "transitions": {},
    },
    sum={
        "type": "conditional",
        "config": {"conditions": [{"path": "total", "op": "gt", "value": 10, "target": "ask"}]},
        "input": FULL,
        "transitions": {"onFailure": "tell"},
    },
    ask={
        "type": "human",
        "config": {"title": "Approve", "form": {"type": "object"}},
        "input": FULL,
        "outputKey": "answer",
        "transitions": {"onSuccess": None},
    },
    tell={"type": "log", "config": {}, "input": {"template": "${error.code}"}, "transitions": {"onSuccess": None}},
)


@pytest.mark.parametrize(
    ("context", "steps"),
    [({"kind": "small"}, ["switch"]), ({"kind": "big", "total": 10}, ["switch", "condition", "log"])],
)
async def test_switch_and_condition_choose_the_way(context, steps):
    async with harness(ROUTED) as at:
        await at.run("route", context)
        await at.assert_completed()
        assert [call.handler for call in at.calls] == steps


async def test_somebody_is_asked_and_answers_by_a_token():
    async with harness(ROUTED) as at:
        await at.run("route", {"kind": "big", "total": 11})
        await at.assert_waiting("Approve", step="ask")
        [told] = at.published("human.waiting")
        assert (told.payload["execution_id"], told.payload["step_id"]) == (str(at.execution.id), "ask")
        token = await at.token(told.payload["step_id"])
        await at.resume({"approved": True}, token=token)
        await at.assert_completed({"answer.approved": True})
