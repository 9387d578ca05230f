"""A step that asks a language model, at two servers that check what they are asked."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from detent import InvalidValue
from detent.flows.handler import Handlers
from detent.flows.results import failure
from detent.testing.clock import FakeClock
from detent_handlers.anthropic_chat import AnthropicChat
from detent_handlers.chat import ChatAnswer, ChatFailed, ChatRequest, Usage
from detent_handlers.llm import LlmHandler
from detent_handlers.openai_chat import OpenAiChat
from packages.handlers.tests.calling import NOW, Step
from packages.handlers.tests.chat_servers import KEY, Anthropic, OpenAi
from packages.handlers.tests.receiver import answering
from packages.handlers.tests.web_server import App, WebServer, as_json, silence

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}
PARIS = {"city": "Paris", "people": 2_000_000}
LOCAL: dict[str, Any] = {"allow_private": True, "allow_http": True, "clock": FakeClock(NOW)}


@asynccontextmanager
async def asking(app: App, **options: Any) -> AsyncIterator[Step]:
    """A step whose model is behind `app`."""
    async with WebServer(app=app) as server:
        url = server.url("")
        if isinstance(app, Anthropic):
            model: Any = AnthropicChat(KEY, base_url=url, **LOCAL | options)
        else:
            model = OpenAiChat(url + "/v1", KEY, **LOCAL | options)
        yield Step(LlmHandler(models={"small": model}))


async def test_openai_is_asked_and_answers():
    async with asking(OpenAi(), model="gpt-x") as step:
        output = await step.succeeds({"model": "small", "prompt": "Capital of France?", "system": "Be brief."})
    assert output == {
        "text": "Paris.",
        "data": None,
        "usage": {"input_tokens": 11, "output_tokens": 7},
        "model": "gpt-x-2030-01-01",
        "stop_reason": "end",
    }


async def test_anthropic_is_asked_and_answers():
    async with asking(Anthropic(), model="claude-x") as step:
        output = await step.succeeds({"model": "small", "prompt": "Capital of France?", "system": "Be brief."})
    assert output == {
        "text": "Paris.",
        "data": None,
        "usage": {"input_tokens": 13, "output_tokens": 5},
        "model": "claude-x-20300101",
        "stop_reason": "end",
    }


async def test_openai_hears_what_the_step_says():
    server = OpenAi()
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    async with asking(server, tokens_field="max_completion_tokens") as step:
        await step.succeeds({"model": "small", "messages": messages, "system": "s", "temperature": 0, "maxTokens": 50})
    assert server.asked == [
        {
            "model": "small",
            "messages": [{"role": "system", "content": "s"}, *messages],
            "temperature": 0,
            "max_completion_tokens": 50,
            "stream": False,
        }
    ]


async def test_anthropic_hears_what_the_step_says():
    server = Anthropic()
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    async with asking(server, max_tokens=100) as step:
        await step.succeeds({"model": "small", "messages": messages, "system": "s", "temperature": 0.5})
        await step.succeeds({"model": "small", "prompt": "a", "max_tokens": 50})
    first, second = server.asked
    assert first == {
        "model": "small",
        "messages": messages,
        "system": "s",
        "temperature": 0.5,
        "max_tokens": 100,
        "stream": False,
    }
    assert (second["max_tokens"], "system" in second, "temperature" in second) == (50, False, False)


async def test_the_input_wins_over_the_config_and_a_text_is_the_prompt():
    server = OpenAi()
    config = {"model": "small", "prompt": "config", "system": "config"}
    async with asking(server) as step:
        await step.succeeds(config, "input")
        await step.succeeds(config, {"prompt": "input", "system": "input", "other": 1})
        await step.succeeds(config, {"messages": [{"role": "user", "content": "input"}]})
        await step.succeeds(config, {"unrelated": True})
    said = [[one["content"] for one in asked["messages"]] for asked in server.asked]
    assert said == [["config", "input"], ["input", "input"], ["config", "input"], ["config", "config"]]


@pytest.mark.parametrize("server", [OpenAi(json.dumps(PARIS)), Anthropic(None, PARIS, "tool_use")])
async def test_an_answer_that_follows_its_schema_is_data(server):
    async with asking(server) as step:
        output = await step.succeeds({"model": "small", "prompt": "Which city?", "schema": CITY})
    assert output["data"] == PARIS
    assert json.loads(output["text"]) == PARIS
    assert output["stop_reason"] == "end"


@pytest.mark.parametrize(
    "server", [OpenAi('{"answer": ["a", "b"]}'), Anthropic(None, {"answer": ["a", "b"]}, "tool_use")]
)
async def test_an_answer_that_is_no_object_travels_inside_one(server):
    schema = {"type": "array", "items": {"$ref": "#/$defs/tag"}, "$defs": {"tag": {"type": "string"}}}
    async with asking(server) as step:
        output = await step.succeeds({"model": "small", "prompt": "Which tags?", "schema": schema})
    assert output["data"] == ["a", "b"]
    (asked,) = server.asked
    sent = (
        asked["response_format"]["json_schema"]["schema"]
        if "response_format" in asked
        else asked["tools"][0]["input_schema"]
    )
    assert sent["$defs"] == schema["$defs"]
    assert sent["properties"]["answer"] == {"type": "array", "items": {"$ref": "#/$defs/tag"}}


@pytest.mark.parametrize("server", [OpenAi('{"answer": null}'), Anthropic(None, {"answer": None}, "tool_use")])
async def test_null_may_be_the_answer(server):
    async with asking(server) as step:
        output = await step.succeeds({"model": "small", "prompt": "?", "schema": {"type": ["string", "null"]}})
    assert output["data"] is None


async def test_what_only_some_call_json_is_no_null():
    async with asking(OpenAi("NaN")) as step:
        failed = await step.fails({"model": "small", "prompt": "?", "schema": {"type": ["string", "null"]}})
    assert (failed.code, failed.details["problems"]) == (
        "LLM_OUTPUT_INVALID",
        [{"path": "", "message": "it is not JSON"}],
    )


@pytest.mark.parametrize(
    ("server", "path", "message"),
    [
        (OpenAi('{"city": "Paris", "people": "many"}'), "people", "'many' is not of type 'integer'"),
        (OpenAi('{"city": "Paris"}'), "", "'people' is a required property"),
        (OpenAi("Paris, of course"), "", "it is not JSON"),
        (Anthropic(None, {"city": 1, "people": 1}, "tool_use"), "city", "1 is not of type 'string'"),
        (Anthropic("I would rather talk."), "", "it is not JSON"),
    ],
)
async def test_an_answer_that_breaks_its_schema_is_worth_another_attempt(server, path, message):
    async with asking(server) as step:
        failed = await step.fails({"model": "small", "prompt": "?", "schema": CITY})
    assert (failed.code, failed.retryable) == ("LLM_OUTPUT_INVALID", True)
    assert failed.details["problems"] == [{"path": path, "message": message}]
    assert failed.details["usage"]["output_tokens"] > 0


async def test_a_schema_never_leads_to_another_document():
    async with WebServer() as elsewhere, asking(OpenAi("{}")) as step:
        schema = {"type": "object", "$ref": elsewhere.url("/schema.json")}
        failed = await step.fails({"model": "small", "prompt": "?", "schema": schema})
    assert (failed.code, elsewhere.connections) == ("LLM_OUTPUT_INVALID", 0)


@pytest.mark.parametrize(
    ("server", "code"),
    [
        (OpenAi("Par", "length"), "LLM_TRUNCATED"),
        (Anthropic("Par", None, "max_tokens"), "LLM_TRUNCATED"),
        (OpenAi(None, "stop", "I cannot help with that."), "LLM_REFUSED"),
        (Anthropic("", None, "refusal"), "LLM_REFUSED"),
        (OpenAi("", "content_filter"), "LLM_FILTERED"),
    ],
)
@pytest.mark.parametrize("schema", [None, CITY])
async def test_an_answer_that_was_stopped_is_no_answer(server, code, schema):
    async with asking(server) as step:
        failed = await step.fails({"model": "small", "prompt": "?", "schema": schema})
    assert (failed.code, failed.retryable) == (code, False)
    assert failed.details["usage"]["input_tokens"] > 0


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (429, "LLM_RATE_LIMITED", True),
        (529, "LLM_RATE_LIMITED", True),
        (503, "LLM_UNAVAILABLE", True),
        (400, "LLM_REJECTED", False),
        (404, "LLM_REJECTED", False),
    ],
)
async def test_a_status_tells_whether_to_ask_again_and_when(status, code, retryable):
    async with asking(lambda request: answering(status, b"why", retry_after="120")) as step:
        failed = await step.fails({"model": "small", "prompt": "?", "longest_wait": "1m"})
    assert (failed.code, failed.retryable, failed.details) == (code, retryable, {"status": status, "body": "why"})
    assert failed.retry_after == (timedelta(minutes=1) if retryable else None)


@pytest.mark.parametrize(
    "answer",
    [
        answering(200, b"<html>"),
        as_json([]),
        as_json({}),
        as_json({"choices": []}),
        as_json({"choices": [{"message": 1}]}),
    ],
)
async def test_an_answer_of_another_shape_is_a_failure(answer):
    async with asking(lambda request: answer) as step:
        failed = await step.fails({"model": "small", "prompt": "?"})
    assert (failed.code, failed.retryable) == ("LLM_ANSWER_UNREADABLE", True)


async def test_a_server_that_is_slow_or_gone_is_a_failure_that_may_pass():
    async with asking(lambda request: silence) as step:
        assert (await step.fails({"model": "small", "prompt": "?", "timeout": "0.3s"})).code == "TIMEOUT"
    failed = await step.fails({"model": "small", "prompt": "?"})
    assert (failed.code, failed.retryable) == ("HTTP_UNREACHABLE", True)


async def test_a_repeated_attempt_carries_the_same_key():
    requests = []

    def app(request):
        requests.append(request)
        return answering(503)

    async with asking(app) as step:
        for _ in range(2):
            await step.fails({"model": "small", "prompt": "?"})
    assert [request.headers["idempotency-key"] for request in requests] == [step.key, step.key]


async def test_the_key_of_the_server_stands_in_no_error_text_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    for model in (OpenAiChat("https://api.test/v1", KEY + "x"), AnthropicChat(KEY)):
        said.append(repr(model))
    async with WebServer(app=OpenAi()) as server:
        wrong = OpenAiChat(server.url("/v1"), "sk-wrong-t0ken", **LOCAL)
        failed = await Step(LlmHandler(models={"small": wrong})).fails({"model": "small", "prompt": "?"})
    assert failed.code == "LLM_REJECTED"
    assert "Incorrect API key" in failed.details["body"]
    assert "t0ken" not in "\n".join([*said, repr(failed), caplog.text])


async def test_a_server_inside_the_network_is_called_only_where_that_was_said():
    async with WebServer(app=OpenAi()) as server:
        model = OpenAiChat(server.url("/v1"), KEY, allow_http=True)
        failed = await Step(LlmHandler(models={"small": model})).fails({"model": "small", "prompt": "?"})
    assert (failed.code, server.connections) == ("ADDRESS_REFUSED", 0)
    with pytest.raises(InvalidValue, match="is not https"):
        OpenAiChat(server.url("/v1"), KEY)


async def test_a_key_that_is_no_header_makes_no_model():
    with pytest.raises(InvalidValue, match=r"headers\.x-api-key") as refused:
        AnthropicChat("t0ken\n")
    assert "t0ken" not in str(refused.value)


class Scripted:
    """A model of the application's own."""

    def __init__(self, answer: ChatAnswer | Exception) -> None:
        self.answer = answer
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_an_application_brings_models_of_its_own():
    model = Scripted(ChatAnswer("hi", "mine", Usage(1, 2)))
    step = Step(LlmHandler(models={"mine": model}))
    output = await step.succeeds({"model": "mine", "prompt": "hello"})
    assert (output["text"], output["usage"]["output_tokens"], model.requests[0].key) == ("hi", 2, step.key)


async def test_a_model_says_how_it_failed():
    model = Scripted(ChatFailed(failure("MINE", "not today", retryable=False)))
    failed = await Step(LlmHandler(models={"mine": model})).fails({"model": "mine", "prompt": "hello"})
    assert (failed.code, failed.message, failed.retryable) == ("MINE", "not today", False)


async def test_a_model_that_is_not_known_is_a_failure_that_stays():
    step = Step(LlmHandler(models={"small": Scripted(ChatAnswer("", ""))}))
    failed = await step.fails({"model": "smal", "prompt": "?"})
    assert (failed.code, failed.retryable) == ("LLM_MODEL_UNKNOWN", False)
    assert "did you mean 'small'" in failed.message
    assert (await Step(LlmHandler).fails({"model": "small", "prompt": "?"})).code == "LLM_MODEL_UNKNOWN"


async def test_a_step_that_asks_nothing_fails():
    step = Step(LlmHandler(models={"small": Scripted(ChatAnswer("", ""))}))
    assert (await step.fails({"model": "small"})).code == "LLM_NO_PROMPT"


@pytest.mark.parametrize(
    "config",
    [
        {"prompt": "a", "messages": []},
        {"schema": {"type": "nonsense"}},
        {"messages": [{"role": "system", "content": "a"}]},
        {"temperature": 3},
        {"max_tokens": 0},
        {"unknown": 1},
    ],
)
async def test_a_config_that_cannot_be_meant_is_refused(config):
    assert (await Step(LlmHandler).fails({"model": "small", **config})).code == "INPUT_VALIDATION_FAILED"


def test_it_registers_with_its_schema():
    (described,) = Handlers([LlmHandler]).manifest()["handlers"]
    assert (described["type"], described["category"]) == ("llm", "ai")
    assert {"model", "schema", "max_tokens"} <= described["config_schema"]["properties"].keys()
