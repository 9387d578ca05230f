from typing import Any

import pytest
from pydantic import ValidationError

from detent.definition import Event, OnEnter, State, WorkflowDefinition, validate
from detent.errors import DefinitionInvalid


def test_python_json_and_duraflows_spell_the_same_definition(
    order: WorkflowDefinition, order_data: dict[str, Any], duraflows_data: dict[str, Any]
) -> None:
    assert WorkflowDefinition.from_dict(order_data) == order
    duraflows_data["contextPrecedence"] = "written"
    assert WorkflowDefinition.from_dict(duraflows_data) == order


def test_the_order_workflow_has_no_problems(order: WorkflowDefinition) -> None:
    assert validate(order, commands={"send_order_to_warehouse", "notify_customer"}, guards=()) == []


def test_a_definition_is_written_as_short_as_it_can_be(order: WorkflowDefinition, order_data: dict[str, Any]) -> None:
    assert order.to_dict() == order_data


def test_a_definition_is_written_in_duraflows_spelling(
    order: WorkflowDefinition, duraflows_data: dict[str, Any]
) -> None:
    assert order.to_dict(spelling="camel") == {**duraflows_data, "contextPrecedence": "written"}


@pytest.mark.parametrize("spelling", ["snake", "camel"])
def test_what_is_written_is_read_back_as_an_equal_definition(order: WorkflowDefinition, spelling: Any) -> None:
    assert WorkflowDefinition.from_json(order.to_json(spelling=spelling)) == order


def test_the_spelling_of_duraflows_brings_its_order_of_precedence(
    order_data: dict[str, Any], duraflows_data: dict[str, Any]
) -> None:
    assert WorkflowDefinition.from_dict(order_data).context_precedence == "written"
    assert WorkflowDefinition.from_dict(duraflows_data).context_precedence == "state"


def test_both_spellings_keep_the_precedence_of_duraflows(duraflows_data: dict[str, Any]) -> None:
    definition = WorkflowDefinition.from_dict(duraflows_data)
    assert WorkflowDefinition.from_dict(definition.to_dict()) == definition
    assert WorkflowDefinition.from_dict(definition.to_dict(spelling="camel")) == definition


@pytest.mark.parametrize("key", ["context_precedence", "contextPrecedence"])
def test_a_stated_precedence_stands_in_either_spelling(duraflows_data: dict[str, Any], key: str) -> None:
    definition = WorkflowDefinition.from_dict({**duraflows_data, key: "written"})
    assert definition.context_precedence == "written"


def test_a_faulty_part_in_python_is_refused_like_a_faulty_file() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        Event(target=5, timeout="soon")  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == ["target", "timeout"]


def test_a_faulty_workflow_in_python_names_itself() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        WorkflowDefinition(name="order", initial_state="new", states={"new": {"evnts": {}}})
    assert caught.value.workflow == "order"
    assert [problem.path for problem in caught.value.problems] == ["states.new.evnts"]


def test_a_definition_cannot_be_changed(order: WorkflowDefinition) -> None:
    with pytest.raises(ValidationError):
        order.name = "other"  # type: ignore[misc]


def test_a_definition_shares_nothing_with_what_it_was_made_from() -> None:
    context: dict[str, Any] = {"lines": []}
    state = State(context=context)
    context["lines"].append("later")
    assert state.context == {"lines": []}


def test_a_definition_shows_only_what_was_said() -> None:
    assert repr(State(events={"Go": Event(target="end")})) == "State(events={'Go': Event(target='end')})"


def test_null_means_left_out() -> None:
    data = {"name": "w", "initial_state": "a", "metadata": None, "states": {"a": None, "b": {"events": None}}}
    definition = WorkflowDefinition.from_dict(data)
    assert definition.states == {"a": State(), "b": State()}


@pytest.mark.parametrize(
    ("state", "terminal"),
    [
        (State(), True),
        (State(on_enter=OnEnter(commands=["notify"])), True),
        (State(on_enter=OnEnter(target="next")), False),
        (State(on_enter=OnEnter(error="broken", commands=["notify"])), False),
        (State(events={"Go": Event(target="next")}), False),
    ],
)
def test_a_state_without_events_and_hops_is_terminal(state: State, terminal: bool) -> None:
    assert state.terminal is terminal
