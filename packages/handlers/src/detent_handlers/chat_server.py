"""Who serves language models over HTTP: one request, one answer in JSON."""

import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from pydantic_core import from_json, to_json

from detent.clock import Clock, SystemClock
from detent.flows.results import Failure, failure
from detent.json_values import JsonObject, JsonValue
from detent_handlers.address_rules import AddressRules
from detent_handlers.addresses import Resolver, resolve
from detent_handlers.answers import may_help
from detent_handlers.call_failures import status_failure, too_large
from detent_handlers.chat import ChatFailed, ChatRequest, Usage
from detent_handlers.endpoint import read_endpoint
from detent_handlers.safe_client import SafeAnswer, SafeClient, SafeRequest, checked_headers

_ANSWER_LIMIT = 10_000_000
_OVERLOADED = (429, 529)


class ServerOptions(TypedDict, total=False):
    """How a server of models is called. A model on this machine needs both `allow_private` and `allow_http`."""

    allow_private: bool
    """Whether the server may be inside a private network."""
    allow_http: bool
    """Whether it is called in clear text."""
    connect_timeout: timedelta | str
    """For one connection, within the timeout of the step; 5 seconds."""
    tls: ssl.SSLContext
    """Other certificates than the usual ones."""
    resolve: Resolver
    """In place of the operating system's resolver."""
    clock: Clock


class ChatServer:
    """One server of models. Showing it does not show its key. Raises `InvalidValue`."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        hidden: tuple[str, ...],
        options: ServerOptions,
    ) -> None:
        allow_http = options.get("allow_http", False)
        self._origin = read_endpoint(url, allow_http=allow_http).origin
        self._url = url
        self._headers = {"content-type": "application/json", **checked_headers(headers)}
        self._hidden = hidden
        self._clock = options.get("clock") or SystemClock()
        self._client = SafeClient(
            rules=AddressRules(allow_private=options.get("allow_private", False)),
            allow_http=allow_http,
            connect_timeout=options.get("connect_timeout", "5s"),
            tls=options.get("tls"),
            resolve=options.get("resolve", resolve),
        )

    @property
    def origin(self) -> str:
        """What may be told of it: `https://api.example.com`."""
        return self._origin

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._origin}>"

    async def ask(self, asked: JsonObject, request: ChatRequest) -> JsonObject:
        """What the server answers to `asked`. Raises `ChatFailed`, and what `SafeClient.request` raises."""
        headers = self._headers if request.key is None else {**self._headers, "idempotency-key": request.key}
        answer = await self._client.request(
            SafeRequest("POST", self._url, headers, to_json(asked), timeout=request.timeout, max_bytes=_ANSWER_LIMIT)
        )
        if not 200 <= answer.status < 300:
            raise ChatFailed(self._refused(answer, self._clock.now(), request.longest_wait))
        if answer.cut:
            raise ChatFailed(too_large(answer.origin, _ANSWER_LIMIT))
        return _read(answer)

    def _refused(self, answer: SafeAnswer, now: datetime, longest_wait: timedelta) -> Failure:
        if answer.status in _OVERLOADED:
            code = "LLM_RATE_LIMITED"
        else:
            code = "LLM_UNAVAILABLE" if may_help(answer.status) else "LLM_REJECTED"
        return status_failure(answer, now, longest_wait, self._hidden, code=code)


def unreadable(origin: str) -> ChatFailed:
    """The failure for an answer of another shape than the one that is spoken here."""
    return ChatFailed(failure("LLM_ANSWER_UNREADABLE", f"{origin} answered something that is no answer of a model"))


def usage_of(read: JsonValue, input_name: str, output_name: str) -> Usage:
    """The tokens that an answer counts; none where it does not say."""
    counted = read if isinstance(read, dict) else {}
    return Usage(_count(counted.get(input_name)), _count(counted.get(output_name)))


def as_object(schema: JsonObject) -> JsonObject:
    """`schema`, or an object around it: what servers take as the schema of an answer is an object's."""
    if _is_object(schema):
        return schema
    inside = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema")}
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return shared | {
        "type": "object",
        "properties": {"answer": inside},
        "required": ["answer"],
        "additionalProperties": False,
    }


def from_object(schema: JsonObject, data: JsonValue) -> JsonValue:
    """The answer inside `data`, where `as_object` put an object around its schema."""
    return data["answer"] if not _is_object(schema) and isinstance(data, dict) and data.keys() == {"answer"} else data


def without_nothing(asked: JsonObject) -> JsonObject:
    """`asked` without what is `None`: servers have defaults of their own."""
    return {key: value for key, value in asked.items() if value is not None}


def _is_object(schema: JsonObject) -> bool:
    return schema.get("type") == "object"


def _read(answer: SafeAnswer) -> JsonObject:
    try:
        read: Any = from_json(answer.body, allow_inf_nan=False)
    except ValueError:
        raise unreadable(answer.origin) from None
    if not isinstance(read, dict):
        raise unreadable(answer.origin)
    return read


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
