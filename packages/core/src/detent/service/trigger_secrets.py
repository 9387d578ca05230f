"""The secrets that signatures of calls are verified with: given to each process, and never stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from detent.errors import InvalidValue
from detent.triggers.errors import SecretMissing
from detent.triggers.signatures import check_secrets, verify
from detent.triggers.trigger import HttpTrigger, Signature

Secrets: TypeAlias = Mapping[str, str | Sequence[str]]
"""Secrets by name; several under one name while one is replaced."""


def verify_call(read: HttpTrigger, secrets: Secrets, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    """Raise `SignatureRefused` unless the call is signed as the trigger wants it, and `SecretMissing` where that is not known."""
    if read.signature is None:
        return
    known = secrets_of(read, read.signature, secrets)
    verify(read.signature.scheme, known, body, headers, now, tolerance=read.signature.tolerance)


def secrets_of(read: HttpTrigger, wanted: Signature, secrets: Secrets) -> list[str]:
    """The trigger's own. Raises `SecretMissing`, also where its scheme can use none of them."""
    given = secrets.get(wanted.secret, ())
    known = [given] if isinstance(given, str) else list(given)
    if not known:
        raise SecretMissing(read.name, wanted.secret)
    try:
        check_secrets(wanted.scheme, known)
    except InvalidValue as error:
        raise SecretMissing(read.name, wanted.secret, f"what was given {error.reason}") from None
    return known
