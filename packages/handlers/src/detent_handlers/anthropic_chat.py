"""Models behind Anthropic's API: `POST …/v1/messages`."""

from typing import Unpack

from pydantic_core import to_json

from detent.json_values import JsonObject
from detent_handlers.chat import END, LENGTH, REFUSAL, ChatAnswer, ChatRequest
from detent_handlers.chat_server import (
    ChatServer,
    ServerOptions,
    as_object,
    from_object,
    unreadable,
    usage_of,
    without_nothing,
)

VERSION = "2023-06-01"
"""The version of the API that is spoken here."""

_REASONS = {"end_turn": END, "stop_sequence": END, "tool_use": END, "max_tokens": LENGTH, "refusal": REFUSAL}
_TOOL = "answer"


class AnthropicChat:
    """A `ChatModel` behind Anthropic's messages API.

    An answer that follows a schema is asked for as the call of a tool, which the model is made to use. `model` is Anthropic's
    name for it; what the step says goes there where it is not given. `max_tokens` bounds the answers of steps that do not say,
    because the API wants to be told. `options` are `ServerOptions`. Raises `InvalidValue`.
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "https://api.anthropic.com",
        model: str | None = None,
        max_tokens: int = 4096,
        version: str = VERSION,
        **options: Unpack[ServerOptions],
    ) -> None:
        headers = {"x-api-key": api_key, "anthropic-version": version}
        self._server = ChatServer(base_url.rstrip("/") + "/v1/messages", headers, hidden=(api_key,), options=options)
        self._model = model
        self._max_tokens = max_tokens

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._server.origin}>"

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        answered = await self._server.ask(self._asked(request), request)
        try:
            return _answer(answered, request)
        except (LookupError, TypeError, AttributeError):
            raise unreadable(self._server.origin) from None

    def _asked(self, request: ChatRequest) -> JsonObject:
        tool = None if request.schema is None else _tool(request.schema)
        return without_nothing(
            {
                "model": self._model or request.model,
                "max_tokens": request.max_tokens or self._max_tokens,
                "messages": [{"role": one.role, "content": one.content} for one in request.messages],
                "system": request.system,
                "temperature": request.temperature,
                "tools": tool and [tool],
                "tool_choice": tool and {"type": "tool", "name": _TOOL},
                "stream": False,
            }
        )


def _tool(schema: JsonObject) -> JsonObject:
    return {"name": _TOOL, "description": "Gives the answer.", "input_schema": as_object(schema)}


def _answer(answered: JsonObject, request: ChatRequest) -> ChatAnswer:
    blocks = answered["content"]
    reason = str(answered.get("stop_reason") or END)
    used = [block["input"] for block in blocks if block["type"] == "tool_use" and block["name"] == _TOOL]
    words = "".join(block["text"] for block in blocks if block["type"] == "text")
    data = None if request.schema is None or not used else from_object(request.schema, used[0])
    return ChatAnswer(
        text=to_json(data).decode() if used else words,
        model=str(answered.get("model", "")),
        usage=usage_of(answered.get("usage"), "input_tokens", "output_tokens"),
        stop_reason=_REASONS.get(reason, reason),
        data=data,
    )
