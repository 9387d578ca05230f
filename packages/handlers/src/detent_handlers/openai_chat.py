"""Models behind the API that OpenAI began and many speak: `POST …/chat/completions`."""

from typing import Literal, Unpack

from pydantic_core import from_json

from detent.json_values import JsonObject, JsonValue
from detent_handlers.chat import END, FILTER, LENGTH, REFUSAL, ChatAnswer, ChatRequest
from detent_handlers.chat_server import (
    ChatServer,
    ServerOptions,
    as_object,
    from_object,
    unreadable,
    usage_of,
    without_nothing,
)

_REASONS = {"stop": END, "length": LENGTH, "content_filter": FILTER}


class OpenAiChat:
    """A `ChatModel` behind an OpenAI-compatible endpoint: OpenAI, vLLM, Ollama, Mistral and others.

    `base_url` ends before `/chat/completions`: `https://api.openai.com/v1`. `api_key` may be `None` for a server that wants
    none. `model` is the server's name for it; what the step says goes there where it is not given. `tokens_field` is the
    word for the longest answer, `max_completion_tokens` for OpenAI's reasoning models. `strict=True` makes the server hold to the
    schema, which must then be one of those it can hold to. `options` are `ServerOptions`. Raises `InvalidValue`.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        model: str | None = None,
        tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        strict: bool = False,
        **options: Unpack[ServerOptions],
    ) -> None:
        headers = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        url = base_url.rstrip("/") + "/chat/completions"
        self._server = ChatServer(url, headers, hidden=() if api_key is None else (api_key,), options=options)
        self._model = model
        self._tokens_field = tokens_field
        self._strict = strict

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._server.origin}>"

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        answered = await self._server.ask(self._asked(request), request)
        try:
            return _answer(answered, request)
        except (LookupError, TypeError, AttributeError):
            raise unreadable(self._server.origin) from None

    def _asked(self, request: ChatRequest) -> JsonObject:
        system = [] if request.system is None else [{"role": "system", "content": request.system}]
        return without_nothing(
            {
                "model": self._model or request.model,
                "messages": [*system, *({"role": one.role, "content": one.content} for one in request.messages)],
                "temperature": request.temperature,
                self._tokens_field: request.max_tokens,
                "response_format": self._format(request.schema),
                "stream": False,
            }
        )

    def _format(self, schema: JsonObject | None) -> JsonObject | None:
        if schema is None:
            return None
        written: JsonObject = {"name": "answer", "schema": as_object(schema), "strict": self._strict}
        return {"type": "json_schema", "json_schema": written}


def _answer(answered: JsonObject, request: ChatRequest) -> ChatAnswer:
    choice = answered["choices"][0]
    message = choice["message"]
    refusal = message.get("refusal")
    text = refusal or message.get("content") or ""
    reason = choice.get("finish_reason") or END
    return ChatAnswer(
        text=str(text),
        model=str(answered.get("model", "")),
        usage=usage_of(answered.get("usage"), "prompt_tokens", "completion_tokens"),
        stop_reason=REFUSAL if refusal else _REASONS.get(reason, str(reason)),
        data=None if request.schema is None else _data(str(text), request.schema),
    )


def _data(text: str, schema: JsonObject) -> JsonValue:
    try:
        return from_object(schema, from_json(text, allow_inf_nan=False))
    except ValueError:
        return None
