"""What is wrong with forks: branches that cannot be told apart, that nothing follows, and whose failure nobody takes."""

from typing import Any

import pytest

from detent import WorkflowDefinition, validate
from detent.definition.graph import hops


def forking(*branches: str, **entry: Any) -> WorkflowDefinition:
    states = {
        "start": {"on_enter": {"fork": list(branches), **entry}},
        "a": {"events": {"go": {"target": "joined"}, "lose": {"target": "lost"}}},
        "b": {"events": {"go": {"target": "joined"}}},
        "joined": {},
        "lost": {"outcome": "failure"},
        "end": {},
    }
    return WorkflowDefinition.from_dict({"name": "w", "initial_state": "start", "states": states})


@pytest.mark.parametrize(
    ("branches", "entry", "found"),
    [
        (["b"], {"target": "end"}, []),
        (["a", "b"], {"target": "end", "error": "lost"}, []),
        (["b", "b"], {"target": "end"}, [("states.start.on_enter.fork[1]", "branch_twice")]),
        (["b"], {}, [("states.start.on_enter", "fork_without_target")]),
        (["b"], {"error": "lost"}, [("states.start.on_enter", "fork_without_target")]),
        (["b", "a"], {"target": "end"}, [("states.start.on_enter.fork[1]", "branch_may_fail")]),
        (["nope"], {"target": "end"}, [("states.start.on_enter.fork[0]", "unknown_state")]),
    ],
)
def test_what_is_wrong_with_a_fork_is_told_where_it_stands(
    branches: list[str], entry: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    problems = [(each.path, each.code) for each in validate(forking(*branches, **entry))]
    assert [
        each for each in problems if each[1] not in ("unreachable_state", "no_way_to_end", "on_enter_cycle")
    ] == found


def test_a_state_that_is_forked_to_can_be_reached() -> None:
    codes = {problem.path: problem.code for problem in validate(forking("b", target="end"))}
    assert "states.b" not in codes
    assert codes["states.a"] == "unreachable_state"


def test_a_fork_that_comes_back_to_itself_at_once_is_a_circle() -> None:
    again = forking("start", target="end")
    assert hops(again)["start"] == ("start",)
    assert "on_enter_cycle" in {problem.code for problem in validate(again)}
