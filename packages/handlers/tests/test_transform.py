"""`transform`: what each operation makes of its input."""

import pytest

from detent.flows.results import Failure, Success
from detent_handlers import transform
from packages.handlers.tests.calling import call, problems

USER = {"id": 1, "name": "Zoë", "address": {"city": "Bonn", "lines": ["a", "b"]}, "note": None}
ITEMS = [{"sku": "a", "price": 5}, {"sku": "b", "price": 20}, {"sku": "c"}]


def query(text: str) -> dict[str, object]:
    return {"operation": "query", "query": text}


def keeping(text: str) -> dict[str, object]:
    return {"operation": "filter", "condition": text}


@pytest.mark.parametrize(
    ("config", "given", "output"),
    [
        ({"operation": "pick", "keys": ["id", "note", "gone"]}, USER, {"id": 1, "note": None}),
        ({"operation": "pick", "keys": []}, USER, {}),
        ({"operation": "pick", "keys": ["address.city"]}, USER, {}),
        ({"operation": "omit", "keys": ["id", "address", "gone"]}, USER, {"name": "Zoë", "note": None}),
        (
            {"operation": "map", "mapping": {"city": "address.city", "b": "address.lines.1"}},
            USER,
            {"city": "Bonn", "b": "b"},
        ),
        (
            {"operation": "map", "mapping": {"id": "$.id", "name": "{{ name }}", "x": "gone.y"}},
            USER,
            {"id": 1, "name": "Zoë", "x": None},
        ),
        ({"operation": "map", "mapping": {"second": "1.sku"}}, ITEMS, {"second": "b"}),
        ({"operation": "merge"}, [{"a": 1, "b": 1}, {}, {"b": 2}], {"a": 1, "b": 2}),
        ({"operation": "merge"}, [], {}),
        ({"operation": "merge", "sources": ["x", "y.z"]}, {"x": {"a": 1}, "y": {"z": {"a": 2}}}, {"a": 2}),
        (keeping("price > `10`"), ITEMS, [{"sku": "b", "price": 20}]),
        (keeping("price"), [{"price": 0}, {"price": None}, {"price": ""}, {"price": False}, {}], [{"price": 0}]),
        (keeping("@"), [[], {}, "", 0, None, False, True, "x"], [0, True, "x"]),
        (keeping("price"), [], []),
        (query("[?price > `1`].sku | sort(@)"), ITEMS, ["a", "b"]),
        (query("{n: length(@), first: [0].sku}"), ITEMS, {"n": 3, "first": "a"}),
        (query("[?active == `true`]"), [{"active": 1}, {"active": True}], [{"active": True}]),
        (query("gone.deeper[0]"), None, None),
        (query('merge(@, `{"a": 1}`, {b: id})'), {"id": 3}, {"id": 3, "a": 1, "b": 3}),
    ],
)
async def test_an_operation_makes_this_of_that(config, given, output):
    assert await call(transform, config=config, input=given) == Success(output)


async def test_the_input_stays_as_it_was():
    given = [{"a": {"b": 1}}, {"a": {"c": 2}}]
    answer = await call(transform, config={"operation": "merge"}, input=given)
    assert (answer, given) == (Success({"a": {"c": 2}}), [{"a": {"b": 1}}, {"a": {"c": 2}}])


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"operation": "pick", "keys": ["id"]}, [USER]),
        ({"operation": "omit", "keys": ["id"]}, None),
        ({"operation": "merge"}, {"a": 1}),
        ({"operation": "merge"}, [{"a": 1}, 5]),
        ({"operation": "merge", "sources": ["gone"]}, {}),
        (keeping("price"), {"price": 1}),
        (query("sum(@)"), ["a"]),
        (query("[::0]"), [1]),
        (query("ceil(to_number('1e999'))"), None),
    ],
)
async def test_an_input_that_does_not_fit_fails_for_good(config, given):
    answer = await call(transform, config=config, input=given)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("TRANSFORM_ERROR", False)
    assert answer.message.startswith(config["operation"] + ": ")


@pytest.mark.parametrize(
    ("config", "path", "said"),
    [
        ({}, "", "one of pick, omit"),
        ({"operation": "eval"}, "", "one of pick, omit"),
        ({"operation": ["pick"]}, "", "one of pick, omit"),
        ({"operation": "pick"}, ".keys", "required"),
        ({"operation": "pick", "keys": ["a"], "mapping": {}}, ".mapping", "there is no key"),
        ({"operation": "map", "mapping": {"a": "b..c"}}, ".mapping.a", "not a path"),
        ({"operation": "map", "mapping": {"a": 5}}, ".mapping.a", "must be text"),
        ({"expression": "process.exit()"}, "", "one of pick, omit"),
        (query("a."), ".query", "is not JMESPath"),
        (query("a["), ".query", "is not JMESPath"),
        (query(""), ".query", "is not JMESPath"),
        (query("#"), ".query", "is not JMESPath"),
        (query("[" * 1000), ".query", "nested too deeply"),
        (query("a" * 1001), ".query", "may have 1,000"),
        (query("[].nope(@)"), ".query", "no function nope()"),
        (query("map(&length(@, a), @)"), ".query", "takes 1 arguments, not 2"),
        (query("merge()"), ".query", "takes 1 arguments, not 0"),
        (keeping("__import__('os')"), ".condition", "no function __import__()"),
        (keeping("a] | [?b"), ".condition", "is not JMESPath"),
    ],
)
def test_bad_config_is_found_with_the_flow(config, path, said):
    [problem] = problems("transform", config)
    assert problem.path == "steps.first.config" + path
    assert said in str(problem)


async def test_an_expression_that_nests_as_deep_as_it_may_answers_or_fails():
    deep = query(".".join(["a"] * 500))
    answer = await call(transform, config=deep, input={})
    assert answer == Success(None) or (isinstance(answer, Failure) and answer.code != "HANDLER_ERROR")


LINES = [{"name": "nail"}] * 100


@pytest.mark.parametrize(
    "query",
    [
        "|".join(["[@, @][]"] * 60),
        "|".join(["[@, @]"] * 60),
        "|".join(["{a: @, b: @}"] * 60),
        "[].name|" + "|".join(["[join('', @), join('', @)]"] * 35),
        "[].name|" + "|".join(["[join('', @)]|[@, @][]"] * 35),
        "|".join(["map(&[@, @], @)[]"] * 50),
    ],
)
async def test_a_query_that_asks_for_any_amount_is_ended(query):
    answer = await call(transform, config={"operation": "query", "query": query}, input=LINES)
    assert isinstance(answer, Failure)
    assert (answer.code, answer.retryable) == ("TRANSFORM_ERROR", False)
    assert "too much work" in answer.message


async def test_a_long_separator_between_many_texts_is_not_built():
    config = {"operation": "query", "query": "join(separator, texts)"}
    answer = await call(transform, config=config, input={"separator": "x" * 100_000, "texts": ["a"] * 10_000})
    assert isinstance(answer, Failure)
    assert "too much work" in answer.message


async def test_the_conditions_of_a_filter_are_counted_together():
    config = {"operation": "filter", "condition": "length(map(&[@, @], @)) > `0`"}
    assert isinstance(await call(transform, config=config, input=[[1] * 1000] * 10), Success)
    answer = await call(transform, config=config, input=[[1] * 1000] * 1000)
    assert isinstance(answer, Failure)
    assert "too much work" in answer.message


async def test_a_usual_query_over_much_is_answered():
    config = {"operation": "query", "query": "lines[?paid].{sku: sku, total: amount} | length(@)"}
    lines = [{"sku": f"{index}", "amount": index, "paid": index % 2 == 0} for index in range(20_000)]
    assert await call(transform, config=config, input={"lines": lines}) == Success(10_000)
