"""The JSON that the commands of operators answer beside that of `schemas`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from detent.service.http.trigger_views import InvocationView
from detent.service.schemas import EventView, HistoryEntryView, InstanceView, StoredVersionView


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class InstanceListView(_View):
    """Some of the instances that were found."""

    instances: list[InstanceView]
    cursor: str | None = Field(description="Where the next page begins; null when this is the last.")


class ExplainedView(InstanceView):
    """One instance, and where it stands in sentences."""

    explanation: list[str] = Field(description="The last ones are the problems.")
    problems: list[str] = Field(description="What holds it up; empty when all is well.")


class HistoryView(_View):
    """Some of what happened to an instance, the newest first."""

    entries: list[HistoryEntryView]
    before: int | None = Field(description="Where the next page begins; null when this is the last.")


class EventListView(_View):
    """The events that an instance's state declares."""

    events: list[EventView]


class MessageView(_View):
    """An event that was sent and is kept until it can be taken."""

    id: UUID
    instance_id: UUID
    event: str
    payload: Any
    created_at: datetime
    available_at: datetime
    expires_at: datetime | None
    attempts: int = Field(description="How often it was refused or failed.")
    dead_at: datetime | None = Field(description="Since when it waits for an operator.")
    reason: str | None = Field(description="Why it was not taken so far.")
    key: str | None = Field(description="The idempotency key under which the event is taken.")
    tenant: str
    number: int = Field(description="Its place in the order of arrival.")


class MessageListView(_View):
    """Some of the messages to instances, in the order of their arrival."""

    messages: list[MessageView]
    after: int | None = Field(description="The last one's number, for the next page; null when this is the last.")


class DeliveryView(_View):
    """One published message on its way to one subscriber."""

    id: UUID
    message_id: UUID
    subscriber: str
    instance_id: UUID
    workflow: str
    topic: str
    key: str | None
    payload: Any
    headers: dict[str, Any]
    status: Literal["pending", "delivered", "dead"]
    attempts: int
    error: dict[str, Any] | None = Field(description="code and message of the last attempt that failed.")
    created_at: datetime
    available_at: datetime
    finished_at: datetime | None = Field(description="When it was delivered or given up.")
    tenant: str
    number: int = Field(description="Its place in the order of writing.")


class DeliveryListView(_View):
    """Some of the deliveries to subscribers, in the order they were written."""

    deliveries: list[DeliveryView]
    after: int | None = Field(description="The last one's number, for the next page; null when this is the last.")


class MendedView(_View):
    """What was done to messages or deliveries."""

    verb: Literal["revive", "discard", "replay"]
    dry_run: bool
    changed: list[UUID] = Field(description="Those it was done to; those it would be tried on, in a dry run.")
    unchanged: list[UUID] = Field(description="Those that are not there, or not in a state to have it done.")


class ScheduleView(_View):
    """One trigger, and how often it was invoked."""

    id: UUID
    name: str
    kind: Literal["cron", "http", "event"]
    flow: str
    flow_version: str | None = Field(description="Null for the newest.")
    expression: str | None = Field(description="Of a cron trigger: its cron expression.")
    timezone: str | None = Field(description="Of a cron trigger: where its expression is read.")
    topics: list[str] = Field(description="Of an event trigger: what it hears of.")
    state: Literal["enabled", "disabled", "paused", "deleted"]
    parked: str | None = Field(description="Why its schedule waits for an operator, if it does.")
    last_at: datetime | None = Field(description="When it was last invoked.")
    next_at: datetime | None = Field(description="When it fires by itself; null where it does not.")
    invocations: int
    failures: int = Field(description="How many of them started nothing though they should have.")
    turned_away: int = Field(description="How many calls and messages were not taken.")
    executions: int = Field(description="How many executions it started.")
    tenant: str
    created_at: datetime


class ScheduleListView(_View):
    """Triggers, by name."""

    schedules: list[ScheduleView]


class ScheduleDetailView(ScheduleView):
    """One trigger as it was written."""

    by_status: dict[str, int] = Field(description="Its invocations, by what came of them.")
    written: dict[str, Any]


class ScheduleHistoryView(_View):
    """Some of the invocations of a trigger, the newest first."""

    invocations: list[InvocationView]
    before: int | None = Field(description="Where the next page begins; null when this is the last.")


class TokenView(_View):
    """What is known of a resume token, which is not the token itself."""

    hash: str = Field(description="SHA-256 of the token, in hex.")
    execution_id: UUID
    step_id: str = Field(description="The step that it resumes.")
    state: Literal["pending", "used", "revoked", "expired"]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    metadata: dict[str, Any]


class TokenListView(_View):
    """The resume tokens that an execution keeps, the oldest first."""

    tokens: list[TokenView]


class NewTokenView(TokenView):
    """A resume token that was just made."""

    token: str = Field(description="The token itself, told this once.")


class JudgedTokenView(_View):
    """Whether a token could resume its execution now."""

    valid: bool
    reason: str | None = Field(description="Why not: unknown, used, revoked, expired or for another step.")
    token: TokenView | None = Field(description="What is known of it.")


class ExecutionView(_View):
    """Where an execution of a flow stands."""

    id: UUID
    flow_id: str
    flow_version: str
    status: str
    current_step: str | None


class RunView(_View):
    """One durable transition in progress."""

    id: UUID
    instance_id: UUID
    workflow: str
    definition_version: str
    tenant: str
    event: str
    state: str
    target: str | None
    status: str
    command: str = Field(description="The next command; empty when only the end is left to commit.")
    queue: str
    priority: int
    attempts: int
    crashes: int
    progress: dict[str, Any] | None
    available_at: datetime
    lease_until: datetime | None
    worker: str | None
    error: dict[str, Any] | None
    reason: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class RunListView(_View):
    """Some of the runs, the newest first."""

    runs: list[RunView]
    after: UUID | None = Field(description="The last one's id, for the next page; null when this is the last.")


class FailureView(_View):
    """One instance that a verb could not be done to."""

    instance_id: UUID
    code: str
    message: str


class BulkView(_View):
    """What a verb of operators did, instance by instance."""

    verb: str
    dry_run: bool
    changed: list[UUID] = Field(description="Those it was done to; those it would be tried on, in a dry run.")
    unchanged: list[UUID] = Field(description="Those that were so already.")
    failed: list[FailureView]
    cursor: str | None = Field(description="Where the next ones begin; null when there are no more.")


class VersionView(StoredVersionView):
    """One stored version of a workflow, and of which."""

    workflow: str


class DefinitionListView(_View):
    """The stored versions of all workflows."""

    definitions: list[VersionView]


class FindingView(_View):
    """What one check found."""

    check: str
    status: Literal["ok", "attention", "error"]
    detail: str
    fix: str | None = Field(description="What to do about it.")


class ExaminationView(_View):
    """What all checks found."""

    ok: bool = Field(description="Whether nothing is to be done.")
    findings: list[FindingView]
