"""The JSON that the commands of operators answer beside that of `schemas`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

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
