"""`condition`: the fourteen operators, and which step comes of them."""

import pytest

from detent.flows.results import Failure, GoTo
from detent_handlers import condition, conditional
from detent_handlers.operators import ABSENT, compare
from packages.handlers.tests.calling import call, problems

TEN = "a" * 10_000


@pytest.mark.parametrize(
    ("op", "value", "met", "unmet"),
    [
        ("eq", 1, [1, 1.0], [True, "1", 2, None, ABSENT, [1]]),
        ("eq", True, [True], [1, "true", False, ABSENT]),
        ("eq", None, [None], [ABSENT, False, 0, "", []]),
        ("eq", "", [""], [None, ABSENT, False, [], 0]),
        ("eq", [], [[]], [{}, None, ABSENT, [None]]),
        ("eq", [1, {"a": True}], [[1, {"a": True}], [1.0, {"a": True}]], [[True, {"a": True}], [1, {"a": 1}], [1]]),
        ("eq", {"a": 1, "b": 2}, [{"b": 2, "a": 1}], [{"a": 1}, {"a": 1, "b": True}]),
        ("neq", 1, [True, "1", 2, None, ABSENT], [1, 1.0]),
        ("neq", None, [ABSENT, 0, ""], [None]),
        ("gt", 5, [6, 5.5], [5, 4, True, "6", None, ABSENT, [6]]),
        ("gt", "b", ["c", "ba"], ["b", "a", "B", 99, ABSENT]),
        ("gte", 5, [5, 5.0, 6], [4, "5", ABSENT]),
        ("lt", 5, [4, -1, 4.9], [5, False, None, "4", ABSENT]),
        ("lte", 1, [1, 0], [2, True, False, "0", None, ABSENT]),
        ("in", [1, "a", None, [2]], [1, 1.0, "a", None, [2]], [True, "1", 2, ABSENT, "b"]),
        ("in", [], [], [None, ABSENT, 1, []]),
        ("nin", [1, "a"], [True, "1", None, ABSENT], [1, "a"]),
        ("nin", [], [None, ABSENT, 1], []),
        ("contains", "b", ["abc", ["b"]], ["ac", [], ["abc"], None, ABSENT, {"b": 1}, 5]),
        ("contains", "", ["", "a", [""]], [[], None, ABSENT]),
        ("contains", 1, [[1], [0, 1.0]], [[True], ["1"], [], "1", 1, ABSENT]),
        ("contains", None, [[None]], [[], ABSENT, "null"]),
        ("startsWith", "ab", ["abc", "ab"], ["ba", "", ["ab"], None, ABSENT, 5]),
        ("endsWith", "bc", ["abc", "bc"], ["cb", "", ["bc"], None, ABSENT]),
        ("exists", None, [0, False, "", [], {}], [None, ABSENT]),
        ("notExists", None, [None, ABSENT], [0, False, "", [], {}]),
        ("matches", r"^\d+$", ["123"], ["12a", "", 123, None, ABSENT, ["1"]]),
        ("matches", "b+", ["abba"], ["aa"]),
        ("matches", "a", [TEN], [TEN + "a"]),
    ],
)
def test_an_operator_is_met_by_these_and_not_by_those(op, value, met, unmet):
    assert [actual for actual in met if not compare(op, actual, value)] == []
    assert [actual for actual in unmet if compare(op, actual, value)] == []


ROUTES = {
    "conditions": [
        {"path": "order.total", "op": "gte", "value": 1000, "target": "large"},
        {"path": "order.total", "op": "gt", "value": 0, "target": "small"},
        {"path": "order.lines.0", "op": "notExists", "target": None},
    ],
}


@pytest.mark.parametrize("handler", [condition, conditional])
async def test_the_first_that_is_met_decides(handler):
    answer = await call(handler, config=ROUTES, input={"order": {"total": 1000}})
    assert answer == GoTo("large", {"matched": "order.total", "op": "gte", "target": "large"})
    answer = await call(handler, config=ROUTES, input={"order": {"total": 999}})
    assert answer == GoTo("small", {"matched": "order.total", "op": "gt", "target": "small"})


@pytest.mark.parametrize("given", [None, "text", [], {}, {"order": None}, {"order": {"total": "1000", "lines": []}}])
async def test_what_is_not_there_is_found_absent(given):
    answer = await call(condition, config=ROUTES, input=given)
    assert answer == GoTo(None, {"matched": "order.lines.0", "op": "notExists", "target": None})


async def test_when_none_is_met_the_default_decides_and_without_one_it_fails():
    full = {"order": {"total": 0, "lines": [1]}}
    nothing = {"matched": None, "op": None}
    assert await call(condition, config=ROUTES | {"default": "ask"}, input=full) == GoTo(
        "ask", nothing | {"target": "ask"}
    )
    assert await call(condition, config=ROUTES | {"default": None}, input=full) == GoTo(
        None, nothing | {"target": None}
    )
    answer = await call(condition, config=ROUTES, input=full)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("NO_MATCH", False)


def one(op: str, **rest: object) -> dict[str, object]:
    return {"conditions": [{"path": "a", "op": op, "target": "here", **rest}]}


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({}, "conditions", "required"),
        ({"conditions": []}, "conditions", "at least 1 item"),
        (one("is", value=1), "conditions[0].op", "must be 'eq'"),
        (one("eq"), "conditions[0].value", "there is none"),
        (one("in", value="abc"), "conditions[0].value", "must be a list"),
        (one("gt", value=None), "conditions[0].value", "a number or a text"),
        (one("lte", value=True), "conditions[0].value", "a number or a text"),
        (one("startsWith", value=1), "conditions[0].value", "must be a text"),
        (one("matches", value="(a"), "conditions[0].value", "not a regular expression"),
        (one("matches", value="a{99999999999}"), "conditions[0].value", "not a regular expression"),
        (one("matches", value="a" * 501), "conditions[0].value", "may have 500"),
        (one("matches", value=5), "conditions[0].value", "must be a text"),
        ({"conditions": [{"path": "", "op": "exists", "target": "here"}]}, "conditions[0].path", "not a path"),
        ({"conditions": [{"path": "a", "op": "exists"}]}, "conditions[0].target", "required"),
    ],
)
@pytest.mark.parametrize("type_", ["condition", "conditional"])
def test_bad_config_is_found_with_the_flow(type_, config, path, said):
    [problem] = problems(type_, config)
    assert problem.path == f"steps.first.config.{path}"
    assert said in str(problem)


async def test_a_pattern_that_would_take_for_ever_is_given_up():
    config = {"conditions": [{"path": "text", "op": "matches", "value": "a+a+a+a+$", "target": "here"}]}
    answer = await call(condition, config=config, input={"text": "a" * 9000 + "b"})
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("PATTERN_TOO_COSTLY", False)


def test_steps_that_are_not_there_are_found_with_the_flow():
    found = problems("condition", one("exists") | {"default": "lost"}, steps=())
    assert [(problem.path, problem.code) for problem in found] == [("steps.first.config", "unknown_step")] * 2
    assert problems("condition", one("exists") | {"default": None}, steps=("here",)) == []


def test_operators_may_be_spelt_with_underscores():
    assert problems("condition", one("starts_with", value="x"), steps=("here",)) == []
    assert problems("condition", one("not_exists"), steps=("here",)) == []
