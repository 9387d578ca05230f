import copy
from typing import Any

import pytest
from pydantic import BaseModel, Field

from detent.definition import WorkflowDefinition, fingerprint


def _changed(data: dict[str, Any], place: str, value: Any) -> WorkflowDefinition:
    data = copy.deepcopy(data)
    *way, last = place.split("/")
    holder = data
    for key in way:
        holder = holder[key]
    holder[last] = value
    return WorkflowDefinition.from_dict(data)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("version", "2.0.0"),
        ("version_policy", "latest"),
        ("description", "how an order is handled"),
        ("states/new/description", "nothing is paid"),
        ("states/new/events/Cancel/description", "by the customer"),
        ("states/new/tags", []),
        ("states/delivered/events/TimeOut/timeout", {"after_hours": 14 * 24}),
        ("states/exported/on_enter/commands", [{"name": "notify_customer", "metadata": {}}]),
    ],
)
def test_what_does_the_same_has_the_same_fingerprint(
    order: WorkflowDefinition, order_data: dict[str, Any], place: str, value: Any
) -> None:
    assert fingerprint(_changed(order_data, place, value)) == fingerprint(order)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", "other"),
        ("context_precedence", "state"),
        ("context_model", {"type": "object"}),
        ("metadata", {"team": "shipping"}),
        ("states/new/context/description", "is a context key here"),
        ("states/new/events/Cancel/target", "closed"),
        ("states/new/events/Cancel/guard", "may_cancel"),
        ("states/new/events/Cancel/metadata", {"label": "Cancel"}),
        ("states/cancelled/outcome", "cancelled"),
        ("states/delivered/events/TimeOut/timeout", "13d"),
        ("states/exported/on_enter/commands", []),
        ("states/exported/on_enter/commands", [{"name": "notify_customer", "retry": {"attempts": 2}}]),
        ("states/exported/on_enter/commands", [{"name": "notify_customer", "input": {"static": None}}]),
    ],
)
def test_what_does_something_else_has_another_fingerprint(
    order: WorkflowDefinition, order_data: dict[str, Any], place: str, value: Any
) -> None:
    assert fingerprint(_changed(order_data, place, value)) != fingerprint(order)


def test_a_definition_read_back_has_the_same_fingerprint(order: WorkflowDefinition) -> None:
    for again in (order.to_dict(), order.to_dict(spelling="camel")):
        assert fingerprint(WorkflowDefinition.from_dict(again)) == fingerprint(order)


def test_the_fingerprint_is_the_same_in_every_release(order: WorkflowDefinition) -> None:
    """Stored definitions are compared with it: when this fails, the release edits every stored definition."""
    assert fingerprint(order) == "2f8f7498dc7d6b46cbc2cd1b9489ffba6a39b2025b32819736df1abd792beaaa"


class Named(BaseModel):
    """An address book entry."""

    title: str
    age: int = Field(default=0, ge=0, description="in years", examples=[7])
    more: dict[str, Any] = {}


class Renamed(BaseModel):
    """Somebody."""

    title: str = Field(title="Heading")
    age: int = Field(default=0, ge=0)
    more: dict[str, Any] = {}


def test_the_alternatives_of_a_schema_count(order_data: dict[str, Any]) -> None:
    models: list[Any] = [{"anyOf": [{"type": "string", "title": "A"}, kind]} for kind in ({"type": "null"}, True)]
    models.append({"anyOf": [{"type": "string", "title": "B"}, {"type": "null"}]})
    first, other, same = (fingerprint(_changed(order_data, "context_model", model)) for model in models)
    assert first == same != other


class Stricter(BaseModel):
    title: str
    age: int = Field(default=0, ge=18)
    more: dict[str, Any] = {}


class Without(BaseModel):
    age: int = Field(default=0, ge=0)
    more: dict[str, Any] = {}


def _with_model(model: type[BaseModel]) -> str:
    return fingerprint(WorkflowDefinition(name="w", initial_state="a", states={"a": {}}, context_model=model))


def test_titles_and_descriptions_of_a_schema_do_not_count() -> None:
    assert _with_model(Named) == _with_model(Renamed)


def test_additional_properties_are_allowed_whether_a_schema_says_so_or_not(order_data: dict[str, Any]) -> None:
    models = [{"type": "object"}, {"type": "object", "additionalProperties": True}]
    told, untold, refused = (
        fingerprint(_changed(order_data, "context_model", model))
        for model in (*models, {"type": "object", "additionalProperties": False})
    )
    assert told == untold != refused


@pytest.mark.parametrize("model", [Stricter, Without])
def test_what_a_schema_demands_counts_also_of_a_property_called_title(model: type[BaseModel]) -> None:
    assert _with_model(Named) != _with_model(model)
