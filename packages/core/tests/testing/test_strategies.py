from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from detent import EventNotAvailable, Outcome, validate
from detent.definition.walk import each_command, each_event, each_guard, each_on_enter
from detent.json_values import json_object
from detent.testing import HarnessMisused, TransitionCoverage, WorkflowHarness, simple_paths
from detent.testing.strategies import UNDECLARED, contexts, definitions, event_sequences, events, json_values

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(definitions())
def test_definitions_are_sound(definition):
    assert [problem for problem in validate(definition) if problem.severity == "error"] == []


FEATURES = {
    "commands": lambda d: any(each_command(d)),
    "guards": lambda d: any(each_guard(d)),
    "branches": lambda d: any(placed.event.branches for placed in each_event(d)),
    "errors": lambda d: any(e.event.error for e in each_event(d)) or any(o.error for _, _, o in each_on_enter(d)),
    "self_events": lambda d: any(placed.event.target == placed.state for placed in each_event(d)),
    "internal_events": lambda d: any(placed.event.internal for placed in each_event(d)),
    "on_enter": lambda d: any(each_on_enter(d)),
    "timeouts": lambda d: any(placed.event.timeout for placed in each_event(d)),
    "context": lambda d: any(state.context for state in d.states.values()),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_is_generated_and_can_be_switched_off(feature):
    used = FEATURES[feature]
    find(definitions(), used, settings=settings(max_examples=2000, database=None, phases=[Phase.generate]))

    @settings(quick, max_examples=20)
    @given(definitions(**{feature: False}))
    def without(definition):
        assert not used(definition)

    without()


def test_they_shrink_to_what_matters():
    found = find(
        definitions(),
        lambda d: len(d.states) > 1 and FEATURES["errors"](d),
        settings=settings(database=None, derandomize=True),
    )
    assert sum(len(state.events) for state in found.states.values()) == 1


@quick
@given(definitions(min_states=2, max_states=3, max_events=1))
def test_sizes_are_kept(definition):
    assert 2 <= len(definition.states) <= 3
    assert all(len(state.events) <= 1 for state in definition.states.values())


@quick
@given(contexts(), json_values())
def test_contexts_are_what_every_store_takes(context, value):
    assert json_object({**context, "value": value}, "context") == {**context, "value": value}


@quick
@given(st.data())
def test_events_are_those_of_the_definition_unless_asked_otherwise(data):
    definition = data.draw(definitions())
    declared = {placed.name for placed in each_event(definition)}
    name = data.draw(events(definition, undeclared=False))
    assert name in declared or (not declared and name in UNDECLARED)
    assert data.draw(events(definition)) in {*declared, *UNDECLARED}


@quick
@given(st.data())
async def test_any_sequence_keeps_an_instance_in_its_states_and_every_step_is_covered(data):
    definition = data.draw(definitions())
    async with WorkflowHarness(definition) as harness:
        await harness.start(context=data.draw(contexts()))
        for item in data.draw(event_sequences(definition, undeclared=True)):
            try:
                await harness.run([item])
            except EventNotAvailable:
                continue
        moves = Counter(
            entry.outcome
            for entry in harness.history[1:]
            if entry.event != "$on_enter" or entry.from_state != entry.to_state
        )
        counted = sum(count for way, count in harness.coverage.taken.items() if way.route != "timeout")
        assert harness.state in definition.states
        assert counted == moves[Outcome.SUCCESS] + moves[Outcome.FAILURE]


@quick
@given(definitions())
async def test_every_simple_path_of_any_definition_can_be_run(definition):
    try:
        paths = simple_paths(definition, limit=30)
    except HarnessMisused:
        return
    covered = TransitionCoverage(definition)
    async with WorkflowHarness(definition) as harness:
        for path in paths:
            assert len(set(path.states)) == len(path.states)
            await harness.run(path)
            await harness.assert_state(path.end)
        covered.merge(harness.coverage)
    moves = {(step.source, step.target, step.route) for path in paths for step in path.steps}
    assert moves <= {(way.source, way.target, way.route) for way, count in covered.taken.items() if count}
