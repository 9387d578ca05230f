"""Idempotency keys: what they may look like, what they cover, and whether a repeated request is the same one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from detent.errors import IdempotencyConflict, InvalidValue
from detent.json_values import JsonObject
from detent.store.records import Receipt, ReceiptKey

MAX_KEY_BYTES = 256


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key under which a request is answered once, and what identifies the request."""

    key: ReceiptKey
    fingerprint: str | None

    @classmethod
    def of_creation(cls, workflow: str, tenant: str, key: str | None, fingerprint: str | None) -> Self | None:
        """For a creation: unique per workflow and tenant. `None` without a key. Raises `InvalidValue`."""
        return cls._under(creation_scope(workflow), tenant, key, fingerprint)

    @classmethod
    def of_event(cls, instance_id: UUID, key: str | None, fingerprint: str | None) -> Self | None:
        """For an event: unique per instance. `None` without a key. Raises `InvalidValue`."""
        return cls._under(instance_id, "", key, fingerprint)

    @classmethod
    def _under(cls, scope: str | UUID, tenant: str, key: str | None, fingerprint: str | None) -> Self | None:
        if key is None:
            if fingerprint is not None:
                raise InvalidValue("idempotency_fingerprint", "has no idempotency_key to go with")
            return None
        checked = None if fingerprint is None else _checked(fingerprint, "idempotency_fingerprint")
        return cls(ReceiptKey(scope=str(scope), key=checked_key(key), tenant=tenant), checked)

    def receipt(self, instance_id: UUID, answer: JsonObject, now: datetime, keep: timedelta) -> Receipt:
        """What the request leaves behind, to be kept for `keep`."""
        return Receipt(self.key, instance_id, self.fingerprint, answer, created_at=now, expires_at=now + keep)

    def check_same_request(self, receipt: Receipt, *, event: str | None = None) -> None:
        """Raise `IdempotencyConflict` when the receipt answers another request, or another `event`."""
        if receipt.fingerprint != self.fingerprint or receipt.answer.get("event") != event:
            raise IdempotencyConflict(receipt.key.key)


def creation_scope(workflow: str) -> str:
    """Within what the keys of a workflow's creations are unique."""
    return f"workflow:{workflow}"


def checked_key(key: object) -> str:
    """`key` as it may be stored. Raises `InvalidValue`."""
    return _checked(key, "idempotency_key")


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
