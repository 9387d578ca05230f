"""`batch`: all items once, in order, also after a crash; and what a failure means."""

import asyncio
from datetime import timedelta

import pytest

from detent.flows.handler import handler
from detent.flows.results import Failure, Success, Wait, failure, goto, success
from detent.json_values import JsonObject, JsonValue
from detent_handlers import batch
from packages.handlers.tests.calling import World, call, problems

DOUBLE = {"handler": {"type": "double", "config": {"by": 2}}}


@handler("double", targets=False)
async def double(ctx, config: JsonObject, input: JsonValue):
    """Is only looked at."""


class Doubling:
    """Doubles an item; one that is an exception or another answer comes back as that."""

    def __init__(self, *, crash_at=None):
        self.seen = []
        self.crash_at = crash_at

    async def __call__(self, type_, config, given):
        item, index = given["item"], given["index"]
        self.seen.append(index)
        if index == self.crash_at:
            raise MemoryError
        if not isinstance(item, int):
            return item
        assert type_ == "double"
        return success(item * config["by"])


class Gate:
    """Lets nobody through before `needed` are under way at once; then the last that came goes first."""

    def __init__(self, needed):
        self.needed = needed
        self.waiting = []
        self.most = 0

    async def __call__(self, type_, config, given):
        opened = asyncio.get_running_loop().create_future()
        self.waiting.append(opened)
        self.most = max(self.most, len(self.waiting))
        if len(self.waiting) == self.needed:
            for one in reversed(self.waiting):
                one.set_result(None)
        await opened
        self.waiting.remove(opened)
        return success(given["item"])


def output(results, errors=()):
    return Success({"results": results, "errors": list(errors), "processed": len(results), "failed": len(errors)})


async def test_each_item_is_done_and_its_result_stands_in_its_place():
    assert await call(batch, config=DOUBLE, input=[1, 2, 3], perform=Doubling()) == output([2, 4, 6])


async def test_items_may_stand_in_the_input_and_there_may_be_none():
    assert await call(batch, config=DOUBLE, input={"items": [5]}, perform=Doubling()) == output([10])
    world = World()
    assert await call(batch, config=DOUBLE, input=[], world=world) == output([])
    assert world.progress == [(1.0, "0 of 0")]


@pytest.mark.parametrize("given", [None, "abc", 5, {}, {"items": None}, {"item": [1]}])
async def test_an_input_without_a_list_is_refused(given):
    answer = await call(batch, config=DOUBLE, input=given)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("INPUT_VALIDATION_FAILED", False)


async def test_a_second_attempt_does_only_what_the_first_has_not_kept():
    world, config = World(), DOUBLE | {"checkpointEvery": 2}
    first, second = Doubling(crash_at=5), Doubling()
    with pytest.raises(MemoryError):
        await call(batch, config=config, input=[1, 2, 3, 4, 5, 6, 7], world=world, perform=first)
    assert first.seen == [0, 1, 2, 3, 4, 5]
    answer = await call(batch, config=config, input=[1, 2, 3, 4, 5, 6, 7], world=world, attempt=2, perform=second)
    assert (second.seen, answer) == ([4, 5, 6], output([2, 4, 6, 8, 10, 12, 14]))


async def test_a_checkpoint_holds_only_what_is_new():
    world = World()
    await call(batch, config=DOUBLE | {"checkpoint_every": 2}, input=[1, 2, 3, 4, 5], world=world, perform=Doubling())
    assert world.kept == {
        "batch.0": [[0, {"output": 2}], [1, {"output": 4}]],
        "batch.1": [[2, {"output": 6}], [3, {"output": 8}]],
    }
    assert world.progress == [(0.4, "2 of 5"), (0.8, "4 of 5"), (1.0, "5 of 5")]


async def test_no_item_is_begun_after_one_has_failed_and_a_repetition_does_the_rest():
    world, first, second = World(), Doubling(), Doubling()
    broken = failure("HTTP_503", "down", retry_after=timedelta(seconds=9))
    answer = await call(batch, config=DOUBLE, input=[1, 2, broken, 4], world=world, perform=first)
    assert answer == Failure(
        "BATCH_ITEM_FAILED",
        "item 2: down",
        {"index": 2, "code": "HTTP_503", "message": "down"},
        retryable=True,
        retry_after=timedelta(seconds=9),
    )
    assert first.seen == [0, 1, 2]
    answer = await call(batch, config=DOUBLE, input=[1, 2, 3, 4], world=world, attempt=2, perform=second)
    assert (second.seen, answer) == ([2, 3], output([2, 4, 6, 8]))


async def test_a_failure_that_no_repetition_mends_is_not_repeated():
    answer = await call(batch, config=DOUBLE, input=[failure("GONE", retryable=False)], perform=Doubling())
    assert isinstance(answer, Failure)
    assert (answer.retryable, answer.message) == (False, "item 0: GONE")


async def test_with_continue_on_error_every_item_has_its_turn():
    config = DOUBLE | {"continueOnError": True}
    answer = await call(batch, config=config, input=[failure("A", "a"), 2, failure("B", "b")], perform=Doubling())
    errors = [{"index": 0, "code": "A", "message": "a"}, {"index": 2, "code": "B", "message": "b"}]
    assert answer == output([None, 4, None], errors)


async def test_an_item_that_failed_before_a_crash_is_not_tried_again():
    world, config = World(), DOUBLE | {"continue_on_error": True, "checkpoint_every": 1}
    items = [failure("A", "a"), 2]
    with pytest.raises(MemoryError):
        await call(batch, config=config, input=items, world=world, perform=Doubling(crash_at=1))
    again = Doubling()
    answer = await call(batch, config=config, input=items, world=world, attempt=2, perform=again)
    assert (again.seen, answer) == ([1], output([None, 4], [{"index": 0, "code": "A", "message": "a"}]))


@pytest.mark.parametrize("result", [Wait(None), goto("other")])
async def test_an_item_can_neither_wait_nor_go_elsewhere(result):
    answer = await call(batch, config=DOUBLE, input=[result], perform=Doubling())
    assert isinstance(answer, Failure)
    assert (answer.details["code"], answer.retryable) == ("ITEM_RESULT_UNFIT", False)


async def given_to_items(config, input, **more):
    """What the handler is given for each item."""
    given = []

    async def perform(type_, config, chosen):
        given.append(chosen)
        return success()

    answer = await call(batch, config=config, input=input, perform=perform, **more)
    assert isinstance(answer, Success), answer
    return given


async def test_the_handler_is_given_what_else_is_in_the_steps_input():
    given = await given_to_items(DOUBLE, {"items": ["a", "b"], "shop": "north", "index": "not this"})
    assert given == [
        {"shop": "north", "item": "a", "index": 0, "total": 2},
        {"shop": "north", "item": "b", "index": 1, "total": 2},
    ]
    assert await given_to_items(DOUBLE, ["a"]) == [{"item": "a", "index": 0, "total": 1}]


FOR_EACH = {
    "to": "${item.email}",
    "number": "${index}",
    "text": "${index} of ${total} for ${shop.name}: ${input.greeting}, ${items.0.email}",
}


@pytest.mark.parametrize("selector", [{"template": FOR_EACH}, {"type": "template", "template": FOR_EACH}])
async def test_the_handlers_input_may_be_selected_from_the_item_and_the_context(selector):
    config = {"handler": {"type": "double", "input": selector}}
    whole = {"items": [{"email": "ann@shop.test"}, {"email": "bob@shop.test"}], "greeting": "hello"}
    given = await given_to_items(config, whole, context={"shop": {"name": "north"}, "item": "not this"})
    assert given == [
        {"to": "ann@shop.test", "number": 0, "text": "0 of 2 for north: hello, ann@shop.test"},
        {"to": "bob@shop.test", "number": 1, "text": "1 of 2 for north: hello, ann@shop.test"},
    ]


async def test_a_large_value_is_read_back_for_those_who_select_it():
    config = {"handler": {"type": "double", "input": {"keys": ["item", "report"]}}}
    world = World(beside={"report": "long", "other": "longer"})
    assert await given_to_items(config, [1], world=world) == [{"item": 1, "report": "long"}]
    config = {"handler": {"type": "double", "input": {"full": True}}}
    [whole] = await given_to_items(config, [1], world=world, context={"a": 5})
    assert whole == {
        "a": 5, "report": "long", "other": "longer",
        "item": 1, "index": 0, "total": 1, "items": [1], "input": [1],
    }  # fmt: skip


async def test_an_input_that_lacks_something_is_the_failure_of_its_item():
    config = {"handler": {"type": "double", "input": {"template": "${item.id:?}"}}, "continue_on_error": True}
    answer = await call(batch, config=config, input=[{"id": 2}, {}], perform=lambda *given: finished(success()))
    assert isinstance(answer, Success)
    assert [(one["index"], one["code"]) for one in answer.output["errors"]] == [(1, "INPUT_ERROR")]


async def finished(result):
    return result


async def test_it_is_written_as_in_flowmonkey_too():
    config = {"items": [1, 2], "processor": "double", "batchSize": 2, "checkpointEvery": 1}
    assert await given_to_items(config, None) == [
        {"item": 1, "index": 0, "total": 2},
        {"item": 2, "index": 1, "total": 2},
    ]


@pytest.mark.parametrize(
    ("inner", "path", "code"),
    [
        ({"type": "duble"}, "handler.type", "unknown_handler"),
        ({"type": "delay"}, "handler", "unfit_handler"),
        ({"type": "human", "config": {"title": "ok?"}}, "handler", "unfit_handler"),
        ({"type": "sub-flow", "config": {"flowId": "ship"}}, "handler", "unfit_handler"),
        ({"type": "switch", "config": {"path": "a", "cases": {"a": "next"}}}, "handler", "unfit_handler"),
        ({"type": "condition", "config": {"conditions": []}}, "handler.config.conditions", "bad_config"),
        ({"type": "http", "config": {"method": 5}}, "handler.config.method", "bad_config"),
        ({"type": "double", "input": {"kee": "a"}}, "handler.input", "bad_config"),
    ],
)
def test_a_handler_that_cannot_be_performed_is_found_with_the_flow(inner, path, code):
    found = problems("batch", {"handler": inner}, steps=("next",), added=(double,))
    assert (f"steps.first.config.{path}", code) in [(one.path, one.code) for one in found]


def test_a_sub_flow_that_is_not_waited_for_fits_into_a_batch():
    inner = {"type": "sub_flow", "config": {"flow_id": "ship", "wait_for_completion": False}}
    assert problems("batch", {"handler": inner}) == []


async def test_an_output_that_is_no_json_is_the_failure_of_its_item():
    config = DOUBLE | {"continue_on_error": True, "checkpoint_every": 1}
    answer = await call(batch, config=config, input=[success({1, 2}), 2], perform=Doubling())
    assert isinstance(answer, Success)
    assert [one["code"] for one in answer.output["errors"]] == ["OUTPUT_ERROR"]


async def test_so_many_are_under_way_at_once_and_no_more_and_results_stand_in_order():
    gate = Gate(needed=3)
    async with asyncio.timeout(5):
        answer = await call(batch, config=DOUBLE | {"concurrency": 3}, input=[1, 2, 3, 4, 5, 6], perform=gate)
    assert (answer, gate.most) == (output([1, 2, 3, 4, 5, 6]), 3)


async def test_what_is_under_way_when_one_fails_is_ended_and_kept():
    world, failed = World(), asyncio.Event()

    async def perform(type_, config, given):
        if given["index"] == 1:
            task = asyncio.current_task()
            assert task is not None
            task.add_done_callback(lambda _: failed.set())
            return failure("LOST", "lost")
        await failed.wait()
        return success("done")

    answer = await call(batch, config=DOUBLE | {"concurrency": 2}, input=[0, 1, 2], world=world, perform=perform)
    assert isinstance(answer, Failure)
    assert (answer.details["index"], world.kept) == (1, {"batch.0": [[0, {"output": "done"}]]})


async def test_when_the_batch_is_cancelled_so_is_what_is_under_way():
    begun, ended = asyncio.Event(), []

    async def perform(type_, config, given):
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(given["index"])

    task = asyncio.create_task(call(batch, config=DOUBLE | {"concurrency": 2}, input=[0, 1, 2], perform=perform))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, "handler"),
        ({"handler": 5}, "handler"),
        ({"handler": {"config": {}}}, "handler.type"),
        ({"handler": {"type": "batch"}}, "handler.type"),
        (DOUBLE | {"concurrency": 0}, "concurrency"),
        (DOUBLE | {"concurrency": True}, "concurrency"),
        (DOUBLE | {"checkpointEvery": 0}, "checkpointEvery"),
        (DOUBLE | {"processor": "x"}, "processor"),
    ],
)
@pytest.mark.parametrize("type_", ["batch", "batch.process", "batch-process"])
def test_bad_config_is_found_with_the_flow(type_, config, path):
    assert [one.path for one in problems(type_, config, added=(double,))] == [f"steps.first.config.{path}"]
