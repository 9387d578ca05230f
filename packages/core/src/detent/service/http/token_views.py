"""The JSON of the routes of resume tokens: what comes in and what goes out. A token itself goes out once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class _Incoming(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NewToken(_Incoming):
    """What a token is to be good for."""

    step: str = Field(description="The step that it resumes.")
    expires_in: str | None = Field(default=None, description="A duration such as `7d`; never without.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Kept with its hash.")


class OneToken(_Incoming):
    """A token."""

    token: str = Field(max_length=200)


class RevokedToken(_Incoming):
    """A token by its hash."""

    hash: str = Field(max_length=200, description="As it is listed.")


class Resumed(OneToken):
    """A token, and what the execution is resumed with."""

    data: Any = Field(default=None, description="JSON as the wait asks for it.")


class TokenView(_Outgoing):
    """What is known of a token."""

    hash: str = Field(description="SHA-256 of the token, in hex: what it is revoked by.")
    step: str = Field(validation_alias="step_id")
    state: str = Field(description="`pending`, `used`, `revoked` or `expired`.")
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    metadata: dict[str, Any]


class MadeTokenView(_Outgoing):
    """A token that was made."""

    token: str


class JudgedView(_Outgoing):
    """Whether a token is good for anything now."""

    valid: bool
    reason: str | None = Field(description="Why not: `unknown`, `used`, `revoked`, `expired` or `for another step`.")


class RevokedView(_Outgoing):
    """What became of a token."""

    revoked: bool = Field(description="Whether it was good until now.")


class ResumedView(_Outgoing):
    """What was resumed, as far as who holds a token may know."""

    execution_id: UUID
    status: str
