"""Lowering: what states and events the definition of a flow has, and that it is sound and can be drawn."""

import pytest

from detent.definition import WorkflowDefinition, validate
from detent.flows import Flow, FlowBook, lower
from detent.flows.lower import flow_in
from detent.machine.compile import compile_definition
from detent.notation.mermaid import to_mermaid
from detent.registry.registry import Registry
from packages.core.tests.flows.handlers import HANDLERS, ORDER, Choose, flow, free, pick
from packages.core.tests.notation.test_reading_back import Reader

PICKED = {"type": "pick", "config": {"keys": []}}


def lowered(steps, **more):
    return lower(flow(steps, **more), HANDLERS.types)


def test_each_step_is_a_state_and_one_to_wait_in_and_each_end_is_a_state():
    definition = lowered({"a": {**PICKED, "on_success": "b"}, "b": {"type": "free"}})
    assert list(definition.states) == ["a", "a.waiting", "b", "b.waiting", "completed", "failed", "cancelled"]
    assert definition.initial_state == "a"
    outcomes = {name: str(state.outcome) for name, state in definition.states.items() if state.outcome}
    assert outcomes == {"completed": "success", "failed": "failure", "cancelled": "cancelled"}


def test_transitions_are_the_targets_of_entering():
    definition = lowered({"a": {**PICKED, "on_success": "b", "on_failure": "c"}, "b": PICKED, "c": PICKED})
    targets = {name: (state.on_enter.target, state.on_enter.error) for name, state in definition.states.items()
               if state.on_enter is not None}  # fmt: skip
    assert targets == {"a": ("b", "c"), "b": ("completed", "failed"), "c": ("completed", "failed")}


@pytest.mark.parametrize(
    ("step", "target"), [({"on_success": "b", "on_resume": "c"}, "c"), ({"on_success": "b"}, "b"), ({}, "completed")]
)
def test_a_wait_goes_on_to_its_own_step_else_to_the_next(step, target):
    waiting = lowered({"a": {**PICKED, **step}, "b": PICKED, "c": PICKED}).states["a.waiting"]
    assert {name: waiting.events[name].target for name in ("resume", "wake", "child_ended")} == dict.fromkeys(
        ("resume", "wake", "child_ended"), target
    )
    assert waiting.events["child_ended"].error == "failed"
    assert waiting.events["wait_timeout"].target == waiting.events["expire"].target == "cancelled"


@pytest.mark.parametrize(
    ("step", "choices"),
    [
        (PICKED, {"wait", "fail", "expire"}),
        ({"type": "choose", "config": {"to": ["b"]}}, {"wait", "fail", "expire", "finish", "goto.b"}),
        ({"type": "free"}, {"wait", "fail", "expire", "finish", "goto.a", "goto.b"}),
    ],
)
def test_a_state_has_the_events_that_its_handler_may_choose(step, choices):
    assert lowered({"a": step, "b": PICKED}).states["a"].events.keys() == choices


def test_the_handler_is_a_durable_command_that_knows_its_step():
    step = {**PICKED, "output_key": "o"}
    [command] = lowered({"a": step}, max_steps=7).states["a"].on_enter.commands
    assert (command.name, command.durable) == ("flow.handler.pick", True)
    told = command.metadata
    assert (told["step"], told["steps"], told["written"]) == ("a", 7, step)
    assert set(told["choices"]) == {"wait", "fail", "expire"}


def test_an_end_is_not_mistaken_for_a_step_of_its_name():
    definition = lowered({"completed": {**PICKED, "on_success": "failed"}, "failed": PICKED})
    assert definition.states["failed"].on_enter.target == "completed_"
    assert {"completed_", "failed_", "cancelled"} <= definition.states.keys()


def test_the_flow_is_found_again_in_the_definition():
    order = Flow.from_dict(ORDER)
    definition = lower(order, HANDLERS.types)
    assert (definition.name, definition.version) == ("order", "1.2.0")
    assert flow_in(WorkflowDefinition.from_json(definition.to_json()).metadata) == order
    assert flow_in({}) is None


def test_a_lowered_flow_is_a_sound_definition_and_compiles():
    steps = {"a": {"type": "free", "on_success": "b"}, "b": {"type": "choose", "config": {"to": ["c"]}}, "c": PICKED}
    book = FlowBook(flows=[flow(steps)], handlers=[pick, Choose, free])
    [definition] = book.definitions
    registry = Registry()
    registry.add(book.commands)
    durable = {name for name, spec in registry.commands.items() if spec.options.durable}
    assert validate(definition, commands=registry.commands, guards=registry.guards, durable=durable) == []
    assert compile_definition(definition, registry).workflow == "flow"


def test_the_diagram_of_a_flow_reads_back():
    definition = lower(Flow.from_dict(ORDER), HANDLERS.types)
    assert WorkflowDefinition.from_dict(Reader(to_mermaid(definition)).written) == definition
