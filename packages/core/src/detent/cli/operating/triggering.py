"""`trigger` and `send`: let an instance take an event, now or as soon as it can."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import rich_click as click
from click.exceptions import Exit

from detent.cli.operating.completion import event_names
from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.hearers import require_hearers
from detent.cli.operating.json_values import JsonValueType
from detent.cli.operating.output import instant, json_option, say, show_json
from detent.runtime.result import TransitionResult
from detent.service.operator_schemas import MessageView
from detent.service.schemas import TransitionView
from detent.store.messages import InboxMessage
from detent.store.records import Outcome

_ENDS = {
    Outcome.SUCCESS: "went from {0.from_state} to {0.to_state}",
    Outcome.FAILURE: "failed, and went from {0.from_state} to {0.to_state}: {0.reason}",
    Outcome.REFUSED: "was refused in {0.from_state}: {0.reason}",
    Outcome.ACCEPTED: "was accepted in {0.from_state}; a worker finishes it in run {0.run_id}",
}


_ASKED = (
    click.argument("instance", metavar="ID", type=click.UUID),
    click.argument("event", shell_complete=event_names),
    click.option(
        "--payload", type=JsonValueType(), metavar="JSON", help="What comes with it: JSON, @FILE, or - for stdin."
    ),
    click.option(
        "--idempotency-key", metavar="TEXT", help="Under this key it is taken once, however often it is asked."
    ),
    click.option("--actor", metavar="NAME", help="Who does it, for history."),
    click.option("--reason", metavar="TEXT", help="Why, for history."),
)


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_ASKED):
        command = option(command)
    return command


@click.command()
@_asking
@click.option("--expected-version", type=click.IntRange(min=1), metavar="N", help="Do nothing at any other version.")
@json_option
def trigger(instance: UUID, event: str, actor: str | None, reason: str | None, as_json: bool, **given: Any) -> None:
    """Let an instance take EVENT now. Exit code 1 when it is refused or fails."""

    async def take(runtime: Connected) -> TransitionResult:
        service = runtime.service(actor=actor, reason=reason)
        await require_hearers(runtime, [await service.get_instance(instance)])
        return await service.trigger_event(instance, event, **given)

    result = connected(take)
    if as_json:
        show_json(TransitionView.model_validate(result))
    else:
        say(f"{event} " + _ENDS[result.outcome].format(result) + (" (as answered before)" if result.replayed else ""))
    if result.outcome not in (Outcome.SUCCESS, Outcome.ACCEPTED):
        raise Exit(1)


@click.command()
@_asking
@click.option("--delay", metavar="DURATION", help="It is not tried before this, such as 2d from now.")
@click.option("--expires", metavar="DURATION", help="It is not taken after this.")
@json_option
def send(instance: UUID, event: str, actor: str | None, reason: str | None, as_json: bool, **given: Any) -> None:
    """Keep EVENT until an instance can take it; a worker lets it take it once."""

    async def keep(runtime: Connected) -> InboxMessage:
        return await runtime.service(actor=actor, reason=reason).send(instance, event, **given)

    message = connected(keep)
    if as_json:
        show_json(MessageView.model_validate(message))
    else:
        say(f"{event} is kept as message {message.id}, to be taken from {instant(message.available_at)} on")
