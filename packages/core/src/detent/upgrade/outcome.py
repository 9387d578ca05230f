"""What becomes of one instance in an upgrade: it is moved, it is passed over, or it cannot be moved."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.records import Timer, WorkflowInstance


class SkipCode(StrEnum):
    """Why an instance is passed over; stable, for machines."""

    NOT_FOUND = "not_found"
    """There is no such instance, or it is another tenant's."""
    OTHER_WORKFLOW = "other_workflow"
    ALREADY_THERE = "already_there"
    """It is on the target version."""
    OTHER_VERSION = "other_version"
    """It is not on the version that was named."""
    NEWER_VERSION = "newer_version"
    """It is on a newer version than the target, and that was not named."""
    FINISHED = "finished"
    OTHER_METADATA = "other_metadata"
    STATE_EXCLUDED = "state_excluded"
    """Its state is not among those that were asked for."""
    BUSY = "busy"
    """A run of it is under way."""
    STATE_MISSING = "state_missing"
    """The target does not have its state, and nothing is mapped to it."""
    ON_ENTER = "on_enter"
    """Its state has an `on_enter` in the target that has not run for it."""
    BRANCHES = "branches"
    """It waits in its state for branches, and the target waits for none there."""
    WOULD_FINISH = "would_finish"
    """It goes on, and the target ends in its state."""
    WOULD_REOPEN = "would_reopen"
    """It has ended, and the target goes on from its state."""


class FailureCode(StrEnum):
    """Why an instance cannot be moved; stable, for machines. What the step itself raises has the code of that error."""

    TRANSFORM_FAILED = "transform_failed"
    """The transform raised, or answered no JSON object."""
    CONTEXT_INVALID = "context_invalid"
    """Its context does not fit the target's context model."""
    DEADLINE_INVALID = "deadline_invalid"
    """A timeout of the target reads a deadline from its context that is not there."""


@dataclass(frozen=True, slots=True)
class DeadlineChange:
    """When one event of the state fires by itself, before and after; `None` where it does not."""

    event: str
    before: datetime | None
    after: datetime | None


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An instance before and after it was moved, or would be."""

    before: WorkflowInstance
    after: WorkflowInstance

    @property
    def instance_id(self) -> UUID:
        return self.before.id

    @property
    def from_version(self) -> str:
        return self.before.definition_version

    @property
    def to_version(self) -> str:
        return self.after.definition_version

    @property
    def from_state(self) -> str:
        return self.before.state

    @property
    def to_state(self) -> str:
        return self.after.state

    @property
    def context_put(self) -> JsonObject:
        """The keys of the context that are new or have another value."""
        before, after = self.before.context, self.after.context
        return {key: value for key, value in after.items() if key not in before or not _same(before[key], value)}

    @property
    def context_removed(self) -> tuple[str, ...]:
        """The keys that are not in the context any more."""
        return tuple(key for key in self.before.context if key not in self.after.context)

    @property
    def deadlines(self) -> tuple[DeadlineChange, ...]:
        """The deadlines before and after, by event, those that stay the same included."""
        before, after = _armed(self.before.timers), _armed(self.after.timers)
        return tuple(DeadlineChange(event, before.get(event), after.get(event)) for event in {**before, **after})


@dataclass(frozen=True, slots=True)
class Skipped:
    """An instance that is passed over and stays as it is."""

    instance_id: UUID
    code: SkipCode
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An instance that should be moved and cannot be; it stays as it is."""

    instance_id: UUID
    code: str
    """A `FailureCode`, or the code of what the step raised."""
    reason: str


UpgradeOutcome: TypeAlias = Upgraded | Skipped | Failed
"""What becomes of one instance."""


def _armed(timers: tuple[Timer, ...]) -> dict[str, datetime]:
    """When each event fires; not those that are parked, which do not."""
    return {timer.event: timer.due for timer in timers if not timer.parked}


def _same(before: object, after: object) -> bool:
    """Whether both are the same JSON; to Python, `True` is `1` and `1` is `1.0`."""
    return before == after and repr(before) == repr(after)
