"""What can be wrong with a flow: every problem, all at once, each with its place."""

import pytest

from detent.flows import Flow, FlowInvalid, check_flow
from detent.flows.checks import MAX_LENGTH, require_valid
from packages.core.tests.flows.handlers import HANDLERS, ORDER, flow


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
