"""That a form was sent from a page of this dashboard: where the request comes from, and a signed token sent twice.

The rules are those of OWASP's *Cross-Site Request Forgery Prevention*: Fetch Metadata first, the origin where a browser
sends none, and in any case a token that is in a cookie and, signed, in the form.
"""

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

COOKIE = "detent_dashboard"
"""The cookie that the token of a form is the signature of."""
FIELD = "csrf_token"
"""The field of a form that carries the token."""


class Tokens:
    """Makes and checks the tokens of forms. `secret` is shared by all processes that serve the dashboard."""

    def __init__(self, secret: str | None) -> None:
        self._key = (secret or secrets.token_hex(32)).encode()

    def seed_of(self, request: Request) -> str:
        """What the browser's cookie holds, or something new for one that has none."""
        return request.cookies.get(COOKIE) or secrets.token_urlsafe(32)

    def token(self, seed: str) -> str:
        """What a form has to carry beside a cookie of `seed`."""
        return hmac.new(self._key, seed.encode(), hashlib.sha256).hexdigest()

    def accepts(self, request: Request, token: str) -> bool:
        """Whether `token` belongs to the cookie of this request."""
        seed = request.cookies.get(COOKIE)
        return bool(seed) and hmac.compare_digest(self.token(seed or "").encode(), token.encode("utf-8", "replace"))


def comes_from_here(headers: Headers) -> bool:
    """Whether a browser says that one of our own pages sent it; clients that are no browsers say nothing."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or (origin != "null" and urlsplit(origin).netloc == headers.get("host"))
