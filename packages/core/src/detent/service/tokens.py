"""Resume tokens for one caller: made, looked at, judged and revoked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from detent.errors import InstanceBusy, InvalidValue, NotFound, VersionConflict
from detent.flows.errors import NotWaiting
from detent.flows.flow import Flow
from detent.flows.names import OWN, step_of
from detent.flows.own import Own
from detent.flows.tokens import (
    ResumeToken,
    TokenState,
    execution_of,
    expiry,
    hash_of,
    new_token,
    refusal,
    token_in,
    tokens_in,
    with_token,
)
from detent.json_values import JsonObject, json_object
from detent.problems import did_you_mean
from detent.runtime.arguments import id_of
from detent.service.flow_timeouts import length_of
from detent.service.service import WorkflowService
from detent.store.records import FINISHED, WorkflowInstance

_TRIES = 5
"""How often a token is written where others write the execution meanwhile."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a token is good for anything now."""

    valid: bool
    reason: str | None
    """Why not: `unknown`, `used`, `revoked`, `expired` or `for another step`."""


class ResumeTokens:
    """See `FlowService.tokens`. A token itself is answered once, by `generate`; only its hash is kept, with the execution."""

    def __init__(
        self, service: WorkflowService, load: Callable[[UUID], Awaitable[tuple[WorkflowInstance, Flow]]]
    ) -> None:
        self._service = service
        self._load = load

    async def generate(
        self,
        execution_id: UUID | str,
        step: str,
        *,
        expires_in: timedelta | str | None = None,
        metadata: JsonObject | None = None,
    ) -> str:
        """A new token: url-safe text of 64 characters, 256 bits of it random, that resumes the execution once, out of `step`.

        `metadata` is JSON kept beside its hash. Raises `InvalidValue` for a step that the flow does not have, and
        `NotWaiting` for an execution that has ended, and while a handler is under way.
        """
        identity, length = id_of(execution_id, "execution_id"), length_of(expires_in, "expires_in")
        text, kept = new_token(identity), json_object(metadata, "metadata")

        def added(own: Own, now: datetime) -> Own:
            token = ResumeToken(hash_of(text), identity, step, TokenState.PENDING, now, expiry(length, now), None, kept)
            return with_token(own, token, now)

        instance, flow = await self._load(identity)
        if instance.status in FINISHED:
            raise NotWaiting(identity, instance.status.value)
        if step not in flow.steps:
            hint = did_you_mean(step, flow.steps)
            raise InvalidValue("step", f"is {step!r}, which the flow does not have", hint=hint)
        await self._write(identity, added, "a resume token was made")
        return text

    async def get(self, token: str) -> ResumeToken | None:
        """What is known of a token; `None` for one that is unknown."""
        identity = execution_of(token)
        found = None if identity is None else await self._find(identity)
        if identity is None or found is None:
            return None
        return self._standing(token_in(Own.of(found.context), identity, hash_of(token), self._now()), found)

    async def validate(self, token: str) -> Judged:
        """Whether a token could resume its execution now, and otherwise why not."""
        identity = execution_of(token)
        if identity is None or await self._find(identity) is None:
            return Judged(valid=False, reason="unknown")
        instance, flow = await self._load(identity)
        reason = refusal(await self.get(token), step_of(instance.state, flow.steps))
        return Judged(valid=reason is None, reason=reason)

    async def revoke(self, token: str) -> bool:
        """Make a token good for nothing; whether it was good until now."""
        identity = execution_of(token)
        if identity is None or await self._find(identity) is None:
            return False
        return await self.revoke_hash(identity, hash_of(token))

    async def revoke_hash(self, execution_id: UUID | str, hash_: str) -> bool:
        """The same for a token of which only the hash is at hand, as `list` answers it."""
        identity, was_good = id_of(execution_id, "execution_id"), False

        def revoked(own: Own, now: datetime) -> Own:
            nonlocal was_good
            token = token_in(own, identity, hash_, now)
            was_good = token is not None and token.state is TokenState.PENDING
            if token is None or not was_good:
                return own
            return with_token(own, replace(token, state=TokenState.REVOKED), now)

        await self._write(identity, revoked, "a resume token was revoked")
        return was_good

    async def list(self, execution_id: UUID | str) -> list[ResumeToken]:
        """All tokens that an execution keeps, the oldest first."""
        identity = id_of(execution_id, "execution_id")
        instance = await self._service.get_instance(identity)
        found = tokens_in(Own.of(instance.context), identity, self._now())
        return [self._ended(token) if instance.status in FINISHED else token for token in found]

    async def _find(self, execution_id: UUID) -> WorkflowInstance | None:
        try:
            return await self._service.get_instance(execution_id)
        except NotFound:
            return None

    async def _write(self, execution_id: UUID, change: Callable[[Own, datetime], Own], reason: str) -> None:
        for tries in range(1, _TRIES + 1):
            instance, _ = await self._load(execution_id)
            own = Own.of(instance.context)
            changed = change(own, self._now())
            if changed == own:
                return
            try:
                await self._service.patch_context(
                    execution_id, {OWN: changed.to_json()}, reason=reason, expected_version=instance.version
                )
            except InstanceBusy as busy:
                raise NotWaiting(execution_id, "running", "tokens are for those that wait") from busy
            except VersionConflict:
                if tries == _TRIES:
                    raise
            else:
                return

    def _standing(self, token: ResumeToken | None, instance: WorkflowInstance) -> ResumeToken | None:
        return token if token is None or instance.status not in FINISHED else self._ended(token)

    def _ended(self, token: ResumeToken) -> ResumeToken:
        """A token of an execution that has ended: what was pending is good for nothing any more."""
        return replace(token, state=TokenState.REVOKED) if token.state is TokenState.PENDING else token

    def _now(self) -> datetime:
        parts = self._service.running().parts
        return parts.present
