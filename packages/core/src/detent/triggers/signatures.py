"""Signatures of webhooks, verified: that who sent a body knows a secret, that nobody changed it, and that it is no old one.

All comparisons take the same time whatever differs. Several secrets may be known at once, while one is replaced.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias

from detent.errors import DetentError, InvalidValue

Scheme: TypeAlias = Literal["github", "stripe", "standard"]
"""Whose way of signing: `X-Hub-Signature-256`, `Stripe-Signature`, or `webhook-signature` of Standard Webhooks."""
TOLERANCE = timedelta(minutes=5)
"""How far the time of signing may be from now, in either direction, where a scheme tells it."""
_STANDARD_PREFIX = "whsec_"


class Fault(StrEnum):
    """Why a signature is not accepted."""

    MISSING = "signature_missing"
    """A header that the scheme needs is not there."""
    MALFORMED = "signature_malformed"
    """A header cannot be read."""
    EXPIRED = "signature_expired"
    """It was signed too long ago, or in the future: a copy that is sent again, or a clock that is wrong."""
    WRONG = "signature_wrong"
    """No known secret gives this signature."""


class SignatureRefused(DetentError):
    """A call is not signed as its trigger wants it; `fault` says how."""

    code = "signature_refused"

    def __init__(self, scheme: Scheme, fault: Fault) -> None:
        super().__init__(f"the {scheme} signature is refused: {fault.value.removeprefix('signature_')}")
        self.scheme = scheme
        self.fault = fault


def verify(
    scheme: Scheme,
    secrets: Sequence[str],
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    *,
    tolerance: timedelta = TOLERANCE,
) -> None:
    """Raise `SignatureRefused` unless `body`, the very bytes that came, is signed with one of `secrets`.

    The names of `headers` may be spelled in any case. A secret of Standard Webhooks is `whsec_` and base64; raises `InvalidValue`
    where one is not, and where there is none at all.
    """
    check_secrets(scheme, secrets)
    known = {name.lower(): value for name, value in headers.items()}
    match scheme:
        case "github":
            _verify_github(secrets, body, known)
        case "stripe":
            _verify_stripe(secrets, body, known, now, tolerance)
        case "standard":
            _verify_standard(secrets, body, known, now, tolerance)


def check_secrets(scheme: Scheme, secrets: Sequence[str]) -> None:
    """Raise `InvalidValue` unless `secrets` can be used by `scheme`."""
    if not secrets or not all(secrets):
        raise InvalidValue("secrets", "holds none, or one that is empty, which everybody knows")
    if scheme == "standard" and not all(map(_standard_key, secrets)):
        raise InvalidValue("secrets", "holds one that is empty after whsec_, which everybody knows")


def _verify_github(secrets: Sequence[str], body: bytes, headers: Mapping[str, str]) -> None:
    """GitHub signs no time, so that a copy cannot be told from the original: take its delivery id as idempotency key."""
    given = _header("github", headers, "x-hub-signature-256")
    kind, _, signature = given.partition("=")
    if kind != "sha256" or not signature:
        raise SignatureRefused("github", Fault.MALFORMED)
    _require_one("github", [signature], (_hex(secret, body) for secret in secrets))


def _verify_stripe(
    secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime, tolerance: timedelta
) -> None:
    parts = [part.strip().partition("=") for part in _header("stripe", headers, "stripe-signature").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value for name, _, value in parts if name == "v1" and value]
    if len(times) != 1 or not signatures:
        raise SignatureRefused("stripe", Fault.MALFORMED)
    _check_time("stripe", times[0], now, tolerance)
    signed = times[0].encode() + b"." + body
    _require_one("stripe", signatures, (_hex(secret, signed) for secret in secrets))


def _verify_standard(
    secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime, tolerance: timedelta
) -> None:
    id_, at, given = (_header("standard", headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    versions = (part.partition(",") for part in given.split())
    signatures = [value for version, _, value in versions if version == "v1" and value]
    if not signatures:
        raise SignatureRefused("standard", Fault.MALFORMED)
    _check_time("standard", at, now, tolerance)
    signed = b".".join((id_.encode("utf-8", "surrogateescape"), at.encode(), body))
    keys = [_standard_key(secret) for secret in secrets]
    _require_one("standard", signatures, (b64encode(hmac.digest(key, signed, "sha256")) for key in keys))


def _header(scheme: Scheme, headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise SignatureRefused(scheme, Fault.MISSING)
    return value


def _check_time(scheme: Scheme, text: str, now: datetime, tolerance: timedelta) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise SignatureRefused(scheme, Fault.MALFORMED)
    if abs(int(text) - now.timestamp()) > tolerance.total_seconds():
        raise SignatureRefused(scheme, Fault.EXPIRED)


def _require_one(scheme: Scheme, given: Iterable[str], computed: Iterable[bytes]) -> None:
    """Whether any given signature is one of those computed. All are compared, however early one is right."""
    sent = [signature.encode("utf-8", "surrogateescape") for signature in given]
    found = False
    for right in computed:
        for signature in sent:
            found |= hmac.compare_digest(signature, right)
    if not found:
        raise SignatureRefused(scheme, Fault.WRONG)


def _hex(secret: str, content: bytes) -> bytes:
    return hmac.digest(secret.encode(), content, "sha256").hex().encode()


def _standard_key(secret: str) -> bytes:
    encoded = secret.removeprefix(_STANDARD_PREFIX)
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (NotBase64, ValueError):
        raise InvalidValue("secrets", "holds one that is not base64 after whsec_") from None
