from typing import Any

import pytest

from detent.definition import WorkflowDefinition, validate


def _found(definition: Any) -> list[tuple[str, str, str | None]]:
    return [(problem.path, problem.code, problem.hint) for problem in validate(definition)]


def test_a_workflow_needs_a_state(workflow: Any) -> None:
    definition = WorkflowDefinition(name="w", initial_state="a", states={})
    assert _found(definition) == [("states", "no_states", None)]


def test_the_initial_state_exists(workflow: Any) -> None:
    definition = workflow({"new": {"events": {"E": {"target": "end"}}}, "end": {}}, initial_state="nwe")
    assert _found(definition) == [("initial_state", "unknown_state", "did you mean 'new'?")]


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"target": "endd"}, "target"),
        ({"target": "end", "error": "endd", "commands": ["c"]}, "error"),
        ({"target": "end", "branches": [{"guard": "g", "target": "endd"}]}, "branches[0].target"),
    ],
)
def test_every_target_of_an_event_exists(one_event: Any, event: Any, place: str) -> None:
    path = f"states.start.events.E.{place}"
    assert _found(one_event(**event)) == [(path, "unknown_state", "did you mean 'end'?")]


@pytest.mark.parametrize("key", ["target", "error"])
def test_every_target_of_an_entry_exists(workflow: Any, key: str) -> None:
    definition = workflow({"start": {"on_enter": {"commands": ["c"], key: "endd"}}, "end": {}})
    assert (f"states.start.on_enter.{key}", "unknown_state", "did you mean 'end'?") in _found(definition)


@pytest.mark.parametrize("name", ["toString", "__class__", "keys"])
def test_only_what_was_written_is_a_state(one_event: Any, name: str) -> None:
    codes = [code for _, code, _ in _found(one_event(target=name))]
    assert "unknown_state" in codes
