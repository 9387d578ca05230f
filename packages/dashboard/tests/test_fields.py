"""A JSON Schema as a form, and the form as JSON again."""

from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from detent import InvalidValue
from detent_dashboard.fields import fields_of, json_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(BaseModel):
    width: int


class Parcel(BaseModel):
    items: int = Field(ge=1, le=9)
    weight: float = 1.5
    gift: bool = True
    colour: Colour
    lid: Colour | None = None
    kind: Literal["parcel"] = "parcel"
    sent: date
    note: str | None = None
    size: Size | None = None
    tags: list[str] = []


def test_each_kind_of_value_has_its_field():
    fields = fields_of(Parcel.model_json_schema()) or []
    assert {field.key: field.kind for field in fields} == {
        "items": "whole",
        "weight": "number",
        "gift": "yes",
        "colour": "choice",
        "lid": "choice",
        "kind": "choice",
        "sent": "date",
        "note": "text",
        "size": "json",
        "tags": "json",
    }
    assert [field.key for field in fields if field.required] == ["items", "colour", "sent"]


def test_a_field_says_what_the_schema_says_of_its_value():
    items, weight, gift, colour, lid, kind, *_ = fields_of(Parcel.model_json_schema()) or []
    assert (items.label, items.minimum, items.maximum) == ("Items", "1", "9")
    assert (weight.default, gift.default, kind.default) == ("1.5", "true", '"parcel"')
    assert colour.choices == lid.choices == ('"red"', '"blue"')
    assert kind.choices == ('"parcel"',)


def test_what_is_typed_is_what_the_model_takes():
    typed = {
        "items": "3",
        "weight": "2",
        "gift": "false",
        "colour": '"blue"',
        "sent": "2030-01-02",
        "size": '{"width": 4}',
    }
    fields = fields_of(Parcel.model_json_schema())
    found: Any = json_of(FormData([(f"field:{name}", value) for name, value in typed.items()]), fields)
    parcel = Parcel.model_validate(found)
    assert (parcel.items, parcel.colour, parcel.sent, parcel.size) == (3, Colour.BLUE, date(2030, 1, 2), Size(width=4))
    assert set(found) == set(typed)


@pytest.mark.parametrize(
    ("name", "text"), [("items", "1.5"), ("items", "x"), ("weight", "true"), ("size", "{"), ("weight", "NaN")]
)
def test_what_is_no_such_value_is_refused_by_name(name: str, text: str):
    with pytest.raises(InvalidValue, match=name):
        json_of(FormData([(f"field:{name}", text)]), fields_of(Parcel.model_json_schema()))


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "properties": {"x": {"$ref": "#/$defs/a"}}},
        {"properties": {"x": {"$ref": "#/$defs/none"}}},
        {"properties": {"x": {"anyOf": 7, "enum": 7, "minimum": "x"}}},
        {"properties": {"x": True}},
    ],
)
def test_what_cannot_be_understood_is_typed_as_json(schema: dict[str, Any]):
    [field] = fields_of(schema) or []
    assert (field.kind, field.minimum) == ("json", "")


def test_a_value_that_may_be_null_has_the_field_of_what_else_it_is():
    [one, two] = (
        fields_of({"properties": {"a": {"type": ["integer", "null"]}, "b": {"type": ["string", "number"]}}}) or []
    )
    assert (one.kind, two.kind) == ("whole", "json")


@pytest.mark.parametrize("schema", [None, {}, {"type": "array"}, {"type": "string", "properties": {}}])
def test_what_is_no_object_is_one_piece_of_json(schema: dict[str, Any] | None):
    assert fields_of(schema) is None
    assert json_of(FormData([("payload", "[1]")]), None) == [1]
