"""`condition`: the fourteen operators, and which step comes of them."""

import itertools
import sys

import pytest

from detent.flows import Flow, Step, check_flow
from detent.flows.results import Failure, GoTo
from detent_handlers import all_handlers, condition
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


async def test_the_first_that_is_met_decides():
    answer = await call(condition, config=ROUTES, input={"order": {"total": 1000}})
    assert answer == GoTo("large", {"matched": "order.total", "op": "gte", "target": "large"})
    answer = await call(condition, config=ROUTES, input={"order": {"total": 999}})
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
        (one("matches", value="a{99999999999}"), "conditions[0].value", "99,999,999,999 repetitions"),
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
    assert [(problem.path, problem.code) for problem in found] == [
        ("steps.first.config.conditions[0].target", "unknown_step"),
        ("steps.first.config.default", "unknown_step"),
    ]
    assert problems("condition", one("exists") | {"default": None}, steps=("here",)) == []


def test_operators_may_be_spelt_with_underscores():
    assert problems("condition", one("starts_with", value="x"), steps=("here",)) == []
    assert problems("condition", one("not_exists"), steps=("here",)) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("((a{99}){99}){99}", "970,299 repetitions"),
        ("(a{9}){9999999}", "89,999,991 repetitions"),
        ("[](]{3}(?#()((a{99}){99}|b){9}", "88,230 repetitions"),
        (r"(?:\p{L}{99}){99}?(?:b{99}){99}", "19,603 repetitions"),
        ("(a{99})((?1){99})", "calls a part of itself"),
        ("(a)(?R)", "calls a part of itself"),
        ("(?x)(a)", "sets the flag x"),
    ],
)
def test_a_pattern_that_takes_any_amount_of_memory_is_found_with_the_flow(pattern, said):
    one = {"path": "name", "op": "matches", "value": pattern, "target": None}
    [problem] = problems("condition", {"conditions": [one]})
    assert problem.path == "steps.first.config.conditions[0].value"
    assert said in problem.message


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$",
        r"^[\w.+-]{1,64}@[a-z]{1,255}(?:\.[a-z]{2,63}){1,9}$",
        r"(?<year>\d{4})(?i:x{3}|y)",
        r"\({99}[{]{99}a{,3}b{",
        "(?P<n>a)(?P=n){3}",
    ],
)
def test_a_usual_pattern_is_taken(pattern):
    one = {"path": "name", "op": "matches", "value": pattern, "target": None}
    assert problems("condition", {"conditions": [one]}) == []


async def test_the_searches_of_a_step_share_one_limit_of_time(monkeypatch):
    told = itertools.count()
    monkeypatch.setattr(sys.modules["detent_handlers.condition"], "monotonic", lambda: next(told) * 0.15)
    one = {"path": "name", "op": "matches", "value": "x", "target": None}
    answer = await call(condition, config={"conditions": [one, one, one]}, input={"name": "a"})
    assert isinstance(answer, Failure)
    assert (answer.code, next(told)) == ("PATTERN_TOO_COSTLY", 3)


async def unmatched(config, given):
    answer = await call(condition, config=config, input=given)
    assert isinstance(answer, Failure)
    assert answer.code == "NO_MATCH"
    return answer


async def test_no_match_says_that_a_text_is_no_number():
    answer = await unmatched(one("gt", value=100), {"a": "500"})
    assert answer.message == (
        "no condition is met, and there is no default: a is of kind text, and gt compares it with number"
    )
    assert answer.details == [{"path": "a", "op": "gt", "found": "text", "compared_with": "number"}]


async def test_no_match_says_that_there_is_no_input():
    answer = await unmatched(one("gt", value=100), None)
    assert answer.message == "no condition is met, and there is no default: the input is null"


async def test_no_match_says_what_is_absent_and_never_a_value():
    answer = await unmatched(one("eq", value="secret"), {"b": "t0ken"})
    assert answer.message == "no condition is met, and there is no default: a is absent"
    answer = await unmatched(one("eq", value="secret"), {"a": "t0ken"})
    assert answer.message == "no condition is met, and there is no default"
    assert "t0ken" not in str(answer)


@pytest.mark.parametrize(
    ("type_", "config"),
    [
        ("condition", {"conditions": [{"path": "a", "op": "exists", "target": None}]}),
        ("switch", {"path": "a", "cases": {"x": None}}),
        ("delay", {}),
        ("log", {}),
    ],
)
def test_a_step_without_what_it_needs_is_found_with_the_flow(type_, config):
    steps = {"a": Step(type_, config=config)}
    [problem] = check_flow(Flow("order", initial_step_id="a", steps=steps), all_handlers())
    assert (problem.path, problem.code, problem.severity) == ("steps.a.input", "missing_input", "error")
    steps = {"a": Step(type_, config=config, input={"full": True})}
    assert check_flow(Flow("order", initial_step_id="a", steps=steps), all_handlers()) == []
