from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from detent.definition import WorkflowDefinition

SCHEMA = WorkflowDefinition.model_json_schema()


def _accepted(data: Any) -> bool:
    return not list(Draft202012Validator(SCHEMA).iter_errors(data))


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    for each in [schema, *schema["$defs"].values()]:
        yield next((form for form in each.get("anyOf", []) if form.get("type") == "object"), each)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_order_workflow_is_accepted_in_both_spellings(
    order_data: dict[str, Any], duraflows_data: dict[str, Any]
) -> None:
    assert _accepted(order_data)
    assert _accepted(duraflows_data)


def test_every_field_is_described() -> None:
    described = [field for each in _objects(SCHEMA) for field in each["properties"].values()]
    assert len(described) > 80
    assert all(field.get("description") for field in described)


def test_fields_are_offered_in_snake_case() -> None:
    assert {"initial_state", "version_policy", "context_model"} <= set(SCHEMA["properties"])


@pytest.mark.parametrize(
    "event",
    [
        {"target": "a", "timeout": "1h30m", "guard": "is_paid", "commands": ["ship"]},
        {"timeout": {"after_days": 1.5}, "guard": {"not": {"all_of": ["a", {"name": "b"}]}}},
        {"timeout": {"at": "due"}, "payload": {"type": "object"}, "metadata": {"any": ["thing"]}},
        {"branches": [{"guard": {"anyOf": ["a"]}, "targetState": "a"}], "internal": True},
        {"commands": [{"name": "ship", "input": {"full": True}, "output": "a.b", "transactional": False}]},
        {"commands": [{"name": "ship", "retry": {"attempts": 3, "initial": "5s"}, "compensate": ["unship"]}]},
    ],
)
def test_what_can_be_written_is_accepted(event: Any, order_data: dict[str, Any]) -> None:
    order_data["states"]["new"]["events"]["E"] = event
    assert _accepted(order_data)
    WorkflowDefinition.from_dict(order_data)


@pytest.mark.parametrize(
    "event",
    [
        {"taget": "a"},
        {"timeout": 14},
        {"guard": {"all_of": []}},
        {"guard": {"name": "a", "not": "b"}},
        {"commands": [{}]},
        {"commands": [{"name": "ship", "input": {"key": "a", "path": "b"}}]},
        {"branches": [{"guard": "a"}]},
    ],
)
def test_what_cannot_be_written_is_not(event: Any, order_data: dict[str, Any], refused: Any) -> None:
    order_data["states"]["new"]["events"]["E"] = event
    assert not _accepted(order_data)
    assert refused(order_data)


def test_a_definition_needs_a_name_an_initial_state_and_states(order_data: dict[str, Any]) -> None:
    for key in ("name", "initial_state", "states"):
        assert not _accepted({other: value for other, value in order_data.items() if other != key})
