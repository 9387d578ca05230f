"""The two APIs for language models, as far as handlers speak them: they refuse what the real ones would refuse."""

import json
from dataclasses import dataclass, field
from typing import Any

from packages.handlers.tests.receiver import Request
from packages.handlers.tests.web_server import as_json

KEY = "sk-t0ken-of-the-model"


@dataclass
class OpenAi:
    """`POST /v1/chat/completions`."""

    content: str | None = "Paris."
    finish_reason: str = "stop"
    refusal: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> bytes:
        if request.line != "POST /v1/chat/completions HTTP/1.1":
            return as_json({"error": {"message": "no such route"}}, 404)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            said = f"Incorrect API key provided: {request.headers.get('authorization')}"
            return as_json({"error": {"message": said, "code": "invalid_api_key"}}, 401)
        asked = json.loads(request.body)
        self.asked.append(asked)
        wrong = self._wrong(asked)
        if wrong:
            return as_json({"error": {"message": wrong}}, 400)
        message = {"role": "assistant", "content": self.content, "refusal": self.refusal}
        return as_json(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": asked["model"] + "-2030-01-01",
                "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }
        )

    def _wrong(self, asked: dict[str, Any]) -> str | None:
        known = {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "response_format", "stream"}
        if asked.keys() - known:
            return f"unknown {asked.keys() - known}"
        if asked.get("stream") is not False or not asked["messages"]:
            return "stream or no messages"
        if any(set(one) != {"role", "content"} for one in asked["messages"]):
            return "bad message"
        wanted = asked.get("response_format")
        if wanted and (wanted["type"] != "json_schema" or set(wanted["json_schema"]) != {"name", "schema", "strict"}):
            return "bad response_format"
        if wanted and wanted["json_schema"]["schema"].get("type") != "object":
            return "the schema must be that of an object"
        return None


@dataclass
class Anthropic:
    """`POST /v1/messages`."""

    text: str | None = "Paris."
    data: Any = None
    stop_reason: str = "end_turn"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> bytes:
        if request.line != "POST /v1/messages HTTP/1.1":
            return as_json({"type": "error", "error": {"type": "not_found_error"}}, 404)
        if request.headers.get("x-api-key") != KEY or request.headers.get("anthropic-version") != "2023-06-01":
            return as_json({"type": "error", "error": {"type": "authentication_error"}}, 401)
        asked = json.loads(request.body)
        self.asked.append(asked)
        wrong = self._wrong(asked)
        if wrong:
            return as_json({"type": "error", "error": {"type": "invalid_request_error", "message": wrong}}, 400)
        content: list[dict[str, Any]] = [] if self.text is None else [{"type": "text", "text": self.text}]
        if self.data is not None:
            content.append({"type": "tool_use", "id": "toolu_1", "name": "answer", "input": self.data})
        return as_json(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": asked["model"] + "-20300101",
                "content": content,
                "stop_reason": self.stop_reason,
                "usage": {"input_tokens": 13, "output_tokens": 5},
            }
        )

    def _wrong(self, asked: dict[str, Any]) -> str | None:
        known = {"model", "messages", "max_tokens", "system", "temperature", "tools", "tool_choice", "stream"}
        if asked.keys() - known or not isinstance(asked.get("max_tokens"), int):
            return f"max_tokens, or unknown {asked.keys() - known}"
        if any(one["role"] not in ("user", "assistant") for one in asked["messages"]):
            return "bad role"
        if "tools" not in asked:
            return None
        (tool,) = asked["tools"]
        if tool["input_schema"].get("type") != "object":
            return "the schema must be that of an object"
        return None if asked["tool_choice"] == {"type": "tool", "name": tool["name"]} else "bad tool_choice"
