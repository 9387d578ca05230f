"""Where a webhook goes: a URL, read once and taken apart, so that each part goes only where it must."""

import re
from dataclasses import dataclass, field

import httpx

from detent.errors import InvalidValue

_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|[0-9a-f:.]+", re.IGNORECASE)
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver. What is shown of it is its origin: the path and the query of many receivers are secrets."""

    scheme: str = field(repr=False)
    host: str = field(repr=False)
    """In ASCII, an IPv6 address without its brackets."""
    port: int = field(repr=False)
    authority: str = field(repr=False)
    """The value of the `Host` header."""
    target: bytes = field(repr=False)
    """Path and query, as they are sent."""

    @property
    def origin(self) -> str:
        """What may be told of it: `https://hooks.example.com`."""
        return f"{self.scheme}://{self.authority}"

    def at(self, address: str) -> httpx.URL:
        """The URL of the connection to `address`; it knows neither path nor query, because httpx writes it to its log."""
        return httpx.URL(scheme=self.scheme, host=address, port=self.port, path="/")


def read_endpoint(url: str, *, allow_http: bool = False) -> Endpoint:
    """The receiver that `url` names.

    Raises `InvalidValue`, which never shows the URL: it must be absolute, `https` unless `allow_http`, and without a user name or
    a password.
    """
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        raise InvalidValue("url", "is not a URL") from None
    if read.scheme not in _DEFAULT_PORTS:
        allowed = "https:// or http://" if allow_http else "https://"
        why = "no other scheme is allowed" if read.scheme else "it has no scheme" if url.strip() else "it is empty"
        raise InvalidValue("url", f"does not start with {allowed}: {why}")
    if read.scheme == "http" and not allow_http:
        raise InvalidValue("url", "is not https", hint="allow_http=True sends it in clear text")
    if read.userinfo:
        raise InvalidValue("url", "holds a user name or a password", hint="a header or a signature says who sends it")
    host, port = read.raw_host.decode(), read.port or _DEFAULT_PORTS[read.scheme]
    if not _HOST.fullmatch(host) or not 0 < port < 1 << 16:
        raise InvalidValue("url", "names no host and port that can be called")
    return Endpoint(read.scheme, host, port, read.netloc.decode(), read.raw_path)
