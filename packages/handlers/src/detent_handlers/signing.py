"""Signatures as Standard Webhooks wants them: HMAC-SHA256 over the id, the second of the attempt and the body.

The receiver computes the same with the secret it shares, and knows by it who sent the body and that nobody changed it.
"""

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from detent.errors import InvalidValue

_PREFIX = "whsec_"
_SHORTEST = 24
_LONGEST = 64
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_HINT = "detent_handlers.new_secret() makes one"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that is shared with one receiver; showing a key does not show it."""

    secret: bytes = field(repr=False)

    def sign(self, content: bytes) -> str:
        """The signature of `content`, with the name of its scheme: `v1,<base64>`."""
        return "v1," + b64encode(hmac.digest(self.secret, content, "sha256")).decode()


def new_secret() -> str:
    """A fresh random secret of 32 bytes, as receivers are given it: `whsec_<base64>`."""
    return _PREFIX + b64encode(secrets.token_bytes(32)).decode()


def read_key(text: str, path: str = "secret") -> SigningKey:
    """The key that a text such as `new_secret()` makes spells: 24 to 64 bytes in base64 after `whsec_`.

    Raises `InvalidValue`, which names the `path` and never the text.
    """
    if not text.startswith(_PREFIX):
        raise InvalidValue(path, f"does not start with {_PREFIX}", hint=_HINT)
    encoded = text.removeprefix(_PREFIX)
    if not _BASE64.fullmatch(encoded) or len(encoded.rstrip("=")) % 4 == 1:
        raise InvalidValue(path, f"is not base64 after {_PREFIX}", hint=_HINT)
    secret = b64decode(encoded.rstrip("=") + "==")
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise InvalidValue(path, f"has {len(secret)} bytes, not {_SHORTEST} to {_LONGEST}", hint=_HINT)
    return SigningKey(secret)


def signed_headers(keys: Iterable[SigningKey], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of an attempt made at `at`, with one signature for each key.

    While a secret is replaced, both the old and the new one sign, and the receiver may know either. `body` is the very bytes
    that are sent. Raises `InvalidValue` for an id with a dot, which would let one signature stand for two contents.
    """
    if "." in message_id:
        raise InvalidValue("message_id", "contains a dot")
    second = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), second.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": second,
        "webhook-signature": " ".join(key.sign(content) for key in keys),
    }
