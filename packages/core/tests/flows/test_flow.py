"""A flow as it is written: FlowMonkey's spelling and ours, and what cannot be read."""

import json
from datetime import timedelta

import pytest

from detent.definition.selectors import FullSelector, KeySelector, PathSelector, StaticSelector
from detent.errors import DefinitionInvalid
from detent.flows import Flow, FlowInvalid, Step, StepRetry
from packages.core.tests.flows.handlers import ORDER


def problems_of(data):
    with pytest.raises(FlowInvalid) as refused:
        Flow.from_dict(data)
    return {(problem.path, problem.code) for problem in refused.value.problems}


def test_a_flow_of_flowmonkey_is_read_unchanged():
    flow = Flow.from_json(json.dumps(ORDER))
    fetch, ask = flow.steps["fetch"], flow.steps["ask"]
    assert (flow.id, flow.version, flow.initial_step_id, flow.tags) == ("order", "1.2.0", "fetch", ("shop",))
    assert (fetch.on_success, fetch.on_failure, fetch.on_resume) == ("ask", "sorry", None)
    assert (fetch.output_key, fetch.config) == ("found.order", {"keys": ["id"], "keepMe": {"asIs": True}})
    assert fetch.retry == StepRetry(max_attempts=3, backoff_ms=100, backoff_multiplier=3, retry_on=("BUSY",))
    assert (ask.input, ask.on_resume) == (StaticSelector(static={"question": "Sure?"}), "sorry")
    assert flow.steps["sorry"].input == FullSelector(full=True)
    assert (flow.status, flow.visual) == (ORDER["status"], ORDER["visual"])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"type": "key", "key": "a.b"}, KeySelector(key="a.b")),
        ({"type": "path", "path": "a.0"}, PathSelector(path="a.0")),
        ({"type": "static", "value": None}, StaticSelector(static=None)),
        ({"static": 1}, StaticSelector(static=1)),
        ({"key": "k"}, KeySelector(key="k")),
    ],
)
def test_a_selector_is_read_in_both_spellings(written, read):
    assert Flow.from_dict(with_step(input=written)).steps["only"].input == read


@pytest.mark.parametrize("written", [ORDER, {"id": "least", "initial_step_id": "a", "steps": {"a": {"type": "free"}}}])
def test_a_flow_is_read_back_as_it_was_written(written):
    flow = Flow.from_dict(written)
    assert Flow.from_dict(flow.to_dict()) == flow
    assert Flow.from_json(flow.to_json(indent=2)) == flow


def test_a_flow_is_written_without_what_goes_without_saying():
    flow = Flow("f", initial_step_id="a", steps={"a": Step("free", on_success="b"), "b": Step("free")})
    assert flow.to_dict() == {
        "id": "f",
        "initial_step_id": "a",
        "steps": {"a": {"type": "free", "on_success": "b"}, "b": {"type": "free"}},
    }


def test_a_flow_in_python_is_the_same_as_in_json():
    step = Step("pick", input={"key": "k"}, output_key="o", timeout="30s", retry={"max_attempts": 1}, tags=["t"])
    flow = Flow("f", version=3, initial_step_id="a", steps={"a": step}, max_steps=5)
    written = {"type": "pick", "input": {"key": "k"}, "outputKey": "o", "timeout": "30s", "tags": ["t"]}
    assert flow == Flow.from_dict({
        "id": "f", "version": "3", "initialStepId": "a", "maxSteps": 5,
        "steps": {"a": {**written, "retry": {"maxAttempts": 1}}},
    })  # fmt: skip
    assert step.timeout == timedelta(seconds=30)


def with_step(**step):
    return {"id": "f", "initialStepId": "only", "steps": {"only": {"type": "free", **step}}}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"id": "f"}, "steps"),
        ({"id": "f"}, "initial_step_id"),
        (with_step(input={"type": "guess"}), "steps.only.input"),
        (with_step(input={"path": "a..b"}), "steps.only.input.path"),
        (with_step(retry={"maxAttempts": -1}), "steps.only.retry.maxAttempts"),
        (with_step(retry={"maxAttempts": 1, "backoffMultiplier": 0.5}), "steps.only.retry.backoffMultiplier"),
        (with_step(timeout="soon"), "steps.only.timeout"),
        (with_step(onsucces="x"), "steps.only.onsucces"),
        (with_step(transitions={"onSucces": "x"}), "steps.only.onSucces"),
        ({**with_step(), "version": "1.10"}, "version"),
        ({**with_step(), "maxSteps": 0}, "maxSteps"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place(data, path):
    assert path in {place for place, _ in problems_of(data)}


def test_all_that_cannot_be_read_is_told_at_once():
    data = with_step(input={"type": "guess"}, timeout="soon")
    assert {place for place, _ in problems_of(data)} == {"steps.only.input", "steps.only.timeout"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}', b"\xff"])
def test_a_text_that_is_no_flow_is_refused_as_one(text):
    with pytest.raises(FlowInvalid):
        Flow.from_json(text)


def test_a_faulty_flow_in_python_is_refused_where_it_is_made():
    with pytest.raises(DefinitionInvalid):
        Flow("f", initial_step_id="a", steps={"a": {"typ": "free"}})


def test_versions_are_ordered_as_versions():
    flows = [Flow.from_dict({**ORDER, "version": version}) for version in ("1.10.0", "1.9.0", "2", "1.10.0-rc.1")]
    ordered = sorted(flows, key=lambda flow: flow.version_key)
    assert [flow.version for flow in ordered] == ["1.9.0", "1.10.0-rc.1", "1.10.0", "2"]


def test_the_delays_of_a_retry_are_those_of_flowmonkey():
    policy = StepRetry(max_attempts=5, backoff_ms=100, backoff_multiplier=3, max_backoff_ms=1000).policy
    delays = [policy.delay(attempt) / timedelta(milliseconds=1) for attempt in range(1, 6)]
    assert delays == [100, 300, 900, 1000, 1000]
    assert policy.attempts == 6
