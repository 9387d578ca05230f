"""Deadlines that several states share: they go on from one of them to another, and end with the last."""

import pytest

from detent import WorkflowDefinition
from detent.definition.fingerprint import fingerprint


def checking(**more):
    stop = {"target": "stopped", "timeout": {"after_days": 2, "across": "checking"}}
    nudge = {"internal": True, "timeout": {"after_days": 1, "across": "checking"}}
    shared = {"stop": stop, "nudge": nudge, "rest": {"target": "resting"}}
    return {
        "name": "claim",
        "initial_state": "formal",
        "states": {
            "formal": {"events": {**shared, "on": {"target": "expert"}}},
            "expert": {"events": {**shared, "back": {"target": "formal"}, **more}},
            "resting": {"events": {"go": {"target": "expert"}}},
            "stopped": {},
        },
    }


@pytest.fixture
async def runtime(running):
    return await running(checking())


async def due_of(runtime, claim):
    """In how many hours each timer fires, from the creation on."""
    now = await runtime.get_instance(claim.id)
    return {timer.event: (timer.due - now.created_at).total_seconds() / 3600 for timer in now.timers}


async def test_a_shared_deadline_goes_on_from_one_state_to_the_next(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance(hours=6)
    await runtime.trigger_event(claim.id, "on")
    assert await due_of(runtime, claim) == {"stop": 48, "nudge": 24}
    await runtime.trigger_event(claim.id, "back")
    assert await due_of(runtime, claim) == {"stop": 48, "nudge": 24}


async def test_what_has_reminded_once_does_not_remind_in_the_next_state(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance(hours=25)
    await runtime.process_timeouts()
    await runtime.trigger_event(claim.id, "on")
    assert await due_of(runtime, claim) == {"stop": 48}


async def test_behind_another_state_it_begins_anew(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance(hours=6)
    await runtime.trigger_event(claim.id, "rest")
    await runtime.trigger_event(claim.id, "go")
    assert await due_of(runtime, claim) == {"stop": 54, "nudge": 30}


async def test_it_fires_at_its_time_whichever_of_them_it_is_in(runtime, clock):
    claim = await runtime.create_instance("claim")
    clock.advance(hours=47)
    await runtime.trigger_event(claim.id, "on")
    clock.advance(hours=1)
    await runtime.process_timeouts()
    assert (await runtime.get_instance(claim.id)).state == "stopped"


async def test_an_event_that_is_taken_begins_its_own_time_anew(running, clock):
    again = {"target": "expert", "timeout": {"after_days": 3, "across": "checking"}}
    runtime = await running(checking(again=again))
    claim = await runtime.create_instance("claim")
    await runtime.trigger_event(claim.id, "on")
    clock.advance(hours=10)
    await runtime.trigger_event(claim.id, "again")
    assert await due_of(runtime, claim) == {"stop": 48, "nudge": 24, "again": 82}


def test_sharing_a_deadline_is_part_of_what_a_definition_does():
    alone = checking()
    alone["states"]["formal"]["events"]["stop"] = {"target": "stopped", "timeout": "2d"}
    one, other = WorkflowDefinition.from_dict(checking()), WorkflowDefinition.from_dict(alone)
    assert fingerprint(one) != fingerprint(other)
    assert WorkflowDefinition.from_dict(one.to_dict()) == one
