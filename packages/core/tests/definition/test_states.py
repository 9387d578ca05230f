from typing import Any

import pytest

from detent.definition import validate


def _found(definition: Any) -> list[tuple[str, str, str]]:
    return [(problem.path, problem.code, problem.severity) for problem in validate(definition)]


def _to(*targets: str) -> dict[str, Any]:
    return {"events": {f"To{target}": {"target": target} for target in targets}}


def _hop(target: str, error: str | None = None) -> dict[str, Any]:
    return {"on_enter": {"target": target, "error": error, "commands": ["c"]}}


def _circles(definition: Any) -> list[str]:
    return [problem.message.split(": ")[1] for problem in validate(definition) if problem.code == "on_enter_cycle"]


def test_a_state_that_nothing_leads_to_is_worth_a_warning(workflow: Any) -> None:
    definition = workflow({"a": _to("end"), "island": _to("end"), "end": {}})
    assert _found(definition) == [("states.island", "unreachable_state", "warning")]


@pytest.mark.parametrize(
    "start",
    [
        {"events": {"E": {"target": "end", "error": "other", "commands": ["c"]}}},
        {"events": {"E": {"target": "end", "branches": [{"guard": "g", "target": "other"}]}}},
        {"on_enter": {"target": "end", "error": "other", "commands": ["c"]}},
    ],
)
def test_errors_branches_and_hops_lead_to_states(workflow: Any, start: Any) -> None:
    assert _found(workflow({"start": start, "other": {}, "end": {}})) == []


def test_a_state_that_a_misspelt_target_means_is_not_called_unreachable(workflow: Any) -> None:
    definition = workflow({"a": _to("end", "exportible"), "exportable": _to("exported"), "exported": {}, "end": {}})
    assert [code for _, code, _ in _found(definition)] == ["unknown_state"]


def test_a_state_from_which_nothing_ends_is_worth_a_warning(workflow: Any) -> None:
    definition = workflow({"a": _to("b", "end"), "b": _to("c"), "c": _to("b"), "end": {}})
    assert _found(definition) == [
        ("states.b", "no_way_to_end", "warning"),
        ("states.c", "no_way_to_end", "warning"),
    ]


def test_a_workflow_that_never_ends_is_one_warning(workflow: Any) -> None:
    definition = workflow({"a": _to("b"), "b": _to("c"), "c": _to("a")})
    assert _found(definition) == [("states", "never_ends", "warning")]


def test_a_terminal_initial_state_is_worth_a_warning(workflow: Any) -> None:
    assert _found(workflow({"a": {}})) == [("initial_state", "terminal_initial_state", "warning")]


def test_an_outcome_of_a_state_that_is_no_end_is_worth_a_warning(workflow: Any) -> None:
    definition = workflow({"a": {**_to("end"), "outcome": "failure"}, "end": {"outcome": "cancelled"}})
    assert _found(definition) == [("states.a.outcome", "outcome_not_terminal", "warning")]


def test_hops_that_come_back_are_refused_with_their_way(workflow: Any) -> None:
    definition = workflow({"a": _to("b"), "b": _hop("c"), "c": _hop("d"), "d": _hop("b", "end"), "end": {}})
    assert _circles(definition) == ["b -> c -> d -> b"]
    assert ("states.b.on_enter", "on_enter_cycle", "error") in _found(definition)


@pytest.mark.parametrize(
    ("states", "circles"),
    [
        ({"a": _hop("a")}, ["a -> a"]),
        ({"a": _hop("b", "a"), "b": _hop("a")}, ["a -> b -> a", "a -> a"]),
        ({"a": _hop("b"), "b": _hop("a"), "c": _hop("d"), "d": _hop("c")}, ["a -> b -> a", "c -> d -> c"]),
        (
            {"a": _hop("b", "c"), "b": _hop("d"), "c": _hop("d"), "d": _hop("a")},
            ["a -> b -> d -> a", "a -> c -> d -> a"],
        ),
        ({"a": _hop("b", "c"), "b": _hop("c"), "c": {}}, []),
    ],
)
def test_every_circle_of_hops_is_found_once(workflow: Any, states: Any, circles: list[str]) -> None:
    assert sorted(_circles(workflow(states))) == sorted(circles)


def test_a_circle_that_an_event_breaks_is_allowed(workflow: Any) -> None:
    definition = workflow({"a": _hop("b"), "b": _to("a", "end"), "end": {}})
    assert _found(definition) == []


def test_a_ladder_of_many_ways_is_checked_quickly(workflow: Any) -> None:
    steps = 300
    states = {f"{side}{step}": _hop(f"l{step + 1}", f"r{step + 1}") for step in range(steps) for side in "lr"}
    states |= {f"l{steps}": _hop("l0"), f"r{steps}": {}}
    assert len(_circles(workflow(states))) <= 2 * len(states)
