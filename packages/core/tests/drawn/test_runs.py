"""Classes of all sorts of diagrams run to their end, whatever is decided, and are well typed as they are stubbed."""

import importlib
import random
from typing import Any

import pytest

from detent import Status
from detent.notation.python_class import generate
from detent.notation.python_class.outline import StepOutline
from detent.testing import WorkflowHarness
from packages.core.tests.drawn.diagrams import DIAGRAMS
from tests import type_checkers
from tests.drawn import written


class Chance:
    """Makes a class whose methods answer payloads without fields, and decide by chance."""

    def __init__(self, payloads: Any, chance: random.Random) -> None:
        self.payloads, self.chance = payloads, chance
        self.ran: list[str] = []

    def made(self, base: type[Any], steps: tuple[StepOutline, ...]) -> Any:
        return type("Chance", (base,), {step.method: self.method(step) for step in steps})

    def method(self, step: StepOutline) -> Any:
        async def method(workflow: Any, payload: Any) -> Any:
            assert type(payload).__name__ == step.payload
            self.ran.append(step.state)
            if step.choice is None:
                return self.payload(step.answers)
            option = self.chance.choice(step.choice.options)
            decide = getattr(getattr(workflow, step.choice.attribute), option.method)
            return decide(self.payload(option.payload)) if option.payload else decide()

        return method

    def payload(self, name: str | None) -> Any:
        kind = name and getattr(self.payloads, name)
        return kind and kind(**{field: {} for field in kind.model_fields})


@pytest.mark.parametrize("name", DIAGRAMS)
@pytest.mark.parametrize("seed", range(4))
async def test_a_class_runs_to_its_end_whatever_is_decided(drawn, name, seed):
    made = generate(DIAGRAMS[name], name=name)
    module = drawn(DIAGRAMS[name], name=name, payloads=made.payloads("pydantic"))
    payloads = importlib.import_module(module.__name__.replace("_base", "_payloads"))
    chance = Chance(payloads, random.Random(seed))
    workflow = chance.made(getattr(module, made.outline.base), made.outline.steps)
    async with WorkflowHarness(workflow.definitions, commands=workflow.commands) as harness:
        await harness.start()
        await harness.advance("1d")
        assert harness.instance.status is Status.COMPLETED
    assert len(chance.ran) >= len(made.outline.steps) - sum(len(one.options) for one in made.outline.choices)


@pytest.mark.parametrize("checker", [type_checkers.mypy, type_checkers.pyright])
@pytest.mark.parametrize("style", ["typed-dict", "pydantic"])
def test_modules_are_well_typed_as_they_are_stubbed(tmp_path, checker, style):
    for name, text in DIAGRAMS.items():
        written(tmp_path, text, name=name, payloads=generate(text, name=name).payloads(style))
    assert checker(tmp_path) == {}


@pytest.mark.parametrize("name", [name for name, text in DIAGRAMS.items() if "{" not in text])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_statements_makes_no_difference(name, seed):
    head, *lines = DIAGRAMS[name].splitlines()
    kinds = [line for line in lines if "<<" in line]
    others = [line for line in lines if line not in kinds]
    random.Random(seed).shuffle(others)
    first, again = (generate(text, name=name) for text in (DIAGRAMS[name], "\n".join([head, *kinds, *others])))
    assert again.base(source="a.mmd") == first.base(source="a.mmd")
    assert again.payloads("pydantic") == first.payloads("pydantic")
