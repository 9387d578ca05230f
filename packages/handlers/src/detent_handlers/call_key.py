"""The idempotency key of one call."""

import hashlib

from pydantic_core import to_json

from detent.flows.context import HandlerContext


def call_key(ctx: HandlerContext) -> str:
    """A key for the call that a handler makes, the same on every attempt, that any header and id can hold.

    Where another handler performs this one, its scope says which call it is; several under one scope are told apart by what they
    are asked to do.
    """
    if not ctx.scope:
        return ctx.key
    asked = hashlib.sha256(to_json([ctx.scope, ctx.config, ctx.input])).hexdigest()
    return f"{ctx.command.durable_run.key}:{asked[:32]}"
