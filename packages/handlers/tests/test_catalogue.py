"""The catalogue: what is in it, and what an editor is told of it."""

import json

from detent.flows.handler import Handlers
from detent_handlers import all_handlers
from detent_handlers.email import EmailHandler
from detent_handlers.http import HttpHandler

TYPES = [
    "batch",
    "condition",
    "delay",
    "http",
    "human",
    "llm",
    "log",
    "sub_flow",
    "switch",
    "transform",
    "webhook",
]


def test_every_handler_is_listed_and_described_for_an_editor():
    told = json.loads(json.dumps(Handlers(all_handlers()).manifest()))["handlers"]
    assert [one["type"] for one in told] == TYPES
    assert [one["type"] for one in told if not one["description"] or not one["config_schema"]] == []


def test_an_editor_learns_which_keys_a_config_has():
    schemas = {one["type"]: one["config_schema"] for one in Handlers(all_handlers()).manifest()["handlers"]}
    assert set(schemas["sub_flow"]["properties"]) == {"flow_id", "wait_for_completion", "metadata"}
    assert schemas["delay"]["properties"]["until"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert len(schemas["transform"]["oneOf"]) == 6
    assert len(schemas["condition"]["$defs"]["Condition"]["properties"]["op"]["enum"]) == 14


def test_a_handler_with_secrets_takes_the_place_of_the_bare_one_and_others_are_added():
    http = HttpHandler(secrets={"crm": "s3cret"})
    handlers = Handlers(all_handlers(http, EmailHandler("smtp.example.com", sender="shop@example.com")))
    assert sorted(spec.type for spec in handlers) == sorted([*TYPES, "email"])
    assert handlers.types["http"].target is http
