"""Durable commands as they are written: retry, compensation, and circles that end in a commit of their own."""

from datetime import timedelta
from typing import Any

import pytest

from detent import Retry, WorkflowDefinition
from detent.definition import validate
from detent.definition.fingerprint import fingerprint
from detent.errors import DefinitionInvalid
from detent.retry import NEVER


def codes(definition: Any, **known: Any) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in validate(definition, **known)]


def circle(durable: bool | None = None) -> WorkflowDefinition:
    return WorkflowDefinition.from_dict(
        {
            "name": "circle",
            "initial_state": "a",
            "states": {
                "a": {
                    "on_enter": {"target": "b", "commands": [{"name": "poll", "durable": durable}]},
                    "events": {"end": {"target": "done"}},
                },
                "b": {"on_enter": {"target": "a"}},
                "done": {},
            },
        }
    )


def test_a_circle_of_entries_is_sound_where_a_durable_command_breaks_the_commit() -> None:
    assert ("states.a.on_enter", "on_enter_cycle") in codes(circle())
    assert codes(circle(durable=True)) == []
    assert codes(circle(), durable={"poll"}) == []
    assert ("states.a.on_enter", "on_enter_cycle") in codes(circle(durable=False), durable={"poll"})


def test_a_command_that_undoes_another_is_not_undone_itself(one_event: Any) -> None:
    undoing = {"name": "undo", "compensate": ["redo"]}
    definition = one_event(target="end", error="end", commands=[{"name": "do", "compensate": [undoing]}])
    assert codes(definition) == [("states.start.events.E.commands[0].compensate[0].compensate", "nested_compensation")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("never", NEVER),
        ({"attempts": 3, "initial": "5s"}, Retry(attempts=3, initial=timedelta(seconds=5))),
        ({}, Retry()),
    ],
)
def test_retry_is_read_and_written_alike(one_event: Any, written: Any, meant: Retry) -> None:
    definition = one_event(target="end", commands=[{"name": "do", "durable": True, "retry": written}])
    again = WorkflowDefinition.from_dict(definition.to_dict())
    assert again == definition
    assert fingerprint(again) == fingerprint(definition)
    (reference,) = definition.states["start"].events["E"].commands
    assert reference.retry == meant


def test_publishing_is_part_of_what_a_definition_does(one_event: Any) -> None:
    silent = one_event(target="end")
    loud = WorkflowDefinition.from_dict({**silent.to_dict(), "publish": "order"})
    assert loud.publish == "order"
    assert fingerprint(loud) != fingerprint(silent)


@pytest.mark.parametrize(
    ("command", "known", "warned"),
    [
        ({"durable": False}, {}, True),
        ({}, {}, False),
        ({}, {"commands": ["do"]}, True),
        ({}, {"commands": ["do"], "durable": ["do"]}, False),
        ({"durable": True}, {"commands": ["do"]}, False),
        ({"durable": False}, {"commands": ["do"], "durable": ["do"]}, True),
    ],
)
def test_a_retry_that_nothing_heeds_is_warned_of_as_far_as_that_is_known(
    one_event: Any, command: dict[str, Any], known: dict[str, Any], warned: bool
) -> None:
    definition = one_event(target="end", commands=[{"name": "do", "retry": "never", **command}])
    found = [problem for problem in validate(definition, **known) if problem.code == "option_without_durable"]
    assert [(problem.path, problem.severity) for problem in found] == (
        [("states.start.events.E.commands[0].retry", "warning")] if warned else []
    )


def test_a_retry_beside_a_durable_command_is_heeded(one_event: Any) -> None:
    commands = [{"name": "note", "retry": "never"}, {"name": "do", "durable": True}]
    assert codes(one_event(target="end", commands=commands), commands=["note", "do"]) == []


def test_a_retry_in_other_words_is_told_the_right_one(one_event: Any) -> None:
    with pytest.raises(DefinitionInvalid, match="did you mean 'never'"):
        one_event(target="end", commands=[{"name": "do", "retry": "nevr"}])


@pytest.mark.parametrize(
    ("command", "durable", "refused"),
    [
        ({"name": "do", "durable": True}, [], True),
        ("do", ["do"], True),
        ({"name": "do", "durable": False}, ["do"], False),
        ("do", [], False),
    ],
)
def test_work_in_a_state_that_ends_the_workflow_is_refused(command: Any, durable: list[str], refused: bool) -> None:
    states = {"start": {"events": {"go": {"target": "end"}}}, "end": {"on_enter": {"commands": [command]}}}
    definition = WorkflowDefinition.from_dict({"name": "w", "initial_state": "start", "states": states})
    found = [(problem.path, problem.code) for problem in validate(definition, durable=durable)]
    assert found == ([("states.end.on_enter.commands[0]", "work_at_the_end")] if refused else [])
