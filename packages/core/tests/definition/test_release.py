from typing import Any

import pytest

from detent.definition import validate


@pytest.mark.parametrize(
    ("more", "key"),
    [({"durable": True}, "durable"), ({"retry": {"attempts": 3}}, "retry"), ({"compensate": ["undo"]}, "compensate")],
)
def test_what_is_not_available_yet_is_refused_with_what_works_instead(one_event: Any, more: Any, key: str) -> None:
    (problem,) = validate(one_event(target="end", commands=["first", {"name": "charge", **more}]))
    assert (problem.path, problem.code) == (f"states.start.events.E.commands[1].{key}", "not_available_yet")
    assert "not available in this release" in problem.message
    assert problem.severity == "error"
    assert problem.hint is not None
    assert key in problem.hint


def test_a_command_that_is_said_not_to_be_durable_is_fine(one_event: Any) -> None:
    assert validate(one_event(target="end", commands=[{"name": "charge", "durable": False}])) == []
