"""Idempotency keys: what they may look like, what they cover, and whether a repeated request is the same one."""

from datetime import datetime, timedelta
from uuid import UUID

from detent.errors import IdempotencyConflict, InvalidValue
from detent.store.records import Receipt, ReceiptKey

MAX_KEY_BYTES = 256


def creation_key(workflow: str, key: str) -> ReceiptKey:
    """The receipt key of a creation: unique per workflow. Raises `InvalidValue` for a key that cannot be one."""
    return ReceiptKey(scope=f"workflow:{workflow}", key=_checked(key, "idempotency_key"))


def creation_receipt(
    key: ReceiptKey, instance_id: UUID, fingerprint: str | None, now: datetime, keep: timedelta
) -> Receipt:
    """What a creation under `key` leaves behind."""
    return Receipt(key, instance_id, fingerprint, {}, created_at=now, expires_at=now + keep)


def checked_fingerprint(key: str | None, fingerprint: str | None) -> str | None:
    """The fingerprint that goes with `key`. Raises `InvalidValue` for one that cannot be, or that has no key to go with."""
    if fingerprint is None:
        return None
    if key is None:
        raise InvalidValue("idempotency_fingerprint", "has no idempotency_key to go with")
    return _checked(fingerprint, "idempotency_fingerprint")


def check_same_request(receipt: Receipt, fingerprint: str | None) -> None:
    """Raise `IdempotencyConflict` when the receipt answers another request."""
    if receipt.fingerprint != fingerprint:
        raise IdempotencyConflict(receipt.key.key)


def _checked(key: object, path: str) -> str:
    if not isinstance(key, str) or not key.strip():
        raise InvalidValue(path, "must be a text that is not blank")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidValue(path, "contains a lone surrogate, which is not valid Unicode") from None
    if "\0" in key or size > MAX_KEY_BYTES:
        raise InvalidValue(path, f"must be at most {MAX_KEY_BYTES} bytes without NUL characters")
    return key
