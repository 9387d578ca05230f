"""Entries: other states to begin in, by their names."""

from typing import Any

import pytest

from detent import InvalidValue, WorkflowDefinition, command, to_mermaid, validate
from detent.definition.fingerprint import fingerprint

JOB: Any = {
    "name": "job",
    "initial_state": "new",
    "entries": {"imported": "admitted", "made here": "new"},
    "states": {
        "new": {"events": {"admit": {"target": "admitted"}}},
        "admitted": {
            "context": {"admitted": True},
            "on_enter": {"commands": ["greet"]},
            "events": {"end": {"target": "done", "timeout": "1d"}},
        },
        "done": {},
    },
}


@command("greet")
async def greet(ctx):
    ctx.context["greeted"] = ctx.to_state


async def test_an_instance_begins_where_its_entry_leads(running):
    runtime = await running(JOB, commands=[greet])
    job = await runtime.create_instance("job", entry="imported", context={"admitted": "yesterday"})
    assert (job.state, job.context) == ("admitted", {"admitted": "yesterday", "greeted": "admitted"})
    assert [timer.event for timer in job.timers] == ["end"]
    assert (await runtime.create_instance("job", entry="made here")).state == "new"
    assert (await runtime.create_instance("job")).state == "new"
    done = [item async for item in runtime.create_many("job", [{"entry": "imported"}, {"entry": "x"}])]
    assert done[0].get().state == "admitted"
    assert isinstance(done[1].error, InvalidValue)


async def test_an_entry_that_is_not_there_is_refused_with_those_that_are(running):
    runtime = await running(JOB, commands=[greet])
    with pytest.raises(InvalidValue, match="did you mean 'imported'"):
        await runtime.create_instance("job", entry="importd")


async def test_where_there_are_no_entries_the_hint_is_to_name_none(running):
    runtime = await running({key: value for key, value in JOB.items() if key != "entries"}, commands=[greet])
    with pytest.raises(InvalidValue, match="leave it out"):
        await runtime.create_instance("job", entry="imported")


def test_entries_are_checked_and_part_of_what_a_definition_does():
    job = WorkflowDefinition.from_dict(JOB)
    assert validate(job) == []
    without = WorkflowDefinition.from_dict({key: value for key, value in JOB.items() if key != "entries"})
    assert fingerprint(without) != fingerprint(job)
    astray = WorkflowDefinition.from_dict({**JOB, "entries": {"imported": "admited", " ": "new"}})
    assert {(problem.path, problem.code) for problem in validate(astray)} == {
        ("entries.imported", "unknown_state"),
        ("entries. ", "blank_name"),
    }


def test_what_only_an_entry_leads_to_can_be_reached():
    states = {**JOB["states"], "new": {"events": {"end": {"target": "done"}}}}
    assert validate(WorkflowDefinition.from_dict({**JOB, "states": states})) == []


def test_every_picture_shows_where_an_instance_may_begin():
    job = WorkflowDefinition.from_dict(JOB)
    assert "[*] --> admitted : imported" in to_mermaid(job)
    assert '-->|"imported"| admitted' in to_mermaid(job, style="flowchart")
