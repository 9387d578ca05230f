from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from detent.definition import DataModel, Event, WorkflowDefinition
from detent.errors import DefinitionInvalid


class Payment(BaseModel):
    model_config = ConfigDict(title="A payment")

    amount: int = Field(gt=0)


class Unwritable(BaseModel):
    callback: Callable[[], None]


SCHEMA = {"title": "Payment", "type": "object", "properties": {"amount": {"type": "integer"}}}


def _payload(written: Any) -> DataModel:
    payload = Event(target="paid", payload=written).payload
    assert payload is not None
    return payload


def test_of_a_pydantic_model_the_schema_and_the_name_are_kept() -> None:
    model = _payload(Payment)
    assert model.name == "Payment"
    assert model.json_schema["properties"]["amount"]["exclusiveMinimum"] == 0
    assert model.model_class is Payment


def test_a_json_schema_is_named_by_its_title() -> None:
    assert _payload(SCHEMA) == DataModel("Payment", SCHEMA)
    assert _payload({"type": "object"}).name == ""


def test_a_model_is_written_as_its_schema_and_read_back_equal() -> None:
    definition = WorkflowDefinition(name="w", initial_state="a", states={"a": {}}, context_model=Payment)
    again = WorkflowDefinition.from_json(definition.to_json())
    assert again == definition
    assert again.context_model is not None
    assert again.context_model.model_class is None


@pytest.mark.parametrize(
    ("written", "code"), [(int, "wrong_type"), (Payment(amount=1), "wrong_type"), (5, "wrong_type")]
)
def test_what_is_no_model_is_refused(written: Any, code: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        _payload(written)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_model_that_is_no_json_is_refused() -> None:
    with pytest.raises(DefinitionInvalid, match="Unwritable cannot be written as a JSON Schema"):
        _payload(Unwritable)


def test_a_schema_that_is_no_json_says_where() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        _payload({"properties": {"amount": {"enum": {1, 2}}}})
    assert [problem.path for problem in caught.value.problems] == ["payload.properties.amount.enum"]


def test_a_model_given_as_such_is_kept() -> None:
    model = DataModel("Payment", SCHEMA)
    assert _payload(model) is model
