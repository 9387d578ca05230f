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
        ({"expression": "* * * * *", "static_context": {"$flow": 1}}, "reserved_key"),
        ({"expression": "* * * * *", "context_key": "error"}, "reserved_key"),
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


def test_a_schema_that_refers_elsewhere_opens_no_connection():
    with pytest.raises(Exception, match="cannot be followed"):
        input_errors({"$ref": "https://127.0.0.1:1/schema.json"}, {})


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
