"""Durable commands as they are written: retry, compensation, and circles that end in a commit of their own."""

from datetime import timedelta
from typing import Any

import pytest

from detent import Retry, WorkflowDefinition
from detent.definition import validate
from detent.definition.fingerprint import fingerprint
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
