"""The one way out: requests that go only to addresses that were checked, and end in time and within a size."""

import asyncio
import re
import ssl
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx

from detent.definition.duration import duration_argument
from detent.errors import InvalidValue
from detent_handlers.address_rules import PUBLIC_ONLY, AddressRules
from detent_handlers.addresses import Resolver, resolve
from detent_handlers.endpoint import Endpoint, read_endpoint
from detent_handlers.errors import TookTooLong, TooManyRedirects, Unreachable

_HEADERS = {"user-agent": "detent-handlers", "accept-encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_BODY = frozenset({"content-type", "content-encoding", "content-language", "content-location"})
_OF_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization"})
_OWN = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_LOCATION = "detent_location"
# zlib's way to say: gzip or zlib, whichever the first bytes tell.
_EITHER = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class SafeRequest:
    """What is asked. Showing it shows neither the path of the URL, nor headers, nor the body."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=30)
    """For all of it: every name, every redirect, and the answer to its end."""
    max_bytes: int = 1_000_000
    """How many bytes of the answer's body are read."""
    redirects: int = 0
    """How many redirects are followed; without any a redirect is an answer like others."""
    rules: AddressRules | None = None
    """Which hosts may be called; the client's own rules where nothing is said."""
    confidential: frozenset[str] = frozenset()
    """Headers, in lower case, that no other origin gets, besides `Authorization` and `Cookie`."""


@dataclass(frozen=True, slots=True)
class SafeAnswer:
    """What came."""

    origin: str
    """Who answered in the end: scheme, host and port."""
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By name in lower case; one that came several times is joined by commas."""
    body: bytes = field(repr=False)
    """Unzipped."""
    cut: bool = False
    """Whether there was more of the body than was read."""
    asked: str = field(default="", repr=False)
    """What was asked there in the end: the method and the path, without the query."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of those that redirects make of the first."""

    method: str
    url: httpx.URL = field(repr=False)
    endpoint: Endpoint
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @classmethod
    def first(cls, request: SafeRequest, *, allow_http: bool) -> Self:
        """The request as it was asked for. Raises `InvalidValue`."""
        endpoint = read_endpoint(request.url, allow_http=allow_http)
        headers = checked_headers(request.headers)
        return cls(request.method, httpx.URL(request.url), endpoint, headers, request.body)

    def onward(self, status: int, location: str, confidential: frozenset[str]) -> "Hop":
        """The request that a redirect asks for; what was meant for one origin alone goes to no other. Raises `InvalidValue`.

        What began as `https` stays so.
        """
        try:
            url = self.url.join(location)
        except httpx.InvalidURL:
            raise InvalidValue("the redirect's url", "is not a URL") from None
        try:
            endpoint = read_endpoint(str(url), allow_http=self.endpoint.scheme == "http")
        except InvalidValue as error:
            raise InvalidValue("the redirect's url", error.reason) from None
        bare = self.method != "HEAD" and (status == 303 or (status in (301, 302) and self.method == "POST"))
        left_out = _OF_BODY if bare else frozenset()
        if endpoint.origin != self.endpoint.origin:
            left_out = left_out | _OF_ORIGIN | confidential
        headers = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
        return Hop("GET" if bare else self.method, url, endpoint, headers, None if bare else self.body)


class SafeClient:
    """Sends requests to addresses that were checked.

    A name is resolved once for each request, every address of it is checked by `rules`, and the connection goes to one of
    those, while certificate and `Host` stay the name's. Redirects are followed here, and each is a request that is checked
    anew. What the environment says of proxies and certificates is not heeded, and cookies are forgotten.

    `tls` brings other certificates than the usual ones, `resolve` replaces the operating system's resolver. Connections are used
    once; `keep=True` keeps them, which is for those who call one host alone, and then `aclose()` closes them.
    """

    def __init__(
        self,
        *,
        rules: AddressRules = PUBLIC_ONLY,
        allow_http: bool = False,
        connect_timeout: timedelta | str = "5s",
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
        keep: bool = False,
    ) -> None:
        self._rules = rules
        self._allow_http = allow_http
        self._connect_timeout = duration_argument(connect_timeout, "connect_timeout", least=timedelta(microseconds=1))
        self._tls = tls
        self._resolve = resolve
        self._keep = keep
        self._client: httpx.AsyncClient | None = None

    async def request(self, request: SafeRequest) -> SafeAnswer:
        """The answer, whatever its status is.

        Raises `InvalidValue` for a URL or a header that cannot be used, `AddressRefused`, `Unreachable`, `TookTooLong` and
        `TooManyRedirects`.
        """
        hop = Hop.first(request, allow_http=self._allow_http)
        try:
            async with asyncio.timeout(request.timeout.total_seconds()):
                return await self._followed(hop, request)
        except TimeoutError as error:
            raise TookTooLong(hop.endpoint.origin, request.timeout) from error

    async def open(
        self,
        method: str,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        rules: AddressRules | None = None,
    ) -> httpx.Response:
        """The head of an answer, to be read and closed: one request without redirects, and without a limit but for connecting.

        Raises `AddressRefused`, `Unreachable`, and `TimeoutError` of a resolver that gave up.
        """
        *others, last = await self._addresses(endpoint, rules or self._rules)
        try:
            for address in others:
                with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                    return await self._send(method, endpoint, address, headers, body)
            return await self._send(method, endpoint, last, headers, body)
        except httpx.TransportError as error:
            raise Unreachable(endpoint.origin, _reason(error)) from error

    async def aclose(self) -> None:
        """Close the connections that are kept. A request after that opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _followed(self, hop: Hop, request: SafeRequest) -> SafeAnswer:
        for _ in range(request.redirects + 1):
            response = await self.open(hop.method, hop.endpoint, hop.headers, hop.body, rules=request.rules)
            location = response.extensions.get(_LOCATION) if response.status_code in _REDIRECTS else None
            if location is None or not request.redirects:
                answer = await _read(response, hop.endpoint.origin, request.max_bytes)
                return replace(answer, asked=f"{hop.method} {hop.url.path}")
            await response.aclose()
            hop = hop.onward(response.status_code, location, request.confidential)
        raise TooManyRedirects(hop.endpoint.origin, request.redirects)

    async def _addresses(self, endpoint: Endpoint, rules: AddressRules) -> tuple[str, ...]:
        rules.check_host(endpoint.host)
        try:
            found = await self._resolve(endpoint.host, endpoint.port)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            raise Unreachable(endpoint.origin, "its name was not found") from error
        if not found:
            raise Unreachable(endpoint.origin, "its name has no address")
        return tuple(rules.checked(endpoint.host, found))

    async def _send(
        self, method: str, endpoint: Endpoint, address: str, headers: Mapping[str, str], body: bytes | None
    ) -> httpx.Response:
        client = self._opened()
        request = client.build_request(
            method,
            endpoint.at(address),
            content=body,
            headers={**headers, "host": endpoint.authority},
            # The connection is to the address; certificate, host and path are those of the URL.
            extensions={"sni_hostname": endpoint.host.rstrip("."), "target": endpoint.target},
        )
        return await client.send(request, stream=True)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # A kept connection is known by its address alone, and must not serve another name at the same one. One that is used
            # once also outlives no event loop.
            once = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._client = httpx.AsyncClient(
                verify=self._tls or True,
                trust_env=False,
                follow_redirects=False,
                # The rest is bounded by the timeout of the whole.
                timeout=httpx.Timeout(None, connect=self._connect_timeout.total_seconds()),
                limits=httpx.Limits(max_connections=100, max_keepalive_connections=20) if self._keep else once,
                event_hooks={"response": [_set_location_aside]},
                headers=_HEADERS if self._keep else {**_HEADERS, "connection": "close"},
                # What is answered leaves nothing behind.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._client


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` by name in lower case, if they can be sent. Raises `InvalidValue`, which names the header and never its value."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InvalidValue("headers", "hold a name that is no name of a header")
        if name.lower() in _OWN:
            raise InvalidValue(f"headers.{name}", "belongs to the connection and cannot be given")
        if not _VALUE.fullmatch(value):
            raise InvalidValue(f"headers.{name}", "holds a line break, or a character outside ASCII")
    return {name.lower(): value.strip() for name, value in headers.items()}


async def _set_location_aside(response: httpx.Response) -> None:
    """Keep httpx from reading where a redirect leads: it does so though it follows none, and fails at what is no URL."""
    location = response.headers.pop("location", None)
    if location is not None:
        response.extensions[_LOCATION] = location


async def _read(response: httpx.Response, origin: str, limit: int) -> SafeAnswer:
    raw = bytearray()
    try:
        async for chunk in response.aiter_raw():
            raw += chunk[: limit + 1 - len(raw)]
            if len(raw) > limit:
                break
    except httpx.TransportError as error:
        raise Unreachable(origin, _reason(error)) from error
    finally:
        await response.aclose()
    body = _unzipped(bytes(raw), response.headers.get("content-encoding", ""), origin, limit)
    headers = dict(response.headers)
    if _LOCATION in response.extensions:
        headers["location"] = response.extensions[_LOCATION]
    return SafeAnswer(origin, response.status_code, headers, body[:limit], len(body) > limit or len(raw) > limit)


def _unzipped(body: bytes, encoding: str, origin: str, limit: int) -> bytes:
    """At most one byte more than `limit` of what `body` holds, however much it unfolds to."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unreachable(origin, "its answer is in an encoding that was not asked for")
    try:
        return zlib.decompressobj(_EITHER).decompress(body, limit + 1)
    except zlib.error as error:
        raise Unreachable(origin, "its answer cannot be unzipped") from error


def _reason(error: httpx.TransportError) -> str:
    # Of a broken protocol only the kind is told: the text quotes what was sent.
    return f"{type(error).__name__}: {error}" if isinstance(error, httpx.ConnectError) else type(error).__name__
