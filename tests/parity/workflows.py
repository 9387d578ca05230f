"""Workflows that several parity tests use, with their commands."""

from datetime import timedelta
from typing import Any

from detent import CommandContext, Fail, Retry, Settings, command

STEADY = Settings(timeout_retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))
"""Timeouts are tried three times, at exact distances."""


@command("write")
def write(ctx: CommandContext) -> None:
    """Writes to the context what the caller gave as the subject."""
    ctx.context.update(ctx.subject or {})


@command("count")
def count(ctx: CommandContext) -> None:
    """Counts in the context how often it ran."""
    ctx.context["entered"] = ctx.context.get("entered", 0) + 1


@command("fail")
def fail(ctx: CommandContext) -> Fail:
    return Fail("no", "not today")


@command("raise")
def raise_error(ctx: CommandContext) -> None:
    raise LookupError("no such thing")


def waiting(**expire: Any) -> dict[str, Any]:
    """One state that waits for an hour."""
    events = {
        "expire": {"target": "done", "timeout": "1h", **expire},
        "restart": {"target": "waiting"},
        "pay": {"target": "done"},
    }
    return {"name": "wait", "initial_state": "waiting", "states": {"waiting": {"events": events}, "done": {}}}


def bill(**pay: Any) -> dict[str, Any]:
    """Open, paid, and back."""
    return {
        "name": "bill",
        "initial_state": "open",
        "states": {
            "open": {"events": {"see": {"target": "open"}, "pay": {"target": "paid", **pay}}},
            "paid": {"events": {"refund": {"target": "refunded"}}},
            "refunded": {"events": {"again": {"target": "open"}}},
        },
    }


def renamed(**more: Any) -> dict[str, Any]:
    """The second version of `bill`: what was open is due."""
    definition = bill() | {"version": 2, "initial_state": "due", **more}
    definition["states"]["due"] = definition["states"].pop("open")
    definition["states"]["due"]["events"] = {"pay": {"target": "paid", "commands": ["count"]}}
    definition["states"]["refunded"]["events"]["again"]["target"] = "due"
    return definition
