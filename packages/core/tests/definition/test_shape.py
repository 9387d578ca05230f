from typing import Any

import pytest

from detent.definition import WorkflowDefinition
from detent.errors import DefinitionInvalid


def _with_event(event: Any) -> dict[str, Any]:
    return {"name": "w", "initial_state": "a", "states": {"a": {"events": {"E": event}}}}


@pytest.mark.parametrize(
    ("event", "place", "code"),
    [
        (5, "", "wrong_type"),
        ({"target": 5}, ".target", "wrong_type"),
        ({"internal": "yes"}, ".internal", "wrong_type"),
        ({"commands": "send"}, ".commands", "wrong_type"),
        ({"commands": ["send", 5]}, ".commands[1]", "wrong_type"),
        ({"commands": [{"metadata": {}}]}, ".commands[0].name", "missing"),
        ({"commands": [{"name": "c", "transactional": 1}]}, ".commands[0].transactional", "wrong_type"),
        ({"commands": [{"name": "c", "input": {"where": "a"}}]}, ".commands[0].input", "bad_selector"),
        ({"commands": [{"name": "c", "input": {"path": "a..b"}}]}, ".commands[0].input.path", "bad_path"),
        ({"commands": [{"name": "c", "input": {"static": {1}}}]}, ".commands[0].input.static", "not_json"),
        ({"commands": [{"name": "c", "output": ""}]}, ".commands[0].output", "bad_path"),
        (
            {"commands": [{"name": "c", "retry": {"initial": "soon"}}]},
            ".commands[0].retry.initial",
            "unreadable_duration",
        ),
        ({"guard": {"all_of": []}}, ".guard.all_of", "no_guards"),
        ({"guard": {"all_of": ["a", {"not": 3}]}}, ".guard.all_of[1].not", "wrong_type"),
        ({"branches": [{"target": "a"}]}, ".branches[0].guard", "missing"),
        ({"timeout": 14}, ".timeout", "unreadable_duration"),
        ({"timeout": {}}, ".timeout", "bad_timeout"),
        ({"timeout": {"at": "due", "after_days": 1}}, ".timeout", "bad_timeout"),
        ({"timeout": {"after_days": -1}}, ".timeout.after_days", "greater_than_equal"),
        ({"timeout": {"after_days": True}}, ".timeout.after_days", "wrong_type"),
        ({"payload": "Order"}, ".payload", "wrong_type"),
        ({"metadata": {"tags": {1, 2}}}, ".metadata.tags", "not_json"),
    ],
)
def test_a_fault_of_shape_is_told_with_its_place(refused: Any, event: Any, place: str, code: str) -> None:
    problems = refused(_with_event(event))
    assert {path: problem.code for path, problem in problems.items()} == {f"states.a.events.E{place}": code}


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("taget", "did you mean 'target'?"),
        ("targetSate", "did you mean 'targetState'?"),
        ("errorstate", "did you mean 'errorState'?"),
        ("comands", "did you mean 'commands'?"),
    ],
)
def test_an_unknown_key_names_the_one_that_was_meant(refused: Any, written: str, hint: str) -> None:
    problem = refused(_with_event({written: "x"}))[f"states.a.events.E.{written}"]
    assert (problem.code, problem.hint) == ("unknown_key", hint)


def test_a_key_in_both_spellings_is_refused(refused: Any) -> None:
    problems = refused(_with_event({"target": "a", "targetState": "b"}))
    assert problems["states.a.events.E.targetState"].code == "key_given_twice"


def test_an_unknown_value_names_the_one_that_was_meant(refused: Any) -> None:
    data = {"name": "w", "initial_state": "a", "states": {"a": {"outcome": "sucess"}}}
    problem = refused(data)["states.a.outcome"]
    assert (problem.code, problem.hint) == ("unknown_value", "did you mean 'success'?")


@pytest.mark.parametrize("data", [None, [], "order", 5])
def test_what_is_no_object_is_no_definition(refused: Any, data: Any) -> None:
    assert refused(data)[""].code == "wrong_type"


def test_a_key_that_yaml_made_a_boolean_is_refused(refused: Any) -> None:
    problems = refused({"name": "w", "initial_state": "a", "states": {"a": {"events": {True: {"target": "a"}}}}})
    assert "bad_key" in {problem.code for problem in problems.values()}


def test_all_faults_of_shape_come_at_once(refused: Any) -> None:
    data = {"version": 0, "initial_state": 1, "states": {"a": {"tags": 5, "contxt": {}}, "b": []}, "extra": 1}
    assert set(refused(data)) >= {
        "name",
        "version",
        "initial_state",
        "states.a.tags",
        "states.a.contxt",
        "states.b",
        "extra",
    }


def test_a_fault_of_shape_does_not_hide_the_others(refused: Any, order_data: dict[str, Any]) -> None:
    del order_data["name"]
    order_data["states"]["new"]["events"]["Cancel"]["timeot"] = "1d"
    order_data["states"]["exportable"]["events"]["Export"]["commands"] = [5]
    order_data["states"]["exportable"]["events"]["Export"]["error"] = "exprt_failed"
    order_data["states"]["in_transit"]["events"]["Deliver"] = {}
    assert {path: problem.code for path, problem in refused(order_data).items()} == {
        "name": "missing",
        "states.new.events.Cancel.timeot": "unknown_key",
        "states.exportable.events.Export.commands[0]": "wrong_type",
        "states.exportable.events.Export.error": "unknown_state",
        "states.in_transit.events.Deliver": "event_does_nothing",
    }


def test_a_consequence_of_a_fault_is_not_told(refused: Any) -> None:
    data = {"name": "w", "initial_state": "a", "states": {"a": {"events": {"E": {"target": 5}}}, "b": 7}}
    data["states"]["a"]["events"]["F"] = {"target": "b"}  # type: ignore[index]
    assert set(refused(data)) == {"states.a.events.E.target", "states.b"}


def test_a_huge_number_is_refused_without_being_printed() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        WorkflowDefinition.from_dict({"name": "w", "initial_state": "a", "states": {"a": {}}, "version": 10**5000})
    assert len(str(caught.value)) < 300
