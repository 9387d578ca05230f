from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from detent.definition import WorkflowDefinition, fingerprint, validate

names = st.sampled_from(["new", "paid", "shipped", "closed", "failed", "toString"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab$ü", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["description", "b"]), inner),
    max_leaves=4,
)
objects = st.dictionaries(st.text("ab", min_size=1, max_size=2), json_values, max_size=2)
selectors = st.one_of(
    st.builds(lambda value: {"static": value}, json_values),
    st.builds(lambda value: {"template": value}, json_values),
    st.sampled_from([{"key": "a.b"}, {"keys": ["a"]}, {"path": "a.0.b"}, {"full": True}]),
)
commands = st.lists(
    names | st.fixed_dictionaries({"name": names}, optional={"metadata": objects, "input": selectors}), max_size=2
)
guards = st.recursive(
    names | st.fixed_dictionaries({"name": names}, optional={"metadata": objects}),
    lambda inner: (
        st.fixed_dictionaries({"all_of": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=3,
)
timeouts = st.sampled_from(["14d", "1h30m", "0.25s", {"after_days": 0.3, "after_minutes": 7}, {"at": "due.date"}])
events = st.fixed_dictionaries(
    {},
    optional={
        "target": names,
        "errorState": names,
        "commands": commands,
        "guard": guards,
        "timeout": timeouts,
        "branches": st.lists(st.fixed_dictionaries({"guard": guards, "target": names}), max_size=2),
        "payload": st.just({"type": "object", "title": "P"}),
        "internal": st.booleans(),
        "metadata": objects,
        "description": st.text(max_size=5),
    },
)
states = st.fixed_dictionaries(
    {},
    optional={
        "context": objects,
        "events": st.dictionaries(names, events, max_size=2),
        "onEnter": st.fixed_dictionaries({}, optional={"target": names, "error": names, "commands": commands}),
        "outcome": st.sampled_from(["success", "failure", "cancelled"]),
        "tags": st.lists(names, max_size=2),
    },
)
definitions: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": names, "initial_state": names, "states": st.dictionaries(names, states, max_size=3)},
    optional={
        "version": st.sampled_from([1, 7, "1.10.0"]),
        "context_precedence": st.sampled_from(["state", "written"]),
    },
)


@given(definitions)
def test_any_definition_is_written_and_read_back(data: dict[str, Any]) -> None:
    definition = WorkflowDefinition.from_dict(data)
    for spelling in ("snake", "camel"):
        again = WorkflowDefinition.from_json(definition.to_json(spelling=spelling))
        assert again == definition
        assert fingerprint(again) == fingerprint(definition)


@given(definitions)
def test_any_definition_can_be_checked_and_has_a_stable_fingerprint(data: dict[str, Any]) -> None:
    definition = WorkflowDefinition.from_dict(data)
    problems = validate(definition, commands={"paid"}, guards={"paid"})
    assert len(set(problems)) == len(problems)
    assert all(problem.message and problem.code.isidentifier() for problem in problems)
