"""`tokens`: what resumes an execution of a flow that waits. A token is read from standard input, never from an argument."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import rich_click as click
from click.exceptions import Exit

from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.json_values import JsonValueType
from detent.cli.operating.output import ago, in_json, instant, json_option, say, show_json, show_table
from detent.cli.terminal import one_line
from detent.flows.book import FlowBook
from detent.flows.tokens import ResumeToken, hash_of
from detent.json_values import JsonObject, JsonValue
from detent.service.execution import Execution
from detent.service.flows import FlowService
from detent.service.operator_schemas import (
    ExecutionView,
    JudgedTokenView,
    NewTokenView,
    TokenListView,
    TokenView,
)

_SHOWN = 12
"""How much of a hash people are shown: enough to name one of a hundred."""

_EXECUTION = click.argument("execution", metavar="EXECUTION", type=click.UUID)
_ACTOR = click.option("--actor", metavar="NAME", help="Who does it, for history.")
_REASON = click.option("--reason", metavar="TEXT", help="Why, for history.")


class _DataType(JsonValueType):
    """JSON, but not from standard input, where the token comes from."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> JsonValue:
        if value == "-":
            self.fail("standard input is for the token; write @FILE", param, ctx)
        return super().convert(value, param, ctx)


@click.group()
def tokens() -> None:
    """Resume tokens: list those of an execution, make one, revoke one, or use one.

    A token is a secret, and only its hash is kept. Where a command needs one it reads it from standard input, or asks for it.
    To make, revoke or use one, the application has to be there.
    """


@tokens.command("list")
@_EXECUTION
@json_option
def list_tokens(execution: UUID, as_json: bool) -> None:
    """List the tokens that EXECUTION keeps, the oldest first."""

    async def find(runtime: Connected) -> tuple[Sequence[ResumeToken], datetime]:
        return await _flows(runtime).tokens.list(execution), runtime.now

    found, now = connected(find)
    if as_json:
        show_json(TokenListView(tokens=[TokenView.model_validate(each) for each in found]))
        return
    rows = [
        (
            each.hash[:_SHOWN],
            each.step_id,
            each.state.value,
            ago(each.created_at, now),
            ago(each.expires_at, now),
            in_json(each.metadata) if each.metadata else "",
        )
        for each in found
    ]
    show_table(("HASH", "STEP", "STATE", "MADE", "EXPIRES", "METADATA"), rows, nothing="it has no token")


@tokens.command()
@_EXECUTION
@click.argument("step")
@click.option("--expires", metavar="DURATION", help="Good for this long, such as 7d; else for as long as it waits.")
@click.option("--metadata", type=JsonValueType(), metavar="JSON", help="Kept beside its hash: JSON, @FILE, or -.")
@_ACTOR
@json_option
def generate(
    execution: UUID, step: str, expires: str | None, metadata: JsonObject | None, actor: str | None, as_json: bool
) -> None:
    """Make a token that resumes EXECUTION once, out of STEP, and print it: it is told this once."""

    async def make(runtime: Connected) -> tuple[str, ResumeToken | None]:
        asked = _flows(runtime, actor=actor).tokens
        token = await asked.generate(execution, step, expires_in=expires, metadata=metadata)
        return token, await asked.get(token)

    token, kept = connected(make)
    if as_json:
        show_json(NewTokenView(**TokenView.model_validate(kept).model_dump(), token=token))
        return
    click.echo(token)
    click.echo(f"only its hash is kept, {hash_of(token)[:_SHOWN]}…: it cannot be told again", err=True)


@tokens.command()
@_EXECUTION
@click.argument("hash_", metavar="HASH")
@_ACTOR
@json_option
def revoke(execution: UUID, hash_: str, actor: str | None, as_json: bool) -> None:
    """Make the token of EXECUTION whose hash begins with HASH good for nothing. Exit code 1 when it was so already."""

    async def end(runtime: Connected) -> tuple[bool, ResumeToken]:
        asked = _flows(runtime, actor=actor).tokens
        meant = _named(await asked.list(execution), hash_)
        was_good = await asked.revoke_hash(execution, meant.hash)
        return was_good, _named(await asked.list(execution), meant.hash)

    was_good, token = connected(end)
    if as_json:
        show_json(TokenView.model_validate(token))
    else:
        say(f"{token.hash[:_SHOWN]} is {token.state.value}" + ("" if was_good else " already"))
    if not was_good:
        raise Exit(1)


@tokens.command()
@json_option
def validate(as_json: bool) -> None:
    """Say whether a token could resume its execution now. Exit code 1 when not."""
    token = _asked_for()

    async def judge(runtime: Connected) -> JudgedTokenView:
        asked = _flows(runtime).tokens
        judged, known = await asked.validate(token), await asked.get(token)
        view = None if known is None else TokenView.model_validate(known)
        return JudgedTokenView(valid=judged.valid, reason=judged.reason, token=view)

    view = connected(judge)
    if as_json:
        show_json(view)
    elif view.token is None:
        say(f"not valid: {view.reason}")
    else:
        about = f"{view.token.execution_id} in {view.token.step_id}"
        ends = f", until {instant(view.token.expires_at)}" if view.token.expires_at else ""
        say(f"valid: it resumes {about}{ends}" if view.valid else f"not valid: {view.reason} ({about})")
    if not view.valid:
        raise Exit(1)


@tokens.command()
@click.option("--data", type=_DataType(), metavar="JSON", help="What it is resumed with: JSON, or @FILE.")
@_ACTOR
@_REASON
@json_option
def resume(data: JsonValue, actor: str | None, reason: str | None, as_json: bool) -> None:
    """Resume the execution that a token is for; the token is spent."""
    token = _asked_for()

    async def go_on(runtime: Connected) -> Execution:
        return await _flows(runtime, actor=actor, reason=reason).resume(token, data)

    execution = connected(go_on)
    view = ExecutionView.model_validate(execution)
    if as_json:
        show_json(view)
    else:
        at = f" in {view.current_step}" if view.current_step else ""
        say(f"{view.flow_id} {view.id} goes on: {view.status}{at}")


def _flows(runtime: Connected, *, actor: str | None = None, reason: str | None = None) -> FlowService:
    """The verbs of flows. What a flow is stands in its definition; what its handlers do, the runtime has."""
    return FlowService(runtime.service(actor=actor, reason=reason), FlowBook())


def _asked_for() -> str:
    """A token, from standard input, or typed unseen."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Token", hide_input=True, err=True)
        return typed.strip()
    token = sys.stdin.readline().strip()
    if not token:
        raise click.UsageError("which token? It is read from standard input.")
    return token


def _named(found: Sequence[ResumeToken], prefix: str) -> ResumeToken:
    """The one token whose hash begins so. Raises `ClickException` for none and for several."""
    meant = [token for token in found if token.hash.startswith(prefix.lower())]
    if len(meant) == 1:
        return meant[0]
    several = f"{len(meant)} of its tokens have a hash that begins with {prefix!r}" if meant else None
    raise click.ClickException(one_line(several or f"none of its tokens has a hash that begins with {prefix!r}"))
