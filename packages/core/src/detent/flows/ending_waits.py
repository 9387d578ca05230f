"""What ends a wait: the commands and the guard that every flow has beside its handlers, in the commit that leaves the wait."""

import copy
from dataclasses import replace
from typing import Any
from uuid import UUID

from detent.definition.json_schema import schema_problems
from detent.definition.selectors import put
from detent.errors import InvalidValue
from detent.flows.errors import ContextTooLarge, TokenRefused
from detent.flows.limits import ContextLimits
from detent.flows.names import CHILD, ERROR, EXPIRED, IS_CHILD_FAILED, IS_OTHER_CHILD, OWN, RESUMED
from detent.flows.own import Own, without_own
from detent.flows.step_error import step_error
from detent.flows.tokens import TokenState, refusal, token_in, with_token
from detent.json_values import JsonObject, JsonValue
from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import Registry
from detent.registry.results import Fail


class EndingWaits:
    """The commands, under the limits of a runtime's flows."""

    def __init__(self, limits: ContextLimits) -> None:
        self._limits = limits

    def register(self, registry: Registry) -> None:
        """Make them known."""
        registry.command(RESUMED, self.resumed)
        registry.command(CHILD, self.child_ended)
        registry.command(EXPIRED, expired)
        registry.guard(IS_CHILD_FAILED, child_failed)
        registry.guard(IS_OTHER_CHILD, other_child)

    def resumed(self, ctx: CommandContext) -> None:
        """Take in what somebody resumed it with, and spend the token. Raises `TokenRefused`, `ContextTooLarge`, and
        `InvalidValue` where the data do not meet the form that the wait asks for.
        """
        told: dict[str, Any] = ctx.payload if isinstance(ctx.payload, dict) else {}
        hash_ = told.get("token")
        if isinstance(hash_, str):
            self._spend(ctx, hash_)
        _check_form(ctx.context, told.get("data"))
        if told.get("data") is not None:
            self._put(ctx, told["data"])

    async def child_ended(self, ctx: CommandContext) -> Fail | None:
        """Take in the result of a child, or its failure as the step's own, also where there is no place for the result."""
        if _is_other(ctx.context, ctx.payload):
            return None
        told: dict[str, Any] = ctx.payload
        result = {
            "execution_id": told["child"],
            "flow_id": told["workflow"],
            "status": told["status"],
            "context": await _context_of(ctx, told),
        }
        child = {"execution_id": told["child"], "status": told["status"]}
        if told["status"] == "completed":
            try:
                self._put(ctx, result)
            except ContextTooLarge as error:
                return self._failed(ctx, error.limit, error.message, child)
            except InvalidValue as error:
                return self._failed(ctx, "OUTPUT_ERROR", str(error), child)
            return None
        own = result["context"].get(ERROR)
        said = own.get("message") if isinstance(own, dict) else None
        self._failed(ctx, "CHILD_FAILED", said or f"the child is {told['status']}", {**child, "error": own})
        return None

    def _failed(self, ctx: CommandContext, code: str, message: str, details: JsonObject) -> Fail:
        error = step_error(code, message, ctx.command_metadata["step"], details, ctx.now)
        ctx.context[ERROR] = self._limits.fitting(error)
        return Fail(code, message)

    def _spend(self, ctx: CommandContext, hash_: str) -> None:
        own = Own.of(ctx.context)
        token = token_in(own, ctx.instance_id, hash_, ctx.now)
        reason = refusal(token, ctx.command_metadata["step"])
        if reason is not None or token is None:
            raise TokenRefused(reason or "unknown")
        spent = replace(token, state=TokenState.USED, used_at=ctx.now)
        ctx.context[OWN] = with_token(own, spent, ctx.now).to_json()

    def _put(self, ctx: CommandContext, value: JsonValue) -> None:
        head, dot, _ = ctx.command_metadata["output_key"].partition(".")
        if dot and head in Own.of(ctx.context).values:
            hint = "give the step an output_key of its own"
            raise InvalidValue(f"context.{head}", "is too large to be written into while the flow waits", hint=hint)
        view = copy.deepcopy(without_own(ctx.context))
        put(view, ctx.command_metadata["output_key"], value)
        self._limits.check(view)
        ctx.context.update(view)


def _check_form(context: JsonObject, data: JsonValue) -> None:
    wait = Own.of(context).wait
    problems = schema_problems(None if wait is None else wait.form, data)
    if problems and data is None:
        raise InvalidValue("data", "are missing, and the form asks for some")
    if problems:
        raise InvalidValue("data", "do not meet the form", problems=problems)


async def _context_of(ctx: CommandContext, told: JsonObject) -> JsonObject:
    """The context that a child has left, with what it kept beside it."""
    beside = {key: where["ref"] for key, where in Own.of(told["context"]).values.items()}
    found = await ctx.values_of(UUID(told["child"]), set(beside.values())) if beside else {}
    return {**{key: found[ref] for key, ref in beside.items() if ref in found}, **without_own(told["context"])}


def expired(ctx: CommandContext) -> None:
    """Note which deadline has ended it."""
    own = Own.of(ctx.context)
    ctx.context[OWN] = own.expired(str(ctx.command_metadata["reason"]), ctx.now).to_json()


def other_child(ctx: GuardContext) -> bool:
    """Whether the child that has ended is not the one that is waited for."""
    return _is_other(ctx.context, ctx.payload)


def _is_other(context: JsonObject, payload: JsonValue) -> bool:
    wait = Own.of(context).wait
    awaited = None if wait is None or wait.details is None else wait.details.get("child")
    return awaited is None or not isinstance(payload, dict) or payload.get("child") != awaited


def child_failed(ctx: GuardContext) -> bool:
    """Whether the child that has ended did not end well."""
    return not isinstance(ctx.payload, dict) or ctx.payload.get("status") != "completed"
