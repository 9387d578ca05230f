from typing import Any

import pytest

from detent.definition import validate


def _codes(definition: Any, **known: Any) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in validate(definition, **known)]


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_a_blank_name_is_a_problem(workflow: Any, name: str) -> None:
    assert (f"states.{name}", "blank_name") in _codes(workflow({"a": {"events": {"E": {"target": name}}}, name: {}}))


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\ud800"])
def test_a_name_with_a_character_nobody_sees_is_a_problem(workflow: Any, name: str) -> None:
    assert (f"states.a.events.{name}", "bad_name") in _codes(workflow({"a": {"events": {name: {"target": "a"}}}}))


def test_an_endless_name_is_a_problem(workflow: Any) -> None:
    assert ("name", "long_name") in _codes(workflow({"a": {}}, name="x" * 201))


@pytest.mark.parametrize(("state", "event"), [("$a", "E"), ("a", "$E"), ("a", "$goto.b")])
def test_names_that_begin_with_a_dollar_are_reserved(workflow: Any, state: str, event: str) -> None:
    found = _codes(workflow({state: {"events": {event: {"target": "end"}}}, "end": {}}))
    assert [code for _, code in found] == ["reserved_name"]


@pytest.mark.parametrize("name", ["toString", "state", "*", "Größe", "on enter", "a.b", "日本", "end", "null"])
def test_any_other_name_is_allowed(workflow: Any, name: str) -> None:
    assert _codes(workflow({"first": {"events": {name: {"target": name}}}, name: {}})) == []


def test_an_unknown_command_names_the_one_that_was_meant(one_event: Any) -> None:
    definition = one_event(target="end", commands=["send", {"name": "notfy"}])
    (problem,) = validate(definition, commands={"send", "notify"})
    assert (problem.path, problem.code) == ("states.start.events.E.commands[1]", "unknown_command")
    assert problem.hint == "did you mean 'notify'?"


def test_an_unknown_guard_is_found_inside_an_expression(one_event: Any) -> None:
    definition = one_event(target="end", guard={"all_of": ["is_paid", {"not": "is_hold"}]})
    (problem,) = validate(definition, guards={"is_paid", "is_held"})
    assert (problem.path, problem.code) == ("states.start.events.E.guard", "unknown_guard")
    assert problem.hint == "did you mean 'is_held'?"


def test_unknown_names_are_found_on_entry_in_branches_and_in_compensation(workflow: Any) -> None:
    branch = {"guard": "g", "target": "b"}
    states = {
        "a": {"events": {"E": {"branches": [branch], "target": "b"}}},
        "b": {"on_enter": {"commands": [{"name": "c", "compensate": ["d"]}]}},
    }
    found = _codes(workflow(states), commands={"c"}, guards=())
    assert ("states.a.events.E.branches[0].guard", "unknown_guard") in found
    assert ("states.b.on_enter.commands[0].compensate[0]", "unknown_command") in found


def test_without_known_names_none_is_unknown(one_event: Any) -> None:
    assert validate(one_event(target="end", commands=["whatever"], guard="whoever")) == []
