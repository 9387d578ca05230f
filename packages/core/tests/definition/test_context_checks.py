from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from detent.definition import WorkflowDefinition, conformance, validate

SCHEMA = {
    "type": "object",
    "required": ["order_id", "status"],
    "properties": {"status": {"$ref": "#/$defs/Status"}, "total": {"type": "number", "minimum": 0}},
    "additionalProperties": False,
    "$defs": {"Status": {"enum": ["pending", "paid"]}},
}


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    order_id: int
    status: str
    total: float = 0


class Whole(BaseModel):
    first: int
    second: int

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, values: Any) -> Any:
        assert values["first"] < values["second"]
        return values


def _places(context: dict[str, Any], model: Any) -> list[str]:
    definition = WorkflowDefinition(
        name="w",
        initial_state="a",
        context_model=model,
        states={"a": {"context": context, "events": {"E": {"target": "end"}}}, "end": {}},
    )
    problems = validate(definition)
    assert {problem.code for problem in problems} <= {"context_breaks_model"}
    return [problem.path for problem in problems]


@pytest.mark.parametrize("model", [SCHEMA, Order])
@pytest.mark.parametrize(
    ("context", "places"),
    [
        ({}, []),
        ({"status": "paid"}, []),
        ({"status": 5}, ["states.a.context.status"]),
        ({"status": "paid", "total": "much"}, ["states.a.context.total"]),
        ({"unheard_of": 1}, ["states.a.context.unheard_of"]),
    ],
)
def test_a_patch_that_no_valid_context_can_have_is_refused(model: Any, context: Any, places: list[str]) -> None:
    assert _places(context, model) == places


def test_a_patch_that_only_a_whole_context_could_judge_is_left_alone() -> None:
    assert _places({"first": 5}, Whole) == []


def test_a_reference_to_another_document_is_not_followed() -> None:
    assert _places({"a": 1}, {"properties": {"a": {"$ref": "https://example.invalid/schema.json"}}}) == []


def test_a_reference_to_itself_does_not_hang() -> None:
    assert (
        _places({"a": 1}, {"properties": {"a": {"$ref": "#/$defs/loop"}}, "$defs": {"loop": {"$ref": "#/$defs/loop"}}})
        == []
    )


def test_without_jsonschema_only_a_pydantic_model_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "jsonschema", None)
    assert _places({"status": 5}, SCHEMA) == []
    assert _places({"status": 5}, Order) == ["states.a.context.status"]


def test_a_schema_that_is_none_is_refused(workflow: Any) -> None:
    broken = {"type": "objekt"}
    states = {"a": {"context": {"x": 1}, "events": {"E": {"target": "end", "payload": broken}}}, "end": {}}
    problems = validate(workflow(states, context_model=broken))
    assert [(problem.path, problem.code) for problem in problems] == [
        ("context_model", "bad_json_schema"),
        ("states.a.events.E.payload", "bad_json_schema"),
    ]
