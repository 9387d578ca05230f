"""What remains of a workflow: plain, frozen values whose JSON parts are ordinary dicts and lists."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.store.quick import quickly_made


class Status(StrEnum):
    """Where an instance stands in its life."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
"""The statuses from which nothing goes on by itself."""
LIVE = frozenset({Status.ACTIVE, Status.PAUSED})
"""The other ones."""


class Outcome(StrEnum):
    """How one attempt ended."""

    SUCCESS = "success"
    """The target was taken."""
    FAILURE = "failure"
    """A command failed and the `error` target was taken."""
    REFUSED = "refused"
    """A guard said no; state, context and deadlines are as before."""
    FAILED = "failed"
    """The attempt was rolled back; only this entry tells of it."""
    ACCEPTED = "accepted"
    """A worker will finish it."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline of the state an instance is in."""

    event: str
    """The event that fires by itself."""
    due: datetime
    """When it fires, or fires next after a refusal or a failure."""
    attempts: int = 0
    """How many firings were refused or failed."""
    parked: bool = False
    """Whether it waits for an operator, because its attempts are used up."""
    reason: str | None = None
    """Why the last firing did not succeed."""
    interrupts: bool = False
    """Whether it fires although a run is under way, and cancels it."""


WaitFor: TypeAlias = Literal["each", "all", "any"]
"""Of which children a parent hears: of each one's end, of the last one's, or of the first one's."""


@dataclass(frozen=True, slots=True)
class ParentLink:
    """How a parent hears of a child's end: by an event that is sent to it."""

    event: str
    wait_for: WaitFor = "each"
    group: str = ""
    """The children that are counted together for `all` and `any`."""
    since: int = 0
    """The version of the parent when the child was started: what the parent took later than that may have been about it."""


@quickly_made
@dataclass(frozen=True, slots=True)
class WorkflowInstance:
    """One business object in exactly one state: the row, and what `create_instance` and `get_instance` answer."""

    id: UUID
    workflow: str
    state: str
    status: Status
    version: int
    """The sequence of the last history entry: n entries raise it by n, and creation is entry 1."""
    definition_version: str
    context: JsonObject
    """Mutable JSON of the instance."""
    metadata: JsonObject
    """Labels given at creation, never changed."""
    timers: tuple[Timer, ...]
    """The deadlines of the current state."""
    due_at: datetime | None
    """The earliest timer that is not parked; `None` while a run is under way."""
    entered_at: datetime
    """When the current state was entered."""
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    """When it was completed, failed or was cancelled."""
    parked_at: datetime | None = None
    """Since when one of its timers, or its run, waits for an operator."""
    tenant: str = ""
    """Whose it is; empty without tenants. Given at creation, never changed."""
    parent_id: UUID | None = None
    """The instance that it was created for, if any. Given at creation, never changed."""
    parent_link: ParentLink | None = None
    """How its parent hears of its end, if at all. Given at creation, never changed."""
    run_id: UUID | None = None
    """The run that is under way: until it ends no event is taken and no timer fires."""
    created: bool = False
    """Whether this call created it; never stored."""


@quickly_made
@dataclass(frozen=True, slots=True)
class CommandRecord:
    """What one command answered, as history keeps it."""

    name: str
    ok: bool
    code: str | None = None
    message: str | None = None
    data: JsonValue = None
    best_effort: bool = False
    compensates: str | None = None
    """The command that this one undid, because a later one failed."""


@dataclass(frozen=True, slots=True)
class ContextChange:
    """One value of a context that a step put there, replaced or took out, as history keeps it."""

    op: Literal["add", "replace", "remove"]
    path: str
    """Where, as a JSON pointer (RFC 6901): `/order/total`; empty for the whole context."""
    value: JsonValue = None
    """What is there since; nothing where it was removed."""
    was: JsonValue = None
    """What was there before; nothing where it was added."""
    omitted: bool = False
    """Whether the values are left out, because the entry would have become too large."""

    def to_json(self) -> JsonObject:
        """As it is kept: without what an `op` does not have, so that what is absent is told from null."""
        told: JsonObject = {"op": self.op, "path": self.path}
        if self.omitted:
            return {**told, "omitted": True}
        if self.op != "remove":
            told["value"] = self.value
        if self.op != "add":
            told["was"] = self.was
        return told


@quickly_made
@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to an instance; never changed once written."""

    instance_id: UUID
    sequence: int
    """1 for the creation, then one more for each entry, without gaps."""
    event: str
    """The event's name; names that start with `$` are Detent's own: `$created`, `$on_enter`."""
    from_state: str | None
    """`None` for the creation."""
    to_state: str
    outcome: Outcome
    commands: tuple[CommandRecord, ...]
    """What the commands answered, in the order they ran."""
    reason: str | None
    """Why a guard refused, or why a command failed."""
    error: JsonObject | None
    """For `failed` entries: `code` and `message` of what was raised."""
    payload: JsonValue
    """What came with the event."""
    trigger_metadata: JsonObject
    """Who and why; the same on all entries of one commit."""
    transition_id: UUID
    """The same on all entries of one commit."""
    definition_version: str
    created_at: datetime
    changes: tuple[ContextChange, ...] | None = None
    """What changed in the context since the entry before; `None` where that was not recorded."""


@quickly_made
@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """What makes an idempotency key unique."""

    scope: str
    """`workflow:NAME` for creations, the instance's id for its events."""
    key: str
    tenant: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class Receipt:
    """What an idempotency key was answered."""

    key: ReceiptKey
    instance_id: UUID
    fingerprint: str | None
    """What the caller said identifies the request; another one under the same key is a conflict."""
    answer: JsonObject
    """The stored answer, as JSON."""
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """What remains of an instance that was removed: that it was there, who removed it and why, and if archived, all of it."""

    instance_id: UUID
    workflow: str
    definition_version: str
    tenant: str
    state: str
    """The state it was in."""
    status: Status
    created_at: datetime
    finished_at: datetime | None
    removed_at: datetime
    reason: str | None
    """Why it was removed."""
    trigger_metadata: JsonObject
    """Who removed it."""
    document: JsonObject | None
    """The whole instance and its history; `None` when it was deleted for good."""


@dataclass(frozen=True, slots=True)
class DefinitionSnapshot:
    """A version of a workflow as the store keeps it, so that instances pinned to it outlive the code."""

    workflow: str
    version: str
    fingerprint: str
    definition: JsonObject
    created_at: datetime
