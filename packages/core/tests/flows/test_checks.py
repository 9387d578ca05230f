"""What can be wrong with a flow: every problem, all at once, each with its place."""

from datetime import datetime

import pytest

from detent.errors import DefinitionInvalid
from detent.flows import Flow, FlowBook, FlowInvalid, Handlers, Step, check_flow, handler
from detent.flows.checks import MAX_LENGTH, require_valid, types_of
from detent.json_values import JsonObject
from packages.core.tests.flows.handlers import HANDLERS, ORDER, Choose, flow, free, pick


def found(written):
    return {(one.path, one.code, one.severity) for one in check_flow(written, HANDLERS.types)}


def test_a_sound_flow_has_no_problems():
    assert check_flow(Flow.from_dict({**ORDER, "steps": sound()}), HANDLERS.types) == []


def sound():
    steps = {name: dict(step) for name, step in ORDER["steps"].items()}
    steps["fetch"]["config"] = {"keys": ["id"]}
    return steps


@pytest.mark.parametrize(
    ("steps", "path", "code"),
    [
        ({}, "steps", "no_steps"),
        ({"a": {"id": "b", "type": "free"}}, "steps.a.id", "id_mismatch"),
        ({"a": {"type": "free", "on_success": "x"}}, "steps.a.on_success", "unknown_step"),
        ({"a": {"type": "free", "on_failure": "x"}}, "steps.a.on_failure", "unknown_step"),
        ({"a": {"type": "free", "on_resume": "x"}}, "steps.a.on_resume", "unknown_step"),
        ({"a": {"type": "fre"}}, "steps.a.type", "unknown_handler"),
        ({"a": {"type": "pick", "config": {}}}, "steps.a.config.keys", "bad_config"),
        ({"a": {"type": "pick", "config": {"keys": [], "x": 1}}}, "steps.a.config.x", "bad_config"),
        ({"a": {"type": "choose", "config": {"to": ["x"]}}}, "steps.a.config", "unknown_step"),
        ({"a": {"type": "free", "output_key": "a..b"}}, "steps.a.output_key", "bad_output_path"),
        ({"a": {"type": "free", "output_key": "x.__proto__"}}, "steps.a.output_key", "bad_output_path"),
        ({"a": {"type": "free", "output_key": "error"}}, "steps.a.output_key", "bad_output_path"),
        ({"a": {"type": "free", "output_key": "$flow"}}, "steps.a.output_key", "bad_output_path"),
        ({" ": {"type": "free"}}, "steps. ", "bad_step_id"),
        ({"$a": {"type": "free"}}, "steps.$a", "bad_step_id"),
        ({"a" * (MAX_LENGTH + 1): {"type": "free"}}, f"steps.{'a' * (MAX_LENGTH + 1)}", "bad_step_id"),
        ({"a": {"type": "free", "on_success": "a.waiting"}, "a.waiting": {"type": "free"}}, "steps.a.waiting",
         "bad_step_id"),
    ],
)  # fmt: skip
def test_each_problem_is_told_with_its_place(steps, path, code):
    assert found(flow(steps)) == {(path, code, "error")}


def test_a_step_that_nothing_leads_to_is_a_warning():
    written = flow({"a": {"type": "pick", "config": {"keys": []}}, "b": {"type": "free"}})
    assert found(written) == {("steps.b", "unreachable_step", "warning")}
    [warning] = require_valid(written, HANDLERS.types)
    assert str(warning) == "steps.b: no transition leads from 'a' to 'b'"


def test_a_step_that_a_handler_may_choose_is_reached():
    assert found(flow({"a": {"type": "choose", "config": {"to": ["b"]}}, "b": {"type": "free"}})) == set()


@handler("all", targets=False, performs=["each_one"])
async def for_all(ctx, config: JsonObject):
    """Performs a handler for many."""


@handler("either", waits=True, performs=["each_one"])
async def either(ctx, config: JsonObject):
    """Performs a handler and answers as that does."""


@handler("doze", targets=False, waits=lambda config: config.get("long", False))
async def doze(ctx, config: JsonObject):
    """Waits, if it is to."""


@handler("fetch", targets=False)
async def fetch(ctx, clock: datetime):
    """Needs a container."""


OUTER = Handlers([HANDLERS, for_all, either, doze, fetch])


def inside(outer, inner):
    steps = {"a": {"type": outer, "config": {"each_one": inner}}, "b": {"type": "free"}}
    problems = check_flow(flow(steps), OUTER.types)
    return {(one.path, one.code, one.severity) for one in problems if one.code != "unreachable_step"}


@pytest.mark.parametrize(
    ("inner", "path", "code"),
    [
        ("pik", ".type", "unknown_handler"),
        ({"type": "pik"}, ".type", "unknown_handler"),
        ({"type": "pick", "config": {"keys": [], "x": 1}}, ".config.x", "bad_config"),
        ({"type": "choose", "config": {"to": ["b"]}}, "", "unfit_handler"),
        ({"type": "choose"}, "", "unfit_handler"),
        ({"type": "doze", "config": {"long": True}}, "", "unfit_handler"),
        ("fetch", "", "unfit_handler"),
        ({"type": "all", "config": {"eachOne": "pik"}}, ".config.eachOne.type", "unknown_handler"),
    ],
)
def test_a_handler_that_a_config_names_is_checked_with_the_flow(inner, path, code):
    assert inside("all", inner) == {(f"steps.a.config.each_one{path}", code, "error")}


def test_a_handler_that_fits_into_another_is_no_problem():
    for inner in ({"type": "pick", "config": {"keys": []}}, "doze", {"type": "doze", "config": {"long": False}}, None):
        assert inside("all", inner) == set()
    for inner in ({"type": "choose", "config": {"to": ["b"]}}, {"type": "doze", "config": {"long": True}}, "free"):
        assert inside("either", inner) == set()


def test_one_that_does_not_say_where_it_goes_is_warned_of():
    assert inside("all", "free") == {("steps.a.config.each_one", "unfit_handler", "warning")}


def test_a_flow_needs_the_handlers_of_its_steps_and_those_that_they_perform():
    nested = {"type": "all", "config": {"eachOne": {"type": "pik"}}}
    written = flow({"a": {"type": "all", "config": {"each_one": nested}}, "b": {"type": "free"}})
    assert types_of(written, OUTER.types) == {"all", "pik", "free"}


def test_pipes_are_read_and_told_to_do_nothing():
    assert found(Flow.from_dict({**ORDER, "steps": sound(), "pipes": [{"id": "p"}]})) == {
        ("pipes", "pipes_ignored", "warning")
    }


def test_all_problems_come_at_once_with_hints():
    written = Flow("", initial_step_id="fetsh", steps={
        "fetch": {"id": "get", "type": "pik", "on_success": "sory", "output_key": "__proto__.x"},
        "sorry": {"type": "free", "on_failure": "away"},
    })  # fmt: skip
    with pytest.raises(FlowInvalid) as refused:
        require_valid(written, HANDLERS.types)
    assert [(one.path, one.code) for one in refused.value.problems] == [
        ("id", "blank_name"),
        ("steps.fetch.id", "id_mismatch"),
        ("initial_step_id", "unknown_step"),
        ("steps.fetch.on_success", "unknown_step"),
        ("steps.fetch.output_key", "bad_output_path"),
        ("steps.fetch.type", "unknown_handler"),
        ("steps.sorry.on_failure", "unknown_step"),
    ]
    hints = {one.path: one.hint for one in refused.value.problems}
    assert hints["initial_step_id"] == "did you mean 'fetch'?"
    assert hints["steps.fetch.on_success"] == "did you mean 'sorry'?"
    assert hints["steps.fetch.type"] == "did you mean 'pick'?"
    assert str(refused.value).startswith("flow '' has 7 problems:\n  - id: the id of the flow is blank")


@pytest.mark.parametrize(
    "handlers", [[pick, Choose, free], HANDLERS, [HANDLERS], [[pick, Choose], free], iter([pick, Choose, free])]
)
def test_handlers_are_taken_as_a_book_takes_them(handlers):
    written = flow({"a": {"type": "free", "on_success": "b"}, "b": {"type": "pik"}})
    [problem] = check_flow(written, handlers)
    assert (problem.path, problem.hint) == ("steps.b.type", "did you mean 'pick'?")


def test_handlers_are_taken_as_a_book_has_them():
    assert check_flow(flow({"a": {"type": "free"}}), FlowBook(handlers=[free]).handlers) == []


@pytest.mark.parametrize(
    ("selector", "path", "hint"),
    [
        ({"path": "order.lines[0]"}, "path", "write order.lines.0"),
        ({"path": "order['a b'].total"}, "path", "write order.a b.total"),
        ({"path": "order.lines[*].sku"}, "path", "a step of `transform` calculates"),
        ({"path": "order.lines[-1]"}, "path", "a step of `transform` calculates"),
        ({"path": "$.order.total"}, "path", "write order.total"),
        ({"path": "a || b"}, "path", "write ${a:-b}, in a template"),
        ({"path": "len(order)"}, "path", "a step of `transform` calculates"),
        ({"template": "${a.b"}, "template", r"close it with }, or write \${ for the text itself"),
        ({"template": "${a} and ${b"}, "template", "close it with }"),
        ({"template": "${a${b}}"}, "template", "close it with }"),
        ({"template": {"to": [1, "${a[0]}"]}}, "template.to[1]", "write a.0"),
        ({"template": "${a||b}"}, "template", "write ${a:-b}"),
        ({"template": "${a ?? 'none'}"}, "template", "write ${a:-none}"),
        ({"template": "${a?.b}"}, "template", "a step of `transform` calculates"),
        ({"template": "${a..b}"}, "template", "write keys joined by dots"),
        ({"template": "${ }"}, "template", "write keys joined by dots"),
    ],
)
def test_a_selector_that_cannot_mean_what_it_seems_to_is_refused(selector, path, hint):
    [problem] = check_flow(flow({"a": {"type": "free", "input": selector}}), HANDLERS)
    assert (problem.path, problem.severity) == (f"steps.a.input.{path}", "error")
    assert hint in (problem.hint or "")


@pytest.mark.parametrize(
    "selector",
    [
        {"path": "order.lines.0.sku"},
        {"path": "first name.items[]"},
        {"path": "Total (EUR)"},
        {"key": "a[0]"},
        {"template": r"\${a.b"},
        {"template": "it costs ${ and $5, {a} or {{b}}"},
        {"template": "${}"},
        {"template": "${a:-[0] || (none)} ${b:?where (is) it}"},
        {"template": "${$schema}"},
        {"static": "${a[0]"},
    ],
)
def test_what_has_a_meaning_keeps_it(selector):
    assert check_flow(flow({"a": {"type": "free", "input": selector}}), HANDLERS) == []


def test_a_key_that_looks_like_a_calculation_is_a_warning():
    [problem] = check_flow(flow({"a": {"type": "free", "input": {"template": "${price * count}"}}}), HANDLERS)
    assert (problem.path, problem.code, problem.severity) == ("steps.a.input.template", "bad_path", "warning")


def test_places_in_a_config_are_warned_of_but_not_in_a_template_of_its_own():
    config = {"to": ["${mail}"], "handler": {"input": {"template": "${a}"}}, "cost": r"$5 \${a}"}
    [problem] = check_flow(flow({"a": {"type": "free", "config": config}}), HANDLERS)
    assert (problem.path, problem.code, problem.severity) == ("steps.a.config.to[0]", "config_not_filled_in", "warning")
    assert str(problem) == "steps.a.config.to[0]: `${…}` in config is not filled in (use input)"


def test_a_delay_that_is_cut_short_is_warned_of():
    retry = {"max_attempts": 3, "backoff_ms": 600_000}
    assert found(flow({"a": {"type": "free", "retry": retry}})) == {("steps.a.retry", "backoff_capped", "warning")}
    assert found(flow({"a": {"type": "free", "retry": {**retry, "max_backoff_ms": 600_000}}})) == set()


@handler("call", targets=False, needs_input=lambda config: None if "url" in config else "a url")
async def call(ctx, config: JsonObject, input: JsonObject):
    """Needs a url."""


def test_a_handler_may_say_what_a_step_without_an_input_lacks():
    def problems(**step):
        return [(one.path, one.message) for one in check_flow(flow({"a": {"type": "call", **step}}), [call])]

    assert problems() == [("steps.a.input", "'call' needs a url, and gets nothing")]
    assert problems(config={"url": "x"}) == problems(input={"full": True}) == []


def test_a_target_is_told_at_its_place_where_the_handler_says_it():
    @handler("fork", targets=lambda config: {config["yes"]: "yes", config["no"]: "no"})
    async def fork(ctx, config: JsonObject):
        """Goes one way or the other."""

    written = flow({"a": {"type": "fork", "config": {"yes": "a", "no": "gone"}}})
    assert [(one.path, one.code) for one in check_flow(written, [fork])] == [("steps.a.config.no", "unknown_step")]


def test_a_misspelt_key_of_a_config_names_the_one_that_was_meant():
    [problem] = check_flow(flow({"a": {"type": "pick", "config": {"keys": [], "kyes": []}}}), HANDLERS)
    assert (problem.path, problem.hint) == ("steps.a.config.kyes", "did you mean 'keys'?")


def test_a_handler_that_has_to_be_configured_says_how():
    [problem] = check_flow(flow({"a": {"type": "email"}}), HANDLERS)
    assert "EmailHandler(host" in (problem.hint or "")


def test_a_retry_is_spelt_as_the_rest_is():
    with pytest.raises(DefinitionInvalid, match="did you mean 'max_attempts'"):
        Step("free", retry={"attempts": 3})


def test_the_selector_of_a_handler_inside_another_is_checked_with_the_flow():
    inner = {"type": "doze", "input": {"type": "template", "template": "${item[0]}"}}
    assert inside("all", inner) == {("steps.a.config.each_one.input.template", "bad_path", "error")}
