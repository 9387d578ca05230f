"""Which pages may open a websocket: a browser sends the user's cookies along, whoever's page asks for it."""

from collections.abc import Sequence
from urllib.parse import urlsplit


def is_own_origin(origin: str | None, host: str, allowed: Sequence[str]) -> bool:
    """Whether a page of `origin` may; what sends no `Origin` is no browser."""
    return origin is None or origin in allowed or (bool(host) and urlsplit(origin).netloc == host)
