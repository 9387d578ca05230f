from typing import Any

import pytest

from detent.definition import validate

END: dict[str, Any] = {"end": {}}


def _found(definition: Any) -> list[tuple[str, str, str]]:
    return [(problem.path, problem.code, problem.severity) for problem in validate(definition)]


def _codes(definition: Any) -> set[str]:
    return {problem.code for problem in validate(definition)}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"commands": []},
        {"guard": "g"},
        {"payload": {}},
        {"timeout": "1d"},
        {"internal": True},
        {"metadata": {"a": 1}},
    ],
)
def test_an_event_that_does_nothing_is_refused(one_event: Any, event: Any) -> None:
    assert ("states.start.events.E", "event_does_nothing", "error") in _found(one_event(**event))


@pytest.mark.parametrize(
    "event",
    [
        {"target": "end"},
        {"target": "start"},
        {"commands": ["c"]},
        {"error": "end", "commands": ["c"]},
        {"branches": [{"guard": "g", "target": "end"}]},
        {"internal": True, "commands": ["c"]},
        {"internal": True, "timeout": "1d"},
        {"internal": True, "payload": {"type": "object"}},
    ],
)
def test_an_event_that_does_anything_is_allowed(one_event: Any, event: Any) -> None:
    assert "event_does_nothing" not in _codes(one_event(**event))


@pytest.mark.parametrize("way", [{"target": "end"}, {"error": "end"}, {"branches": [{"guard": "g", "target": "end"}]}])
def test_an_internal_event_leads_nowhere(one_event: Any, way: Any) -> None:
    found = _found(one_event(internal=True, commands=["c"], **way))
    assert ("states.start.events.E", "internal_event_moves", "error") in found


def test_an_error_target_without_a_command_is_dead(one_event: Any) -> None:
    found = _found(one_event(target="end", error="end"))
    assert found == [("states.start.events.E.error", "dead_error_target", "warning")]


def test_an_error_target_of_an_entry_without_a_command_is_dead(workflow: Any) -> None:
    definition = workflow({"start": {"on_enter": {"target": "end", "error": "end"}}, **END})
    assert _found(definition) == [("states.start.on_enter.error", "dead_error_target", "warning")]


def test_branches_without_a_target_for_the_rest_are_worth_a_warning(one_event: Any) -> None:
    found = _found(one_event(branches=[{"guard": "g", "target": "end"}]))
    assert found == [("states.start.events.E.branches", "no_default_target", "warning")]


def test_a_branch_that_asks_the_same_again_is_dead(one_event: Any) -> None:
    branches = [{"guard": guard, "target": "end"} for guard in ("a", "b", {"name": "a"})]
    found = _found(one_event(target="end", branches=branches))
    assert found == [("states.start.events.E.branches[2]", "dead_branch", "warning")]


def test_an_entry_that_does_nothing_is_worth_a_warning(workflow: Any) -> None:
    found = _found(workflow({"start": {"on_enter": {}, "events": {"E": {"target": "end"}}}, **END}))
    assert found == [("states.start.on_enter", "on_enter_does_nothing", "warning")]


def test_events_of_a_state_that_is_left_at_once_never_happen(workflow: Any) -> None:
    events = {"E": {"target": "end"}}
    found = _found(workflow({"start": {"on_enter": {"target": "end"}, "events": events}, **END}))
    assert found == [("states.start.on_enter", "events_never_happen", "warning")]


def test_a_command_may_choose_an_event_of_a_state_that_is_left_at_once(workflow: Any) -> None:
    on_enter = {"target": "end", "commands": ["decide"]}
    assert _found(workflow({"start": {"on_enter": on_enter, "events": {"E": {"target": "end"}}}, **END})) == []
