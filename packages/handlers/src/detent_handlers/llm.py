"""A step that asks a language model."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import from_json

from detent.definition.conformance import jsonschema, referencing, schema_fault
from detent.definition.part import JsonObjectField
from detent.definition.shape import fault
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, failure, success
from detent.json_values import JsonObject
from detent.problems import did_you_mean
from detent_handlers.call_config import CallInput, CallTime
from detent_handlers.call_failures import CALL_ERRORS, call_failure, excerpt
from detent_handlers.call_key import call_key
from detent_handlers.chat import FILTER, LENGTH, REFUSAL, ChatAnswer, ChatFailed, ChatMessage, ChatModel, ChatRequest
from detent_handlers.config import HandlerConfig

OUTPUT_INVALID = "LLM_OUTPUT_INVALID"

_MOST_PROBLEMS = 20
_STOPPED = {
    LENGTH: ("LLM_TRUNCATED", "the answer is longer than max_tokens"),
    REFUSAL: ("LLM_REFUSED", "the model refused to answer"),
    FILTER: ("LLM_FILTERED", "the answer was held back by a filter"),
}


class LlmMessage(HandlerConfig):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class LlmInput(CallInput):
    """What may come with the step's input, and wins over the config; a text is the prompt."""

    prompt: str | None = None
    messages: tuple[LlmMessage, ...] | None = None
    system: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_alone(cls, written: object) -> object:
        return {"prompt": written} if isinstance(written, str) else written


class LlmConfig(HandlerConfig):
    """What is asked, and how the answer is to look."""

    model: str
    """One of the models that the application gave the handler."""
    prompt: str | None = None
    """What is asked, in one message."""
    messages: tuple[LlmMessage, ...] | None = None
    """What was said so far, the question last; instead of `prompt`."""
    system: str | None = None
    """What the model is told about its part."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    """How long the answer may be."""
    answer_schema: JsonObjectField | None = Field(default=None, alias="schema")
    """The JSON Schema that the answer must follow; it is free text where there is none."""
    timeout: CallTime = timedelta(minutes=2)
    longest_wait: CallTime = timedelta(hours=1)
    """How long a `Retry-After` may make the step wait."""

    @field_validator("answer_schema")
    @classmethod
    def _is_schema(cls, schema: JsonObject | None) -> JsonObject | None:
        wrong = None if schema is None else schema_fault(schema)
        if wrong is not None:
            raise fault("bad_schema", f"is no JSON Schema: {wrong}")
        return schema

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if self.prompt is not None and self.messages is not None:
            raise fault("too_many", "prompt and messages say the same: write one of them")
        return self


def _needs_input(config: JsonObject) -> str | None:
    said = config.get("prompt") or config.get("messages")
    return None if said else "a prompt, in its config or as its input"


@handler("llm", name="Language model", category="ai", targets=False, needs_input=_needs_input)
class LlmHandler:
    """Asks a language model; its output is the text, the data where a schema is given, and the tokens it took.

    The output is `{text, data, usage: {input_tokens, output_tokens}, model, stop_reason}`. `prompt`, `messages` and `system` may
    come with the input. Failures that another attempt may mend are `LLM_RATE_LIMITED` and `LLM_UNAVAILABLE`, which wait as
    the server's `Retry-After` says, `LLM_OUTPUT_INVALID` for an answer that breaks its schema, `LLM_ANSWER_UNREADABLE`,
    `HTTP_UNREACHABLE` and `TIMEOUT`. The others are `LLM_REJECTED`, `LLM_REFUSED`, `LLM_FILTERED`, `LLM_TRUNCATED`,
    `LLM_NO_PROMPT`, `LLM_MODEL_UNKNOWN` and `SCHEMA_SUPPORT_MISSING`. What was used up for an answer that failed stands in the
    failure's details.

    `models` are those that steps may name.
    """

    def __init__(self, *, models: Mapping[str, ChatModel] | None = None) -> None:
        self._models = dict(models or {})

    async def __call__(self, ctx: HandlerContext, config: LlmConfig, input: LlmInput) -> Result:
        model = self._models.get(config.model)
        if model is None:
            hint = did_you_mean(config.model, self._models) or "the handler was given no models"
            said = f"the handler knows no model {config.model!r} ({hint})"
            return failure("LLM_MODEL_UNKNOWN", said, retryable=False)
        if config.answer_schema is not None and jsonschema is None:
            return failure("SCHEMA_SUPPORT_MISSING", "install detent[schema] to use a schema", retryable=False)
        messages = _messages(config, input)
        if not messages:
            return failure("LLM_NO_PROMPT", "neither config nor input say what is asked", retryable=False)
        try:
            answer = await model.complete(_request(ctx, config, input, messages))
        except ChatFailed as error:
            return error.failed
        except CALL_ERRORS as error:
            return call_failure(error)
        return _judged(answer, config.answer_schema)


def _messages(config: LlmConfig, given: LlmInput) -> tuple[ChatMessage, ...]:
    source: LlmInput | LlmConfig = config if given.prompt is None and given.messages is None else given
    said = tuple(ChatMessage(one.role, one.content) for one in source.messages or ())
    return said if source.prompt is None else (*said, ChatMessage("user", source.prompt))


def _request(ctx: HandlerContext, config: LlmConfig, given: LlmInput, messages: tuple[ChatMessage, ...]) -> ChatRequest:
    return ChatRequest(
        model=config.model,
        messages=messages,
        system=config.system if given.system is None else given.system,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        schema=config.answer_schema,
        key=call_key(ctx),
        timeout=config.timeout,
        longest_wait=config.longest_wait,
    )


def _judged(answer: ChatAnswer, schema: JsonObject | None) -> Result:
    stopped = _STOPPED.get(answer.stop_reason)
    if stopped is not None:
        code, said = stopped
        return failure(code, said, _details(answer), retryable=False)
    if schema is not None:
        problems = list(islice(_problems(answer, schema), _MOST_PROBLEMS))
        if problems:
            return _invalid(answer, problems)
    return success(
        {
            "text": answer.text,
            "data": answer.data,
            "usage": asdict(answer.usage),
            "model": answer.model,
            "stop_reason": answer.stop_reason,
        }
    )


def _invalid(answer: ChatAnswer, problems: list[JsonObject]) -> Failure:
    said = f"the answer breaks its schema: {problems[0]['message']}"
    return failure(OUTPUT_INVALID, said, {**_details(answer), "problems": problems})


def _problems(answer: ChatAnswer, schema: JsonObject) -> Iterator[JsonObject]:
    """What is wrong with the data. References to other documents are never followed."""
    if answer.data is None and not _is_json(answer.text):
        yield {"path": "", "message": "it is not JSON"}
        return
    validator: Any = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
    try:
        for error in validator.iter_errors(answer.data):
            path = ".".join(map(str, error.absolute_path))
            yield {"path": path, "message": excerpt(error.message)}
    except (referencing.exceptions.Unresolvable, RecursionError):
        yield {"path": "", "message": "its schema refers to what cannot be found"}


def _is_json(text: str) -> bool:
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return False
    return True


def _details(answer: ChatAnswer) -> JsonObject:
    return {"text": excerpt(answer.text), "usage": asdict(answer.usage), "model": answer.model}
