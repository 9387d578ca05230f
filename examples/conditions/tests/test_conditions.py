"""The diagram runs, and its user wrote no more than it takes."""

from pathlib import Path

import pytest

from detent import WorkflowDefinition
from detent.testing import WorkflowHarness, simple_paths
from examples.conditions import conditions
from examples.conditions.conditions import Conditions, main


@pytest.mark.parametrize(("number", "told"), [(4, "left, with 4"), (3, "right, because 3 is odd")])
async def test_a_number_goes_its_way(capsys, number, told):
    await main(number)
    assert capsys.readouterr().out == f"{told}\ncompleted\n"


def test_the_users_own_code_has_fewer_than_40_lines():
    lines = Path(conditions.__file__).read_text().splitlines()
    code = lines[lines.index("import asyncio") :]
    assert sum(bool(line.strip()) for line in code) < 40


def test_the_definition_can_be_looked_at_as_any_other():
    (definition,) = Conditions.definitions
    assert isinstance(definition, WorkflowDefinition)
    ends = {tuple(step.event for step in path.steps)[:1] for path in simple_paths(definition)}
    assert ends == {("chooseLeft",), ("chooseRight",)}


async def test_a_step_may_be_tested_by_itself():
    decision = await Conditions().decide({"number": 2})
    assert decision == Conditions.choice.choose_left({"even": 2})
    assert decision != Conditions.choice.choose_left({"even": 4})
    assert repr(decision) == "<ChoiceDecision chooseLeft>"


async def test_a_harness_runs_it_like_any_definition():
    async with WorkflowHarness(Conditions.definitions, commands=Conditions.commands) as harness:
        await harness.start(context={"number": 1})
        await harness.assert_state("end")
        assert [call.name for call in harness.calls()] == ["ConditionsWorkflow.decide", "ConditionsWorkflow.right"]
