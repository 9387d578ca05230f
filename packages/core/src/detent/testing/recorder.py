"""What commands were called with, in the order they were called."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.registry.context import CommandContext


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one command. It is kept also where its step was rolled back afterwards."""

    name: str
    """The command."""
    number: int
    """1 for the first call of any command under this harness, then one more for each."""
    instance_id: UUID
    event: str
    """The event whose command it is; `$on_enter` for an entry."""
    from_state: str
    to_state: str
    """The state that is entered if no command fails."""
    context: JsonObject
    """A copy of the context as it was before the command wrote to it."""
    payload: JsonValue
    input: JsonValue
    """What the reference's `input` selector took from the context."""
    subject: Any
    """Whatever the caller passed along: the object itself."""
    metadata: JsonObject
    """What the definition says beside the command's name."""
    attempt: int | None = None
    """Which attempt of a durable command it is, from 1; `None` for a transactional one."""
    key: str | None = None
    """The `ctx.run.key` of a durable command: the same on each of its attempts."""
    answer: Any = None
    """What it answered."""
    raised: BaseException | None = None
    """What it raised instead."""

    def __str__(self) -> str:
        end = f"answered {self.answer!r}" if self.raised is None else f"raised {self.raised!r}"
        attempt = "" if self.attempt is None else f", attempt {self.attempt}"
        return f"{self.number}. {self.name} of {self.event} in {self.from_state}{attempt}, {end}"


class Recorder:
    """Keeps calls. One per harness."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._begun = 0

    def begin(self, name: str, ctx: CommandContext) -> "OpenCall":
        """A call that has begun; it is kept once it is told how it ended."""
        self._begun += 1
        return OpenCall(self._calls, name, self._begun, ctx)

    def calls(self, name: str | None = None) -> Sequence[Call]:
        """The calls of one command, or of all, in the order they began."""
        chosen = [call for call in self._calls if name is None or call.name == name]
        return tuple(sorted(chosen, key=lambda call: call.number))


class OpenCall:
    """A call under way, with what it was told copied before it can change that."""

    def __init__(self, calls: list[Call], name: str, number: int, ctx: CommandContext) -> None:
        self._calls = calls
        self._told: dict[str, Any] = {
            "name": name,
            "number": number,
            "instance_id": ctx.instance_id,
            "event": ctx.event,
            "from_state": ctx.from_state,
            "to_state": ctx.to_state,
            "context": copy.deepcopy(dict(ctx.context)),
            "payload": copy.deepcopy(ctx.payload),
            "input": copy.deepcopy(ctx.input),
            "subject": ctx.subject,
            "metadata": copy.deepcopy(ctx.command_metadata),
            "attempt": None if ctx.run is None else ctx.run.attempt,
            "key": None if ctx.run is None else ctx.run.key,
        }

    def answered(self, answer: Any) -> None:
        """Keep it with its answer."""
        self._calls.append(Call(**self._told, answer=answer))

    def raised(self, error: BaseException) -> None:
        """Keep it with what it raised."""
        self._calls.append(Call(**self._told, raised=error))
