"""Events: what may happen in a state, and where it leads."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, StrictBool

from detent.definition.commands import CommandLike, CommandRef
from detent.definition.data_model import DataModel, DataModelLike
from detent.definition.guards import GuardExpression, GuardLike
from detent.definition.part import JsonObjectField, Part, constructor
from detent.definition.timeout import Timeout, TimeoutLike


class Branch(Part):
    """A target that is taken instead of the event's own when its guard passes."""

    guard: GuardExpression
    """The guard that decides whether this branch is taken."""
    target: str
    """The state it leads to."""

    @constructor
    def __init__(self, *, guard: GuardLike, target: str) -> None:
        super().__init__(guard=guard, target=target)


class Event(Part):
    """Something that may happen in a state: who may refuse it, what runs, and where it leads."""

    target: str | None = None
    """The state it leads to. Without one, the event enters its own state again, unless it is internal."""
    error: str | None = None
    """The state it leads to when a command answers `Fail`; without one, a failure rolls everything back."""
    branches: tuple[Branch, ...] = ()
    """Other targets, asked in order before `target`; the first whose guard passes is taken."""
    commands: tuple[CommandRef, ...] = ()
    """What runs, in order, in the transaction of the transition."""
    guard: GuardExpression | None = None
    """Who may refuse the event."""
    timeout: Timeout | None = None
    """When the event fires by itself."""
    payload: DataModel | None = None
    """What the JSON that comes with the event must look like."""
    internal: StrictBool = False
    """Whether the event leaves the state alone: deadlines are kept and the state is not entered again."""
    metadata: JsonObjectField = Field(default_factory=dict)
    """JSON for whoever lists events, such as a button's label."""
    description: str | None = None
    """What the event means, for people."""

    @constructor
    def __init__(
        self,
        *,
        target: str | None = None,
        error: str | None = None,
        branches: Sequence[Branch | Mapping[str, Any]] = (),
        commands: Sequence[CommandLike] = (),
        guard: GuardLike | None = None,
        timeout: TimeoutLike | None = None,
        payload: DataModelLike | None = None,
        internal: bool = False,
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(
            target=target,
            error=error,
            branches=branches,
            commands=commands,
            guard=guard,
            timeout=timeout,
            payload=payload,
            internal=internal,
            metadata=metadata,
            description=description,
        )
