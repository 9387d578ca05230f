"""`human`: who is told that somebody is waited for, and what of."""

import pytest

from detent import InvalidValue
from detent.flows import Flow, Step
from detent.flows.results import Failure, Wait
from detent.testing import FlowHarness
from detent_handlers import human
from packages.handlers.tests.calling import EXECUTION, World, call, problems

FORM = {"type": "object", "properties": {"approved": {"type": "boolean"}}}
ASKED = {"title": "Approve", "instructions": "Look at the sum", "form": FORM, "assignee": "anna"}


async def test_it_tells_the_application_and_waits_until_somebody_answers():
    world = World()
    assert await call(human, config=ASKED, world=world) == Wait(None, "Approve", ASKED, FORM)
    [message] = world.published
    assert (message.topic, message.key) == ("human.waiting", str(EXECUTION))
    assert message.payload == {"execution_id": str(EXECUTION), "step_id": "the_step", **ASKED}


async def test_what_is_left_out_is_null_or_said_by_the_input():
    world = World()
    config = {"title": "Approve", "assignee": "anna", "topic": "approvals"}
    given = {"assignee": "ben", "instructions": "Hurry", "title": "Other"}
    answer = await call(human, config=config, input=given, world=world)
    asked = {"title": "Approve", "instructions": "Hurry", "form": None, "assignee": "anna"}
    assert (answer, world.published[0].topic) == (Wait(None, "Approve", asked), "approvals")


@pytest.mark.parametrize("given", [None, "text", [], {"order": 5}])
async def test_an_input_that_says_nothing_of_it_is_left_alone(given):
    asked = {"title": "Approve", "instructions": None, "form": None, "assignee": None}
    assert await call(human, config={"title": "Approve"}, input=given) == Wait(None, "Approve", asked)


async def test_an_assignee_that_is_no_text_is_refused_and_nobody_is_told():
    world = World()
    answer = await call(human, config={"title": "Approve"}, input={"assignee": 5}, world=world)
    assert isinstance(answer, Failure)
    assert (answer.code, world.published) == ("INPUT_VALIDATION_FAILED", [])


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": "A", "form": []}, "form"),
        ({"title": "A", "topic": ""}, "topic"),
        ({"title": "A", "fields": []}, "fields"),
    ],
)
def test_bad_config_is_found_with_the_flow(config, path):
    assert [one.path for one in problems("human", config)] == [f"steps.first.config.{path}"]


def test_a_form_that_is_no_schema_is_found_with_the_flow():
    [problem] = problems("human", {"title": "Approve", "form": {"type": "objekt"}})
    assert problem.path == "steps.first.config.form"
    assert "is no JSON Schema" in problem.message


async def test_an_answer_that_does_not_meet_the_form_is_refused():
    asks = Flow("asks", initial_step_id="a", steps={"a": Step("human", config={"title": "Approve", "form": FORM})})
    async with FlowHarness(asks, [human]) as harness:
        await harness.run()
        with pytest.raises(InvalidValue, match="do not meet the form"):
            await harness.resume({"approved": "yes"})
        await harness.resume({"approved": True})
        await harness.assert_completed({"a.approved": True})
