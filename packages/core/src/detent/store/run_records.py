"""Runs: durable transitions in progress, as a store keeps them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.store.quick import quickly_made
from detent.store.records import WorkflowInstance


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    """It waits for a worker, or for its next attempt."""
    RUNNING = "running"
    """A worker holds its lease; when that has expired, any other may take it over."""
    PARKED = "parked"
    """It waits for an operator."""
    COMPLETED = "completed"
    """Its transition is committed."""
    CANCELLED = "cancelled"
    """It was given up, or its instance was."""


class FetchStrategy(StrEnum):
    """Which of the runs that wait is claimed first, among those of the same priority."""

    OLDEST = "oldest"
    """The longest available."""
    NEWEST = "newest"
    """The one that became available last."""
    RANDOM = "random"
    """Any of those that stand first, each as likely as the others, so that many who claim do not go for the same one."""


AMONG = 1000
"""How many of those that stand first a random one is among, at least: that bounds what a claim looks at."""

ENDED_RUNS = frozenset({RunStatus.COMPLETED, RunStatus.CANCELLED})
"""The statuses from which a run never goes on."""
ACTIVE_RUNS = frozenset({RunStatus.PENDING, RunStatus.RUNNING, RunStatus.PARKED})
"""The other ones: an instance has at most one such run; a change that adds another one is undone (`StepRolledBack`)."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What proves that a worker still holds a run: every later claim replaces the token."""

    run_id: UUID
    token: UUID


@quickly_made
@dataclass(frozen=True, slots=True)
class Run:
    """One durable transition in progress: what was accepted, how far it came, and who holds it."""

    id: UUID
    """Also the transition id of what its commands are told, and of the history entries that it ends with."""
    instance_id: UUID
    workflow: str
    definition_version: str
    """The version it was accepted under, and ends under."""
    tenant: str
    event: str
    """The event that is taken; `$on_enter` for the entry of the instance's state."""
    state: str
    """The state the instance is in until the run ends."""
    target: str | None
    """The state that is entered when no command fails; `None` stays."""
    payload: JsonValue
    subject: JsonValue
    trigger_metadata: JsonObject
    by_timer: bool
    """Whether the event fired because its deadline had passed."""
    status: RunStatus
    command: str
    """The next command; empty when only the end is left to commit."""
    queue: str
    """Whose workers take the next command."""
    priority: int
    """Higher ones are claimed first."""
    attempts: int
    """How many attempts of the next command were started; counted when they start."""
    crashes: int
    """Of these, how many ended with the lease and not with an answer."""
    journal: tuple[JsonObject, ...]
    """What commands and guards answered, in the order they were asked."""
    kept: JsonObject
    """What the command under way has kept by `ctx.run.checkpoint`."""
    progress: JsonObject | None
    """What it said by `ctx.run.progress`: `fraction`, `message`."""
    available_at: datetime
    """When it may be claimed next."""
    lease_token: UUID | None
    lease_until: datetime | None
    worker: str | None
    """Who holds it, or held it last."""
    error: JsonObject | None
    """`code` and `message` of the last attempt that failed; of one after which it was parked `traceback` too."""
    reason: str | None
    """Why it is parked, or was cancelled."""
    trace: JsonObject
    """The trace context of whoever asked for it (W3C headers), so that spans chain across processes."""
    created_at: datetime
    updated_at: datetime
    """When it was last written; heartbeats count."""
    finished_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in ACTIVE_RUNS

    @property
    def lease(self) -> Lease | None:
        """What it is held by; `None` while nobody holds it."""
        return None if self.lease_token is None else Lease(self.id, self.lease_token)

    def held_under(self, token: UUID, now: datetime) -> bool:
        """Whether `token` is its lease, and that has not expired. The very instant of expiry is too late."""
        live = self.status is RunStatus.RUNNING and self.lease_until is not None
        return live and self.lease_token == token and self.lease_until is not None and now < self.lease_until

    def takes(self, checkpoint: "Checkpoint", now: datetime) -> bool:
        """Whether `checkpoint` may be saved: its lease is held, and it continues the journal."""
        return self.held_under(checkpoint.lease.token, now) and len(self.journal) == checkpoint.position

    def has_taken(self, checkpoint: "Checkpoint") -> bool:
        """Whether this very checkpoint is the last that was saved, and its lease was kept: somebody missed the answer."""
        last = len(self.journal) == checkpoint.position + 1 and self.journal[-1] == checkpoint.entry
        return last and self.lease_token == checkpoint.lease.token


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that a worker may advance now, and its instance as it is."""

    run: Run
    instance: WorkflowInstance

    @property
    def lease(self) -> Lease:
        """What proves the claim."""
        if self.run.lease is None:
            raise ValueError("a claimed run has a lease token")
        return self.run.lease


@dataclass(frozen=True, slots=True)
class Throttle:
    """What all workers together may take from one queue."""

    concurrency: int | None = None
    """How many runs of it may be held at once."""
    rate: int | None = None
    """How many may be claimed per `per`; as many at once after a rest. Whether whole periods or every stretch of that length are
    counted is the store's.
    """
    per: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RunClaim:
    """What a worker asks for."""

    worker: str
    """Its name, for people."""
    lease: timedelta
    """How long it is held before anybody else may take it over."""
    limit: int
    queues: tuple[str, ...] | None = None
    """Only runs of these queues; of every queue for `None`."""
    except_queues: tuple[str, ...] = ()
    workflows: tuple[str, ...] | None = None
    """Only runs of these workflows."""
    states: tuple[str, ...] | None = None
    """Only runs that began in these states, in which their instances stay until they end."""
    except_versions: tuple[tuple[str, str], ...] = ()
    """Not runs of these (workflow, version): they cannot run in this process."""
    instances: tuple[UUID, ...] | None = None
    """Only runs of these instances."""
    tenant: str | None = None
    strategy: FetchStrategy = FetchStrategy.OLDEST
    throttle: Throttle | None = None
    """What holds for the one queue in `queues` over all workers."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one answer adds to a run's journal, and where the run goes on."""

    lease: Lease
    entry: JsonObject
    """Appended to the journal."""
    position: int
    """How many entries the journal has before it: with another number the checkpoint is refused, so that none is saved twice."""
    command: str
    """The next command; empty when only the end is left."""
    queue: str
    priority: int
    release: timedelta | None = None
    """`None` keeps the lease and starts the next attempt at once (`attempts` 1); otherwise the run is pending again
    (`attempts` 0) and may be claimed after this time.
    """
    extend: timedelta = timedelta(seconds=30)
    """How long the lease that is kept holds from now."""


@dataclass(frozen=True, slots=True)
class Release:
    """A run that its worker gives back unfinished."""

    lease: Lease
    delay: timedelta = timedelta(0)
    """After what time it may be claimed again."""
    error: JsonObject | None = None
    """Why the attempt failed; kept from before where nothing is said."""
    uncount: bool = False
    """Whether the attempt counts as not started: a worker that shuts down, a version that cannot run there."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs: all conditions hold, and one that is `None` holds for every run."""

    statuses: tuple[RunStatus, ...] | None = None
    instance_id: UUID | None = None
    workflows: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    """Those that began in these states."""
    queues: tuple[str, ...] | None = None
    tenant: str | None = None
    expired_before: datetime | None = None
    """Running ones whose lease expired before this instant."""
