"""The names that labels may have: a closed set, so that what somebody sends never makes a new time series."""

from collections.abc import Iterable

from detent.definition.model import WorkflowDefinition
from detent.definition.walk import each_command, each_event
from detent.runtime.event_names import (
    CANCELLED,
    CREATED,
    FORCED,
    IN_PLACE,
    ON_ENTER,
)

OTHER = "other"
"""What a name is called that no definition declares."""

_OWN = IN_PLACE | {CREATED, ON_ENTER, CANCELLED, FORCED}


class LabelNames:
    """Knows the names that definitions declare."""

    def __init__(self, definitions: Iterable[WorkflowDefinition]) -> None:
        self._events: dict[str, set[str]] = {}
        self._commands: dict[str, set[str]] = {}
        for definition in definitions:
            events = self._events.setdefault(definition.name, set(_OWN))
            events.update(placed.name for placed in each_event(definition))
            commands = self._commands.setdefault(definition.name, set())
            commands.update(command.name for _, command in each_command(definition))

    def workflow(self, name: str) -> str:
        """The name of a workflow."""
        return name if name in self._events else OTHER

    def event(self, workflow: str, name: str) -> str:
        """The name of an event of a workflow, or of what Detent does by itself."""
        return name if name in self._events.get(workflow, _OWN) else OTHER

    def command(self, workflow: str, name: str) -> str:
        """The name of a command of a workflow."""
        return name if name in self._commands.get(workflow, ()) else OTHER
