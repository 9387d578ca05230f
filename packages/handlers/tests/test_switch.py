"""`switch`: which case a value is, and where it leads."""

import pytest

from detent.flows.results import Failure, GoTo
from detent_handlers import switch
from detent_handlers.operators import ABSENT
from detent_handlers.switch import as_text
from packages.handlers.tests.calling import call, problems

CASES = {"path": "order.status", "cases": {"paid": "ship", "true": "yes", "5": "five", "null": "none", "end": None}}


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("paid", "ship"),
        (True, "yes"),
        ("true", "yes"),
        (5, "five"),
        (5.0, "five"),
        ("5", "five"),
        (None, "none"),
        ("end", None),
    ],
)
async def test_a_value_leads_to_the_step_of_its_case(value, target):
    answer = await call(switch, config=CASES, input={"order": {"status": value}})
    assert answer == GoTo(target, {"path": "order.status", "value": value, "target": target})


@pytest.mark.parametrize("value", ["", "PAID", 1, False, 5.5, [], ["paid"], {"paid": 1}])
async def test_any_other_value_takes_the_default(value):
    answer = await call(switch, config=CASES | {"default": "other"}, input={"order": {"status": value}})
    assert answer == GoTo("other", {"path": "order.status", "value": value, "target": "other"})


async def test_a_default_of_null_ends_the_flow_and_none_fails():
    assert await call(switch, config=CASES | {"default": None}, input={}) == GoTo(
        None, {"path": "order.status", "value": None, "target": None}
    )
    answer = await call(switch, config=CASES, input={"order": {"status": "lost"}})
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable, "'lost'" in answer.message) == ("NO_MATCH", False, True)


@pytest.mark.parametrize("given", [None, "paid", [], {"order": None}, {"order": {}}])
async def test_what_is_not_there_is_undefined(given):
    config = CASES | {"cases": {"undefined": "missing", "null": "none"}}
    answer = await call(switch, config=config, input=given)
    assert answer == GoTo("missing", {"path": "order.status", "value": None, "target": "missing"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ABSENT, "undefined"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (-3, "-3"),
        (1e20, "100000000000000000000"),
        (1.5e21, "1.5e+21"),
        (1e21, "1e+21"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (123456789.125, "123456789.125"),
        ([], None),
        ({}, None),
    ],
)
def test_numbers_are_written_as_javascript_does(value, text):
    assert as_text(value) == text


def test_steps_that_are_not_there_are_found_with_the_flow():
    found = problems("switch", {"path": "a", "cases": {"x": "here", "y": "gone"}, "default": "lost"}, steps=("here",))
    assert [(one.path, one.code) for one in found] == [
        ("steps.first.config.cases.y", "unknown_step"),
        ("steps.first.config.default", "unknown_step"),
    ]
    assert problems("switch", {"path": "a", "cases": {"x": "here", "y": None}, "default": None}, steps=("here",)) == []


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"cases": {}}, "path"),
        ({"path": "a"}, "cases"),
        ({"path": "a..b", "cases": {}}, "path"),
        ({"path": "a", "cases": {"x": 5}}, "cases.x"),
        ({"path": "a", "cases": {}, "else": "here"}, "else"),
    ],
)
def test_bad_config_is_found_with_the_flow(config, path):
    assert [one.path for one in problems("switch", config)] == [f"steps.first.config.{path}"]
