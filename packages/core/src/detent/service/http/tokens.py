"""What the routes of resume tokens answer: those of operators, and the door for who holds one."""

from detent.errors import NotFound
from detent.flows.errors import TokenRefused
from detent.flows.tokens import execution_of
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask
from detent.service.http.parameters import InstanceId
from detent.service.http.token_views import (
    JudgedView,
    MadeTokenView,
    NewToken,
    OneToken,
    Resumed,
    ResumedView,
    RevokedToken,
    RevokedView,
    TokenView,
)


async def list_tokens(ask: Ask, instance_id: InstanceId) -> Answer[list[TokenView]]:
    """The resume tokens that an execution keeps, the oldest first: what is known of them, and not the tokens."""
    # Whatever else stands in an instance, it is not taken for a flow's own.
    await ask.flows.get(instance_id)
    return Answer([TokenView.model_validate(token) for token in await ask.flows.tokens.list(instance_id)])


async def generate_token(ask: Ask, instance_id: InstanceId, asked: NewToken) -> Answer[MadeTokenView]:
    """Make a token that resumes the execution once, out of one step. It is told here and never again."""
    made = await ask.flows.tokens.generate(
        instance_id, asked.step, expires_in=asked.expires_in, metadata=asked.metadata
    )
    return Answer(MadeTokenView(token=made), 201, {"Cache-Control": "no-store"})


async def validate_token(ask: Ask, instance_id: InstanceId, asked: OneToken) -> Answer[JudgedView]:
    """Whether a token could resume this execution now, and otherwise why not."""
    await ask.flows.get(instance_id)
    if execution_of(asked.token) != instance_id:
        return Answer(JudgedView(valid=False, reason="unknown"))
    return Answer(JudgedView.model_validate(await ask.flows.tokens.validate(asked.token)))


async def revoke_token(ask: Ask, instance_id: InstanceId, asked: RevokedToken) -> Answer[RevokedView]:
    """Make a token good for nothing, by the hash that it is listed with."""
    await ask.flows.get(instance_id)
    return Answer(RevokedView(revoked=await ask.flows.tokens.revoke_hash(instance_id, asked.hash)))


async def resume_by_token(ask: Ask, asked: Resumed) -> Answer[ResumedView]:
    """Resume the execution that a token is for, with `data`; the token is spent in the same commit."""
    # The id of an execution would resume it as well, and is no secret.
    if execution_of(asked.token) is None:
        raise TokenRefused("unknown")
    try:
        execution = await ask.flows.resume(asked.token, asked.data)
    except NotFound:
        raise TokenRefused("unknown") from None
    return Answer(ResumedView(execution_id=execution.id, status=execution.status))
