"""The compiled machine: it chooses, it never acts, and it is safe to share."""

import logging
import threading

import pytest
import transitions
from hypothesis import given
from hypothesis import strategies as st

from detent import Registry, WorkflowDefinition
from detent.machine.compile import compile_definition
from detent.machine.engine import Choice, Refused
from detent.machine.verdicts import Need, Verdict


def never(ctx):
    raise AssertionError("a machine calls nothing")


async def never_async(ctx):
    raise AssertionError("a machine calls nothing")


@pytest.fixture
def registry():
    registry = Registry()
    for name in ("first", "second", "third"):
        registry.guard(name, never)
    registry.guard("slow", never_async)
    for name in ("act", "tell"):
        registry.command(name, never)
    return registry


def machine_of(registry, states, initial="a"):
    definition = {"name": "m", "initial_state": initial, "states": states}
    return compile_definition(WorkflowDefinition.from_dict(definition), registry)


def decide(machine, state, event, answers):
    """Choose with guards answered by name; also tells which were asked."""
    verdicts: dict[int, Verdict] = {}
    asked: list[str] = []
    while isinstance(choice := machine.choose(state, event, verdicts), Need):
        asked.append(choice.guard.name)
        verdicts[choice.guard.index] = Verdict(answers[choice.guard.name], f"no {choice.guard.name}")
    return choice, asked


def test_a_choice_names_the_target_and_the_commands_in_order(registry):
    machine = machine_of(registry, {"a": {"events": {"go": {"target": "b", "commands": ["act", "tell"]}}}, "b": {}})
    choice, asked = decide(machine, "a", "go", {})
    assert isinstance(choice, Choice)
    assert (choice.target, [step.name for step in choice.commands], asked) == ("b", ["act", "tell"], [])


def test_guards_are_asked_one_by_one_and_only_as_far_as_needed(registry):
    event = {
        "guard": "first",
        "branches": [{"guard": {"any_of": ["second", "third"]}, "target": "b"}],
        "target": "c",
    }
    machine = machine_of(registry, {"a": {"events": {"go": event}}, "b": {}, "c": {}})
    assert decide(machine, "a", "go", {"first": False})[1] == ["first"]
    choice, asked = decide(machine, "a", "go", {"first": True, "second": True})
    assert (choice.target, asked) == ("b", ["first", "second"])
    choice, asked = decide(machine, "a", "go", {"first": True, "second": False, "third": False})
    assert (choice.target, asked) == ("c", ["first", "second", "third"])


def test_without_a_default_target_no_branch_is_a_refusal_with_every_reason(registry):
    event = {"branches": [{"guard": "first", "target": "b"}, {"guard": "second", "target": "b"}]}
    machine = machine_of(registry, {"a": {"events": {"go": event}}, "b": {}})
    choice, _ = decide(machine, "a", "go", {"first": False, "second": False})
    assert isinstance(choice, Refused)
    assert choice.reason == "no first; no second"


@pytest.mark.parametrize(
    "name", ["*", "=", "state", "trigger", "to_b", "may_go", "is_a", "models", "a_b", "x.y", "Ünï"]
)
def test_names_that_mean_something_to_the_library_are_names_like_others(registry, name):
    machine = machine_of(registry, {name: {"events": {name: {"target": "end"}}}, "end": {}}, initial=name)
    assert decide(machine, name, name, {})[0].target == "end"


def test_an_internal_event_has_no_target_and_one_without_target_reenters(registry):
    events = {"note": {"internal": True, "commands": ["act"]}, "again": {"commands": ["act"]}}
    machine = machine_of(registry, {"a": {"events": events}})
    assert decide(machine, "a", "note", {})[0].target is None
    assert decide(machine, "a", "again", {})[0].target == "a"


def test_paths_that_need_the_lock_are_known_from_the_closure(registry):
    states = {
        "a": {
            "events": {
                "plain": {"target": "b"},
                "guarded": {"target": "b", "guard": "first"},
                "awaited": {"target": "b", "guard": {"not": "slow"}},
                "commanded": {"target": "b", "commands": ["act"]},
                "into_chain": {"target": "c"},
                "into_quiet_chain": {"target": "e"},
                "branched": {"target": "b", "branches": [{"guard": "slow", "target": "b"}]},
            }
        },
        "b": {},
        "c": {"on_enter": {"target": "d"}},
        "d": {"on_enter": {"commands": ["tell"], "target": "b"}},
        "e": {"on_enter": {"target": "b"}},
    }
    machine = machine_of(registry, states)
    assert machine.locked.anywhere == {"awaited", "commanded", "into_chain", "branched"}
    assert machine.locked.entries == {"c", "d"}


def test_a_machine_is_shared_by_threads(registry):
    event = {"branches": [{"guard": "first", "target": "b"}], "target": "c"}
    machine = machine_of(registry, {"a": {"events": {"go": event}}, "b": {}, "c": {}})
    wrong = []

    def walk(number):
        for step in range(500):
            passes = (number + step) % 2 == 0
            choice, _ = decide(machine, "a", "go", {"first": passes})
            if choice.target != ("b" if passes else "c"):
                wrong.append(choice)

    threads = [threading.Thread(target=walk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_library_chooses_once_what_depends_on_no_verdict(registry, monkeypatch):
    chosen = []
    trigger = transitions.core.Event.trigger

    def counted(event, slot):
        chosen.append(event)
        return trigger(event, slot)

    monkeypatch.setattr(transitions.core.Event, "trigger", counted)
    go = {"target": "b", "commands": ["act"]}
    ask = {"branches": [{"guard": "first", "target": "b"}, {"guard": "second", "target": "b"}]}
    machine = machine_of(registry, {"a": {"events": {"go": go, "ask": ask}}, "b": {}})
    assert len(chosen) == 2
    for _ in range(3):
        assert machine.choose("a", "go", {}) == Choice("b", machine.commands_of("a", "go"))
        assert isinstance(machine.choose("a", "ask", {}), Need)
    assert len(chosen) == 2
    for passes in (True, False):
        choice, asked = decide(machine, "a", "ask", {"first": False, "second": passes})
        assert asked == ["first", "second"]
        assert isinstance(choice, Choice if passes else Refused)
    assert len(chosen) == 6


def test_a_decision_logs_nothing(registry, caplog):
    machine = machine_of(registry, {"a": {"events": {"go": {"target": "b"}}}, "b": {}})
    with caplog.at_level(logging.INFO):
        decide(machine, "a", "go", {})
    assert caplog.records == []


@given(st.data())
def test_the_choice_is_the_first_branch_whose_guard_passes(data):
    """The library's selection against the rule in one line."""
    names = ["g0", "g1", "g2", "g3"]
    registry = Registry()
    for name in names:
        registry.guard(name, never)
    guards = data.draw(st.lists(st.sampled_from(names), max_size=5))
    answers = {name: data.draw(st.booleans()) for name in names}
    branches = [{"guard": guard, "target": f"t{index}"} for index, guard in enumerate(guards)]
    states = {"a": {"events": {"go": {"branches": branches, "target": "default"}}}, "default": {}}
    states |= {f"t{index}": {} for index in range(len(guards))}
    choice, _ = decide(machine_of(registry, states), "a", "go", answers)
    expected = next((f"t{index}" for index, guard in enumerate(guards) if answers[guard]), "default")
    assert choice.target == expected
