"""What a sound definition may still do to its instances."""

from typing import Any

import pytest

from detent.definition.model import WorkflowDefinition
from detent.definition.model_checking import model_check
from detent.definition.validate import validate


def found(**states: Any) -> list[tuple[str, str]]:
    """The code and path of everything that is found, in a definition that has no errors."""
    definition = WorkflowDefinition.from_dict({"name": "w", "initial_state": next(iter(states)), "states": states})
    assert [problem for problem in validate(definition) if problem.severity == "error"] == []
    problems = model_check(definition)
    assert {problem.severity for problem in problems} <= {"warning", "note"}
    return [(problem.code, problem.path) for problem in problems]


def to(target: str, **more: Any) -> dict[str, Any]:
    return {"target": target, **more}


LEFT_IN_TIME = {"events": {"late": to("end", timeout="1d")}}


def test_nothing_is_found_where_every_state_is_left_in_time() -> None:
    hops = {"on_enter": {"commands": ["k"], "target": "wait"}}
    assert found(start=hops, wait=LEFT_IN_TIME, end={}) == []


def test_a_state_without_timeout_and_automatic_way_out_is_found() -> None:
    assert found(wait={"events": {"go": to("end")}}, end={}) == [("state_without_timeout", "states.wait")]


def test_a_timeout_that_only_reminds_leaves_no_state() -> None:
    reminder = {"internal": True, "timeout": "1d", "commands": ["mail"]}
    assert found(wait={"events": {"go": to("end"), "remind": reminder}}, end={}) == [
        ("state_without_timeout", "states.wait")
    ]


def test_an_entry_that_goes_on_only_when_it_fails_is_no_way_out() -> None:
    entry = {"commands": ["k"], "error": "end"}
    assert found(wait={"on_enter": entry, "events": {"go": to("end")}}, end={}) == [
        ("state_without_timeout", "states.wait")
    ]


def test_what_cannot_be_reached_is_not_looked_at() -> None:
    dead = {"events": {"go": to("end", guard={"all_of": ["a", {"not_": "a"}]})}}
    assert found(wait=LEFT_IN_TIME, end={}, island=dead) == []


def test_a_circle_without_timeout_is_found_once() -> None:
    a, b = {"events": {"go": to("b")}}, {"events": {"back": to("a"), "on": to("end")}}
    assert ("cycle_without_timeout", "states.a") in found(a=a, b=b, end={})
    assert [code for code, _ in found(a=a, b=b, end={})].count("cycle_without_timeout") == 1


@pytest.mark.parametrize(
    "b",
    [
        {"events": {"back": to("a"), "late": to("end", timeout="1d")}},
        {"events": {"back": to("a", timeout="1d"), "on": to("end")}},
    ],
)
def test_a_circle_with_a_timeout_is_none(b: dict[str, Any]) -> None:
    assert "cycle_without_timeout" not in [code for code, _ in found(a={"events": {"go": to("b")}}, b=b, end={})]


def test_a_state_that_is_entered_again_is_no_circle_of_its_own() -> None:
    assert found(a={"events": {"again": to("a"), "on": to("end")}}, end={}) == [("state_without_timeout", "states.a")]


def event(**event: Any) -> list[tuple[str, str]]:
    """What is found beside the timeout that each state has."""
    states = dict.fromkeys(("b", "c", "d"), LEFT_IN_TIME)
    return found(a={"events": {"late": to("end", timeout="1d"), "go": event}}, **states, end={})


GO = "states.a.events.go"


def branch(guard: Any, target: str) -> dict[str, Any]:
    return {"guard": guard, "target": target}


def test_branches_that_exclude_each_other_are_told_apart() -> None:
    assert event(branches=[branch("x", "b"), branch({"not_": "x"}, "c")]) == []
    several = [branch({"all_of": ["x", "y"]}, "b"), branch({"all_of": [{"not_": "x"}, "y"]}, "c")]
    assert event(branches=several, target="d") == []


def test_branches_that_may_both_hold_are_noted() -> None:
    overlapping = [branch("x", "b"), branch("y", "c")]
    assert event(branches=overlapping, target="d") == [("overlapping_branches", f"{GO}.branches[1]")]
    assert event(branches=[branch("x", "b"), branch("y", "b")], target="d") == []


def test_the_guard_of_the_event_counts_for_its_branches() -> None:
    overlapping = [branch("x", "b"), branch("y", "c")]
    assert event(guard={"not_": {"all_of": ["x", "y"]}}, branches=overlapping, target="d") == []
    assert event(guard={"not_": "x"}, branches=[branch("x", "b")], target="d") == [
        ("branch_never_taken", f"{GO}.branches[0]")
    ]


def test_a_branch_that_an_earlier_one_shadows_is_found() -> None:
    shadowed = [branch("x", "b"), branch({"all_of": ["x", "y"]}, "c")]
    assert event(branches=shadowed, target="d") == [("branch_never_taken", f"{GO}.branches[1]")]
    covered = [branch("x", "b"), branch({"not_": "x"}, "c"), branch("y", "d")]
    assert event(branches=covered) == [("branch_never_taken", f"{GO}.branches[2]")]


def test_a_guard_with_other_metadata_is_another_question() -> None:
    over = [{"name": "over", "metadata": {"limit": limit}} for limit in (10, 20)]
    found_here = event(branches=[branch(over[0], "b"), branch({"all_of": over}, "c")], target="d")
    assert found_here == [("branch_never_taken", f"{GO}.branches[1]")]
    assert event(branches=[branch(over[0], "b"), branch({"not_": over[1]}, "b")], target="d") == []


def test_a_target_that_no_answers_lead_to_is_found() -> None:
    both = [branch("x", "b"), branch({"not_": "x"}, "c")]
    assert event(branches=both, target="d") == [("target_never_taken", f"{GO}.target")]


def test_a_guard_that_contradicts_itself_is_found() -> None:
    contradiction = {"all_of": ["x", {"not_": "x"}]}
    assert event(guard=contradiction, target="b") == [("guard_never_passes", f"{GO}.guard")]


def test_two_timeouts_at_one_instant_are_found_whatever_they_interrupt() -> None:
    one, other = to("b", timeout="1h"), to("c", timeout={"after_minutes": 60, "interrupts": True})
    states = dict.fromkeys(("b", "c"), LEFT_IN_TIME)
    assert found(a={"events": {"one": one, "other": other}}, **states, end={}) == [
        ("timeouts_at_one_instant", "states.a.events.other.timeout")
    ]
    other["timeout"]["after_minutes"] = 61
    assert found(a={"events": {"one": one, "other": other}}, **states, end={}) == []


def test_a_definition_without_states_has_nothing_to_find() -> None:
    assert model_check(WorkflowDefinition.model_construct(name="w", initial_state="a", states={})) == []
