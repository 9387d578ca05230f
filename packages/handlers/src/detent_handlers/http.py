"""A step that calls a URL."""

import asyncio
import codecs
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlencode

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import from_json, to_json

from detent.definition.selectors import DotPath, look_up
from detent.definition.shape import fault
from detent.errors import InvalidValue
from detent.flows.context import HandlerContext
from detent.flows.handler import handler
from detent.flows.results import Failure, Result, failure, success
from detent.json_values import JsonObject
from detent_handlers.address_rules import PUBLIC_ONLY, AddressRules
from detent_handlers.addresses import Resolver, resolve
from detent_handlers.call_config import CallInput, CallTime, HeaderValue, SecretName, Secrets, callable_url, sendable
from detent_handlers.call_failures import (
    CALL_ERRORS,
    INVALID_URL,
    call_failure,
    status_failure,
    too_large,
    unknown_secret,
)
from detent_handlers.call_key import call_key
from detent_handlers.config import HandlerConfig
from detent_handlers.endpoint import read_endpoint
from detent_handlers.safe_client import SafeAnswer, SafeClient, SafeRequest, checked_headers

REDIRECTS = 5
"""How many redirects are followed where a step does not say."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
_METHOD = re.compile(r"[A-Z]{1,20}")
_CLASS = re.compile(r"[1-5]xx")
_SECRET_NAME = re.compile(r"auth|cookie|key|passw|secret|session|signature|token", re.IGNORECASE)
_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE)


def _method(written: object) -> object:
    if not isinstance(written, str):
        return written
    method = written.upper()
    if not _METHOD.fullmatch(method) or method in _REFUSED_METHODS:
        raise fault("unknown_value", "is no method that can be used", hint="write GET, POST, PUT, PATCH or DELETE")
    return method


def _redirects(written: object) -> object:
    return {True: REDIRECTS, False: 0}[written] if isinstance(written, bool) else written


def _expected(written: object) -> object:
    if isinstance(written, str) and not _CLASS.fullmatch(written):
        raise fault("unknown_value", "is no status", hint='write a number such as 404, or a class such as "4xx"')
    return written


Query = dict[str, str | int | float | bool | list[str | int | float | bool] | None]
Status = Annotated[int | str, BeforeValidator(_expected)]


class HttpInput(CallInput):
    """What of a request may come with the step's input; it wins over the config."""

    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    """Added to those of the config."""
    query: Query = Field(default_factory=dict)
    """Added to that of the config."""
    json_body: JsonValue = Field(default=None, alias="json")
    """Replaces the body of the config, as `text` does."""
    text: str | None = None


class HttpConfig(HandlerConfig):
    """What is asked, and what is made of the answer."""

    url: Annotated[str, AfterValidator(callable_url)] | None = None
    """`https://…` or `http://…`, without a user name; here or in the input."""
    method: Annotated[str, BeforeValidator(_method)] = "GET"
    """Any but `CONNECT` and `TRACE`."""
    headers: Annotated[dict[str, HeaderValue], AfterValidator(sendable)] = Field(default_factory=dict)
    """Texts, or `{"secret": "name", "prefix": "Bearer "}`."""
    query: Query = Field(default_factory=dict)
    """Added to that of the URL; a list is said several times, `null` not at all."""
    json_body: JsonValue = Field(default=None, alias="json")
    """A body in JSON."""
    text: str | None = None
    """A body as it is, in UTF-8."""
    body: JsonValue = None
    """FlowMonkey's word: a text as it is, anything else in JSON."""
    timeout: CallTime = timedelta(seconds=30)
    """For all of it, redirects included."""
    follow_redirects: Annotated[int, BeforeValidator(_redirects)] = Field(default=REDIRECTS, ge=0, le=10)
    """How many; `true` is 5, `false` none."""
    max_bytes: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """How long the answer may be."""
    expect: tuple[Status, ...] = ("2xx",)
    """Which statuses are a success: numbers, and classes such as `"4xx"`."""
    response: Literal["json", "text", "auto"] = "auto"
    """What the answer's body is read as; `auto` goes by its content type."""
    pick: dict[str, DotPath] | None = None
    """The output, as paths into `{status, headers, body}`; all of it where nothing is said."""
    idempotency_header: str | None = "Idempotency-Key"
    """Which header carries the step's key, except with `GET`, `HEAD` and `OPTIONS`; `null` for none."""
    longest_wait: CallTime = timedelta(hours=1)
    """How long a `Retry-After` may make the step wait."""
    allow_private: bool = False
    """Whether addresses inside a private network may be called."""
    allow: tuple[str, ...] = ()
    """Hosts, addresses and networks that may be called though they are not public."""
    deny: tuple[str, ...] = ()
    """Hosts, addresses and networks that may not be called."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if len(self.model_fields_set & {"json_body", "text", "body"}) > 1:
            raise fault("too_many", "json, text and body say the same: write one of them")
        try:
            AddressRules(allow=self.allow, deny=self.deny)
        except InvalidValue as error:
            raise fault("bad_address", str(error)) from None
        return self


def _needs_input(config: JsonObject) -> str | None:
    return None if config.get("url") is not None else "a url, in its config or its input"


@handler("http", name="HTTP request", category="external", targets=False, needs_input=_needs_input)
class HttpHandler:
    """Calls a URL; its output is the answer's status, headers, body and the milliseconds it took.

    `url`, `headers`, `query`, `json` and `text` may come with the input and win over the config. A status that is not expected is
    the failure `HTTP_ERROR`, which is repeated after 408, 425, 429 and 5xx, when the answer's `Retry-After` says. The others are
    `HTTP_UNREACHABLE` and `TIMEOUT`, which are repeated, and `ADDRESS_REFUSED`, `INVALID_URL`, `INVALID_HEADER`,
    `TOO_MANY_REDIRECTS`, `ANSWER_TOO_LARGE`, `ANSWER_NOT_JSON`, `UNKNOWN_SECRET` and `SECRET_NOT_SENT`, which are not.

    `secrets` are texts that headers may name; one goes only to the origin of the URL that stands in the config. `rules` say which
    hosts may be called, and with `trust_steps` a step's config may open more of them: turn it off where flows are written by
    others. `tls`, `resolve` and `connect_timeout` are those of `SafeClient`.
    """

    def __init__(
        self,
        *,
        secrets: Mapping[str, str] | None = None,
        rules: AddressRules = PUBLIC_ONLY,
        trust_steps: bool = True,
        connect_timeout: timedelta | str = "5s",
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
    ) -> None:
        self._secrets = Secrets(secrets)
        self._rules = rules
        self._trust_steps = trust_steps
        self._client = SafeClient(allow_http=True, connect_timeout=connect_timeout, tls=tls, resolve=resolve)

    async def __call__(self, ctx: HandlerContext, config: HttpConfig, input: HttpInput) -> Result:
        if (config.allow_private or config.allow) and not self._trust_steps:
            return failure("ADDRESS_REFUSED", "a step may not say what may be called here", retryable=False)
        if not input.url and config.url is None:
            return failure(INVALID_URL, "no url is given, neither in the config nor in the input", retryable=False)
        secret = self._secret_headers(config, input)
        if isinstance(secret, Failure):
            return secret
        try:
            request = self._request(ctx, config, input, secret)
            loop = asyncio.get_running_loop()
            began = loop.time()
            answer = await self._client.request(request)
            took = round((loop.time() - began) * 1000)
        except CALL_ERRORS as error:
            return call_failure(error)
        if not _is_expected(answer.status, config.expect):
            hidden = _hidden(request, secret)
            return status_failure(answer, ctx.now, config.longest_wait, hidden, asked=answer.asked)
        if answer.cut:
            return too_large(answer.origin, config.max_bytes)
        return _told(answer, config, took)

    def _secret_headers(self, config: HttpConfig, given: HttpInput) -> dict[str, str] | Failure:
        """The headers that hold secrets, by name in lower case."""
        found: dict[str, str] = {}
        for name, value in config.headers.items():
            if isinstance(value, SecretName):
                secret = self._secrets.get(value.secret)
                if secret is None:
                    return unknown_secret(value.secret)
                found[name.lower()] = value.prefix + secret
        if found and given.url is not None and not _same_origin(given.url, config.url):
            said = "a secret goes only to the origin of the url in the config"
            return failure("SECRET_NOT_SENT", said, retryable=False)
        return found

    def _request(
        self, ctx: HandlerContext, config: HttpConfig, given: HttpInput, secret: dict[str, str]
    ) -> SafeRequest:
        """Raises `InvalidValue`."""
        content_type, body = _body(config, given)
        headers = {"content-type": content_type} if content_type else {}
        if config.idempotency_header and config.method not in _SAFE:
            headers |= checked_headers({config.idempotency_header: call_key(ctx)})
        headers |= checked_headers({name: value for name, value in config.headers.items() if isinstance(value, str)})
        headers |= secret | checked_headers(given.headers)
        return SafeRequest(
            config.method,
            _with_query(given.url or config.url or "", {**config.query, **given.query}),
            headers,
            body,
            timeout=config.timeout,
            max_bytes=config.max_bytes,
            redirects=config.follow_redirects,
            rules=self._rules.extended(allow_private=config.allow_private, allow=config.allow, deny=config.deny),
            confidential=frozenset(secret) | {name for name in headers if _SECRET_NAME.search(name)},
        )


def _body(config: HttpConfig, given: HttpInput) -> tuple[str | None, bytes | None]:
    """The content type and the body; the input's, where it has one."""
    source: HttpInput | HttpConfig = given if {"json_body", "text"} & given.model_fields_set else config
    if source.text is not None:
        return "text/plain; charset=utf-8", source.text.encode()
    if "json_body" in source.model_fields_set:
        return "application/json", to_json(source.json_body)
    if isinstance(source, HttpConfig) and "body" in source.model_fields_set:
        text = isinstance(source.body, str)
        return (None, str(source.body).encode()) if text else ("application/json", to_json(source.body))
    return None, None


def _with_query(url: str, query: Query) -> str:
    """`url` with more of a query; what it has stays as it is written. Raises `InvalidValue`."""
    read_endpoint(url, allow_http=True)
    pairs = [
        (name, _query_text(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
    if not pairs:
        return url
    read = httpx.URL(url)
    added = urlencode(pairs).encode()
    try:
        return str(read.copy_with(query=read.query + b"&" + added if read.query else added))
    except httpx.InvalidURL:
        raise InvalidValue("url", "is too long with its query") from None


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same_origin(one: str, other: str | None) -> bool:
    try:
        ours, theirs = read_endpoint(one, allow_http=True), read_endpoint(other or "", allow_http=True)
    except InvalidValue:
        return False
    return (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)


def _is_expected(status: int, expected: tuple[int | str, ...]) -> bool:
    return status in expected or f"{status // 100}xx" in expected


def _hidden(request: SafeRequest, secret: dict[str, str]) -> list[str]:
    return [*secret.values(), *(value for name, value in request.headers.items() if name in request.confidential)]


def _told(answer: SafeAnswer, config: HttpConfig, took: int) -> Result:
    try:
        body = _read_body(answer, config.response)
    except ValueError:
        said = f"the answer of {answer.origin} is not JSON"
        return failure("ANSWER_NOT_JSON", said, {"status": answer.status}, retryable=False)
    output: JsonObject = {"status": answer.status, "headers": dict(answer.headers), "body": body}
    if config.pick is not None:
        return success({name: look_up(output, path) for name, path in config.pick.items()})
    return success({**output, "duration_ms": took})


def _read_body(answer: SafeAnswer, wanted: str) -> JsonValue:
    """The body as it is wanted; `None` for none. Raises `ValueError` where it is not JSON and must be."""
    if not answer.body:
        return None
    kind = answer.headers.get("content-type", "")
    named = kind.partition(";")[0].strip().lower()
    if wanted == "json":
        return _json(answer.body)
    if wanted == "auto" and (named == "application/json" or named.endswith("+json")):
        try:
            return _json(answer.body)
        except ValueError:
            return _text(answer.body, kind)
    return _text(answer.body, kind)


def _json(body: bytes) -> JsonValue:
    read: JsonValue = from_json(body, allow_inf_nan=False)
    return read


def _text(body: bytes, kind: str) -> str:
    """The text, with a mark in place of what is none: NUL characters, which no database takes, among it."""
    charset = _CHARSET.search(kind)
    try:
        codec = codecs.lookup(charset[1] if charset else "utf-8").name
    except LookupError:
        codec = "utf-8"
    return body.decode(codec, errors="replace").replace("\0", "\ufffd")


http_request = HttpHandler()
"""The handler for those who have nothing to say about it: no secrets, and public addresses unless a step's config opens more."""
