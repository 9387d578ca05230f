"""States: what an instance is in, what that means for its context, and what may happen there."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import Field

from detent.definition.commands import CommandLike, CommandRef
from detent.definition.event import Event
from detent.definition.part import JsonObjectField, Part, constructor

Outcome: TypeAlias = Literal["success", "failure", "cancelled"]
"""How a workflow has ended."""


class OnEnter(Part):
    """What happens by itself after a state is entered: commands, then a hop."""

    target: str | None = None
    """The state to go on to; without one, the instance stays."""
    error: str | None = None
    """The state to go on to when a command answers `Fail`."""
    commands: tuple[CommandRef, ...] = ()
    """What runs, in order, in the same commit as the entry."""
    fork: tuple[str, ...] = ()
    """States in which branches begin, side by side: in each a child of this same version, with a copy of the context. When all
    have ended, the context gets what each ended with under the name of its first state, and `target` is taken; `error` when
    one did not end well. Branches are cancelled when the state is left before.
    """
    metadata: JsonObjectField = Field(default_factory=dict)
    """JSON for the commands to read."""
    description: str | None = None
    """What happens here, for people."""

    @constructor
    def __init__(
        self,
        *,
        target: str | None = None,
        error: str | None = None,
        commands: Sequence[CommandLike] = (),
        fork: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(
            target=target, error=error, commands=commands, fork=fork, metadata=metadata, description=description
        )


class State(Part):
    """One state of a workflow; without events and without a hop it is terminal."""

    context: JsonObjectField = Field(default_factory=dict)
    """What is merged into the context of an instance on entry."""
    events: dict[str, Event] = Field(default_factory=dict)
    """What may happen here, by name."""
    on_enter: OnEnter | None = None
    """What happens by itself after the entry."""
    outcome: Outcome | None = None
    """How an instance that ends here has ended; `null` means success."""
    tags: tuple[str, ...] = ()
    """Words to find and group states by."""
    metadata: JsonObjectField = Field(default_factory=dict)
    """JSON that the runtime does not look at."""
    description: str | None = None
    """What the state means, for people."""

    @constructor
    def __init__(
        self,
        *,
        context: Mapping[str, Any] | None = None,
        events: Mapping[str, Event | Mapping[str, Any]] | None = None,
        on_enter: OnEnter | Mapping[str, Any] | None = None,
        outcome: Outcome | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(
            context=context,
            events=events,
            on_enter=on_enter,
            outcome=outcome,
            tags=tags,
            metadata=metadata,
            description=description,
        )

    @classmethod
    def expand(cls, written: object) -> object:
        """An empty state for `None`, because that is what a name with nothing under it means in YAML."""
        return {} if written is None else written

    @property
    def terminal(self) -> bool:
        """Whether an instance that is here has ended."""
        entry = self.on_enter
        goes_on = entry is not None and (entry.target is not None or entry.error is not None or bool(entry.fork))
        return not self.events and not goes_on

    @property
    def fork(self) -> tuple[str, ...]:
        """The states in which branches begin when it is entered."""
        return () if self.on_enter is None else self.on_enter.fork
