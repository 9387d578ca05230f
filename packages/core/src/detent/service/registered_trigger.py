"""A trigger as it stands, seen in the instance that it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self, TypeAlias, cast, get_args
from uuid import UUID

from detent.errors import InvalidValue
from detent.problems import did_you_mean
from detent.service.trigger_commands import trigger_in
from detent.store.records import LIVE, Status, WorkflowInstance
from detent.triggers.definition import DELETED, ENABLED, NEXT_AT, PAUSED
from detent.triggers.errors import TriggerInvalid
from detent.triggers.trigger import Trigger

TriggerState: TypeAlias = Literal["enabled", "disabled", "paused", "deleted"]
"""The states of a trigger. One whose instance an operator paused or cancelled is paused or deleted like any other."""


@dataclass(frozen=True, slots=True)
class RegisteredTrigger:
    """A trigger as it stands."""

    id: UUID
    trigger: Trigger
    """What was written."""
    state: TriggerState
    next_at: datetime | None
    """When it fires by itself; `None` where it does not, or is not enabled."""
    tenant: str
    """Whose it is; empty without tenants."""
    parked: str | None
    """Why its schedule waits for an operator, if it does."""
    created_at: datetime
    created: bool = False
    """Whether this very registration made it."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.trigger.name

    @classmethod
    def of(cls, instance: WorkflowInstance) -> Self:
        """The trigger that an instance is."""
        state = state_of(instance)
        next_at = instance.context.get(NEXT_AT) if state == ENABLED else None
        return cls(
            id=instance.id,
            trigger=trigger_in(instance.context),
            state=state,
            next_at=None if next_at is None else datetime.fromisoformat(next_at),
            tenant=instance.tenant,
            parked=next((timer.reason or "tried in vain" for timer in instance.timers if timer.parked), None),
            created_at=instance.created_at,
            created=instance.created,
        )


def read_if_possible(instance: WorkflowInstance) -> RegisteredTrigger | None:
    """The trigger that an instance is; `None` for one written where more is installed than here."""
    try:
        return RegisteredTrigger.of(instance)
    except TriggerInvalid:
        return None


def state_of(instance: WorkflowInstance) -> TriggerState:
    """The state of the trigger that an instance is."""
    if instance.status not in LIVE:
        return cast(TriggerState, DELETED)
    return cast(TriggerState, PAUSED if instance.status is Status.PAUSED else instance.state)


def check_state(state: str | None) -> None:
    """Raise `InvalidValue` unless `state` is one, or none is asked for."""
    if state is not None and state not in get_args(TriggerState):
        raise InvalidValue("state", f"is {state!r}", hint=did_you_mean(state, get_args(TriggerState)))
