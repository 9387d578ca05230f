"""The invocations of a trigger, counted as they are logged, so that nobody has to read the log to know how many there were.

The tally stands in the trigger's context, and each entry of the log carries it as it was then: the difference between two of them
is what happened between.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from detent.json_values import JsonObject
from detent.triggers.definition import TALLY


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a trigger was invoked so far."""

    by_status: Mapping[str, int] = field(default_factory=dict[str, int])
    executions: int = 0
    """How many it started."""
    last_at: datetime | None = None
    """When it was last invoked."""

    @classmethod
    def of(cls, kept: JsonObject) -> Self:
        """What stands in a trigger's context, or in the data of an entry of its log."""
        told: Mapping[str, Any] = kept.get(TALLY) or {}
        at = told.get("last_at")
        return cls(
            dict(told.get("by_status", {})),
            told.get("executions", 0),
            None if at is None else datetime.fromisoformat(at),
        )

    def to_json(self) -> JsonObject:
        """As it is kept."""
        at = None if self.last_at is None else self.last_at.isoformat()
        return {"by_status": dict(self.by_status), "executions": self.executions, "last_at": at}

    def and_one(self, status: str, executions: int, at: datetime) -> Self:
        """The same with one invocation more, which started `executions`."""
        counted = {**self.by_status, status: self.by_status.get(status, 0) + 1}
        return type(self)(counted, self.executions + executions, at)

    def after(self, earlier: Self) -> Self:
        """What came after `earlier`, a tally of the same trigger."""
        left = {status: count - earlier.by_status.get(status, 0) for status, count in self.by_status.items()}
        counted = {status: count for status, count in left.items() if count}
        return type(self)(counted, self.executions - earlier.executions, self.last_at if counted else None)
