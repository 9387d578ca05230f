"""`sub_flow`: one child, with what it is given, however often it is asked for."""

import pytest

from detent.errors import InvalidValue, UnknownWorkflow
from detent.flows.limits import ContextLimits
from detent.flows.results import Failure, Success, WaitForChild
from detent_handlers import sub_flow
from packages.handlers.tests.calling import World, call, problems


async def test_it_starts_a_child_with_its_input_and_waits_for_it():
    world = World()
    config = {"flowId": "ship", "metadata": {"by": "order"}}
    answer = await call(sub_flow, config=config, input={"order": 5}, world=world)
    [(child, told)] = world.children.values()
    assert answer == WaitForChild(str(child))
    assert (told["workflow"], told["context"], told["metadata"]) == ("ship", {"order": 5}, {"by": "order"})
    assert (told["on_end"], told["wait_for"]) == ("child_ended", "each")


@pytest.mark.parametrize("key", ["wait_for_completion", "waitForCompletion"])
async def test_without_waiting_it_answers_which_child_it_is(key):
    world = World()
    answer = await call(sub_flow, config={"flow_id": "ship", key: False}, world=world)
    [(child, told)] = world.children.values()
    assert (answer, told["on_end"], told["context"]) == (Success({"execution_id": str(child)}), None, {})


async def test_another_attempt_finds_the_child_of_the_first_even_with_another_input():
    world = World()
    first = await call(sub_flow, config={"flow_id": "ship"}, input={"n": 1}, world=world)
    assert await call(sub_flow, config={"flow_id": "ship"}, input={"n": 2}, world=world, attempt=2) == first
    assert len(world.children) == 1


async def test_for_the_items_of_another_handler_it_starts_a_child_each_however_alike_they_are():
    world = World()
    config = {"flow_id": "ship", "wait_for_completion": False}
    answers = [
        await call(sub_flow, config=config, input={"n": 5}, world=world, scope=scope) for scope in ("0", "1", "0")
    ]
    assert (len(world.children), answers[0] == answers[2]) == (2, True)


async def test_what_a_flow_keeps_for_itself_is_not_handed_on():
    world = World()
    given = {"$flow": {"steps": -5}, "error": {"code": "X"}, "order": 5}
    await call(sub_flow, config={"flow_id": "ship"}, input=given, world=world)
    [(_, told)] = world.children.values()
    assert told["context"] == {"order": 5}


@pytest.mark.parametrize(
    ("refuses", "retryable"),
    [(UnknownWorkflow("ship", ["shop"]), True), (InvalidValue("on_end", "is nothing"), False)],
)
async def test_a_child_that_cannot_be_started_is_a_failure(refuses, retryable):
    answer = await call(sub_flow, config={"flow_id": "ship"}, world=World(refuses=refuses))
    assert isinstance(answer, Failure)
    assert (answer.code, answer.details, answer.retryable) == ("SUB_FLOW_ERROR", {"code": refuses.code}, retryable)


async def test_a_context_beyond_the_limits_starts_no_child():
    world = World()
    answer = await call(
        sub_flow, config={"flow_id": "a"}, input={"x": 1, "y": 2}, world=world, limits=ContextLimits(keys=1)
    )
    assert isinstance(answer, Failure)
    assert (answer.code, world.children) == ("CONTEXT_KEY_LIMIT", {})


@pytest.mark.parametrize("given", ["text", 5, [], [{"a": 1}], False])
async def test_a_context_that_is_no_object_is_refused(given):
    answer = await call(sub_flow, config={"flow_id": "ship"}, input=given)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("INPUT_VALIDATION_FAILED", False)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, "flow_id"),
        ({"flow_id": ""}, "flow_id"),
        ({"flowId": 5}, "flowId"),
        ({"flow_id": "ship", "tenantId": "other"}, "tenantId"),
        ({"flow_id": "ship", "metadata": []}, "metadata"),
    ],
)
@pytest.mark.parametrize("type_", ["sub_flow", "sub-flow"])
def test_bad_config_is_found_with_the_flow(type_, config, path):
    assert [one.path for one in problems(type_, config)] == [f"steps.first.config.{path}"]
