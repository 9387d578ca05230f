"""Resume tokens: made, read and judged. Only the hash of one is ever kept, with the instance that it belongs to.

A token names its instance, so that one row, and the fence that its version is, decides which of many uses wins; nothing else
has to be looked up or tidied: what is left of a token goes with its instance.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from detent.flows.own import Own
from detent.json_values import JsonObject

_SECRET = 32
"""Random bytes."""
MOST = 100
"""How many tokens an execution keeps; of those that are good for nothing any more, the oldest go first."""


class TokenState(StrEnum):
    """What has become of a token."""

    PENDING = "pending"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """What is known of a token, which is not the token itself."""

    hash: str
    """SHA-256 of the token, in hex: what it is listed and revoked by."""
    execution_id: UUID
    step_id: str
    """The step that it resumes; of another one it is good for nothing."""
    state: TokenState
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    metadata: JsonObject
    """Whatever its maker wanted to keep with it."""

    def to_json(self) -> JsonObject:
        """As it is kept under its hash."""
        return {
            "step": self.step_id,
            "state": self.state.value,
            "created_at": self.created_at.isoformat(),
            "expires_at": None if self.expires_at is None else self.expires_at.isoformat(),
            "used_at": None if self.used_at is None else self.used_at.isoformat(),
            "metadata": self.metadata,
        }

    @classmethod
    def of(cls, execution_id: UUID, hash_: str, kept: Mapping[str, object], now: datetime) -> Self:
        """What is kept under a hash, as it stands at `now`."""
        written: dict[str, object] = dict(kept)
        state = TokenState(str(written["state"]))
        expires_at = _instant(written["expires_at"])
        if state is TokenState.PENDING and expires_at is not None and expires_at <= now:
            state = TokenState.EXPIRED
        metadata = written["metadata"]
        return cls(
            hash=hash_,
            execution_id=execution_id,
            step_id=str(written["step"]),
            state=state,
            created_at=datetime.fromisoformat(str(written["created_at"])),
            expires_at=expires_at,
            used_at=_instant(written["used_at"]),
            metadata=metadata if isinstance(metadata, dict) else {},
        )


def new_token(execution_id: UUID) -> str:
    """A token for an execution: url-safe text with 256 random bits."""
    return base64.urlsafe_b64encode(execution_id.bytes + secrets.token_bytes(_SECRET)).decode()


def execution_of(token: object) -> UUID | None:
    """The execution that a token names; `None` for what cannot be one."""
    if not isinstance(token, str) or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return UUID(bytes=raw[:16]) if len(raw) == 16 + _SECRET else None


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def tokens_in(own: Own, execution_id: UUID, now: datetime) -> list[ResumeToken]:
    """All that an execution keeps, the oldest first."""
    found = [ResumeToken.of(execution_id, hash_, kept, now) for hash_, kept in own.tokens.items()]
    return sorted(found, key=lambda token: token.created_at)


def token_in(own: Own, execution_id: UUID, hash_: str, now: datetime) -> ResumeToken | None:
    """The one with a hash."""
    kept = own.tokens.get(hash_)
    return None if kept is None else ResumeToken.of(execution_id, hash_, kept, now)


def with_token(own: Own, token: ResumeToken, now: datetime) -> Own:
    """`own` with a token added or replaced; old ones that are good for nothing make room."""
    kept = {**own.tokens, token.hash: token.to_json()}
    spent = [one.hash for one in tokens_in(own, token.execution_id, now) if one.state is not TokenState.PENDING]
    for hash_ in spent[: max(0, len(kept) - MOST)]:
        kept.pop(hash_, None)
    return replace(own, tokens=kept)


def expiry(expires_in: timedelta | None, now: datetime) -> datetime | None:
    """When a token made now expires."""
    return None if expires_in is None else now + expires_in


def refusal(token: ResumeToken | None, step_id: str | None) -> str | None:
    """Why a token cannot resume an execution that waits in `step_id`, in a word or two; `None` where it can."""
    if token is None:
        return "unknown"
    if token.state is not TokenState.PENDING:
        return token.state.value
    return None if token.step_id == step_id else "for another step"


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
