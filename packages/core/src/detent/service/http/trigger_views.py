"""The JSON of the routes of triggers: what comes in and what goes out."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from detent.service.registered_trigger import RegisteredTrigger


class _Incoming(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Outgoing(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Held(_Incoming):
    """What may come with a pause."""

    reason: str | None = Field(default=None, description="Why, for the log.")


class Fire(_Incoming):
    """What a trigger is fired with."""

    payload: Any = Field(
        default=None, description="JSON, which stands in the context under the trigger's `context_key`."
    )


class TriggerStateView(_Outgoing):
    """A trigger as it stands."""

    id: UUID
    name: str
    kind: str = Field(description="`http`, `cron` or `event`.")
    flow: str = Field(description="The flow that it starts.")
    version: str | None = Field(description="Of the flow; the newest where nothing is said.")
    description: str | None
    state: str = Field(description="`enabled`, `disabled`, `paused` or `deleted`.")
    next_at: datetime | None = Field(description="When it fires by itself.")
    parked: str | None = Field(description="Why its schedule waits for an operator, if it does.")
    tenant: str = Field(description="Whose it is; empty without tenants.")
    created_at: datetime

    @classmethod
    def of(cls, found: RegisteredTrigger) -> Self:
        """The view of a trigger."""
        return cls(**_fields_of(found))


class TriggerStatisticsView(_Outgoing):
    """The invocations of a trigger, counted."""

    total: int
    by_status: dict[str, int]
    executions: int = Field(description="How many were started.")
    last_at: datetime | None = Field(description="When it was last invoked.")


class TriggerDetailsView(TriggerStateView):
    """A trigger, what was written of it, and what it did."""

    trigger: dict[str, Any] = Field(description="What was written.")
    statistics: TriggerStatisticsView

    @classmethod
    def counted(cls, found: RegisteredTrigger, statistics: TriggerStatisticsView) -> Self:
        """The view of a trigger and its counts."""
        written = found.trigger.model_dump(mode="json")
        return cls(**_fields_of(found), trigger=written, statistics=statistics)


class InvocationView(_Outgoing):
    """One time that a trigger was fired, or called in vain."""

    sequence: int
    at: datetime
    status: str
    source: str | None = Field(description="`cron`, `http`, `event`, `manual` or `backfill`.")
    executions: list[UUID]
    scheduled_at: list[datetime] = Field(description="The instants of the schedule that it fired.")
    key: str | None
    body: Any
    errors: list["InputErrorView"]
    error: dict[str, Any] | None


class InputErrorView(_Outgoing):
    """What is wrong with a body."""

    path: str
    message: str
    keyword: str


class FiredView(_Outgoing):
    """What came of a firing."""

    execution_id: UUID
    created: bool = Field(description="Whether it was started now.")


def _fields_of(found: RegisteredTrigger) -> dict[str, Any]:
    trigger = found.trigger
    return {
        "id": found.id,
        "name": trigger.name,
        "kind": trigger.kind,
        "flow": trigger.flow,
        "version": trigger.version,
        "description": trigger.description,
        "state": found.state,
        "next_at": found.next_at,
        "parked": found.parked,
        "tenant": found.tenant,
        "created_at": found.created_at,
    }
