"""Schemas that are to stand inside another document."""

from detent.service.http.inlining import inlined


def test_what_is_referred_to_stands_in_place():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"a/b": {"type": "integer"}},
        "properties": {"n": {"$ref": "#/$defs/a~1b"}, "m": {"$ref": "#/$defs/a~1b", "description": "Many."}},
    }
    assert inlined(schema) == {
        "properties": {"n": {"type": "integer"}, "m": {"allOf": [{"type": "integer"}], "description": "Many."}}
    }


def test_where_a_schema_holds_itself_anything_goes():
    schema = {"type": "object", "properties": {"inner": {"$ref": "#"}}}
    inner = {"type": "object", "properties": {"inner": {}}}
    assert inlined(schema) == {"type": "object", "properties": {"inner": inner}}


def test_what_leads_elsewhere_or_nowhere_is_anything():
    schema = {
        "items": [{"$ref": "https://example.com/schema"}, {"$ref": "#/$defs/none"}, {"$ref": "#/type/x"}],
        "type": "array",
    }
    assert inlined(schema)["items"] == [{}, {}, {}]


def test_a_property_may_be_called_like_a_keyword():
    schema = {"properties": {"$ref": {"type": "string"}, "definitions": {"type": "string"}}}
    assert inlined(schema) == schema
