"""Triggers as they are written: either spelling, every problem at once, and nothing that could not work."""

import pytest

from detent import validate
from detent.triggers import CronTrigger, EventTrigger, HttpTrigger, TriggerInvalid, Triggers
from detent.triggers.definition import trigger_definition
from detent.triggers.input_schema import input_errors
from detent.triggers.keys import key_of
from detent.triggers.trigger import IdempotencyFrom


def test_a_trigger_is_read_in_flowmonkeys_spelling():
    read = Triggers.read(
        {"kind": "http", "name": "hook", "flowId": "order", "contextKey": "data", "tenantId": "acme", "inputSchema": {}}
    )
    assert read == HttpTrigger(name="hook", flow="order", context_key="data", tenant="acme", input_schema={})


@pytest.mark.parametrize(
    "trigger",
    [
        HttpTrigger(
            name="a",
            flow="f",
            signature={"scheme": "stripe", "secret": "s", "tolerance": "1m"},
            idempotency_from={"path": "x"},
        ),
        CronTrigger(name="b", flow="f", expression="*/5 * * * *", timezone="Europe/Berlin", misfire="all", grace="10s"),
        EventTrigger(name="c", flow="f", topics=["order.*"], input_schema={"type": "object"}),
    ],
)
def test_what_is_stored_is_read_back_as_it_was(trigger):
    assert Triggers.read(trigger.model_dump(mode="json")) == trigger


def test_all_problems_of_a_trigger_are_told_at_once():
    with pytest.raises(TriggerInvalid) as raised:
        Triggers.read({"kind": "http", "name": "with space", "flow": "", "input_schema": {"type": 1}, "extra": 1})
    assert {problem.path.removeprefix("http.") for problem in raised.value.problems} == {
        "name",
        "flow",
        "input_schema",
        "extra",
    }


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"expression": "nonsense"}, "bad_expression"),
        ({"expression": "* * * * *", "timezone": "Mars"}, "bad_timezone"),
        ({"expression": "* * * * *", "grace": "-1s"}, "bad_grace"),
    ],
)
def test_a_schedule_that_could_not_work_is_refused_when_it_is_written(more, code):
    with pytest.raises(TriggerInvalid) as raised:
        CronTrigger(name="nightly", flow="f", **more)
    assert [problem.code for problem in raised.value.problems] == [code]
    assert raised.value.name == "nightly"


def test_an_idempotency_key_has_one_source():
    with pytest.raises(TriggerInvalid, match="either a header or a path"):
        HttpTrigger(name="a", flow="f", idempotency_from={"header": "X-Id", "path": "id"})


def test_the_workflow_of_triggers_is_sound():
    assert validate(trigger_definition()) == []


def test_every_error_of_a_body_has_its_path_message_and_keyword():
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {"items": {"items": {"properties": {"price": {"minimum": 0}}}}, "mail": {"format": "email"}},
    }
    errors = input_errors(schema, {"items": [{"price": 1}, {"price": -1}], "mail": "nobody"})
    assert [(error.path, error.keyword) for error in errors] == [
        ("", "required"),
        ("items[1].price", "minimum"),
        ("mail", "format"),
    ]
    assert "'id' is a required property" in errors[0].message


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://127.0.0.1:1/schema.json"},
        {"properties": {"id": {"$ref": "#/$defs/missing"}}},
        {"anyOf": [{"items": {"$ref": "other"}}]},
    ],
)
def test_a_schema_that_refers_elsewhere_is_refused_when_it_is_written(schema):
    with pytest.raises(TriggerInvalid, match="cannot be followed"):
        HttpTrigger(name="hook", flow="f", input_schema=schema)


def test_a_schema_may_refer_to_its_own_parts():
    tree = {"$defs": {"node": {"properties": {"below": {"items": {"$ref": "#/$defs/node"}}}}}, "$ref": "#/$defs/node"}
    within = {
        "$id": "https://example.com/a",
        "$defs": {"id": {"$id": "id", "type": "integer"}},
        "items": {"$ref": "id"},
    }
    for schema in (tree, within):
        assert HttpTrigger(name="hook", flow="f", input_schema=schema).input_schema == schema
    assert [error.path for error in input_errors(within, [1, "x"])] == ["[1]"]


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "https://127.0.0.1:1/schema.json"}])
def test_what_cannot_be_judged_is_refused_and_no_connection_is_opened(schema):
    [error] = input_errors(schema, {})
    assert (error.path, error.keyword) == ("", "$ref")
    assert "cannot be followed" in error.message


@pytest.mark.parametrize("found", [None, "", "  ", True, {}, [], 1.5])
def test_a_key_that_is_none_is_an_error_at_its_place(found):
    key, error = key_of(IdempotencyFrom(path="event.id"), {}, {"event": {"id": found}})
    assert (key, error and error.path, error and error.keyword) == (None, "event.id", "idempotency")


def test_keys_come_from_headers_in_any_case_and_from_paths():
    assert key_of(IdempotencyFrom(header="X-GitHub-Delivery"), {"x-github-delivery": "7"}, None) == ("7", None)
    assert key_of(IdempotencyFrom(path="event.id"), {}, {"event": {"id": 7}}) == ("7", None)
    for body in ([1], {"event": {"id": "x" * 201}}):
        key, error = key_of(IdempotencyFrom(path="event.id"), {}, body)
        assert key is None
        assert error is not None
        assert error.keyword == "idempotency"


def problems_of(written):
    with pytest.raises(TriggerInvalid) as raised:
        Triggers.read(written)
    return [(one.path, one.message, one.hint) for one in raised.value.problems]


@pytest.mark.parametrize("kind", [{}, {"kind": "htp"}])
def test_a_trigger_without_its_kind_says_which_there_are(kind):
    assert problems_of({"name": "x", **kind}) == [("", "must have a kind, which is 'http', 'cron' or 'event'", None)]


def test_a_name_that_is_none_says_what_may_stand_in_one():
    [(path, message, hint)] = problems_of({"kind": "http", "flow": "order", "name": "a/b c"})
    assert path == "name"
    assert (message, hint) == ("is 'a/b c', and a name has neither blanks nor slashes", "write a-b-c")


def test_a_misspelt_field_names_the_one_that_was_meant():
    [(path, message, hint)] = problems_of({"kind": "http", "flow": "order", "name": "a", "descripton": "b"})
    assert path == "descripton"
    assert (message, hint) == ("there is no key 'descripton' here", "did you mean 'description'?")
