"""What each kind of error is to a client: one table, and nothing else picks an error's status.

The rule behind it: what a caller can cause is a 4xx and says what was wrong; what only we can cause is a 5xx and says
nothing about our insides. A guard's no is a 409 as well, although the runtime answers it as a value: over HTTP a client
must not be able to take a refused event for one that happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from detent.errors import (
    CommandFailed,
    Conflict,
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    IncompatibleState,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    NotFound,
    NothingToRetry,
    NotStarted,
    OutcomeUnknown,
    ReentrantTrigger,
    RunNotActive,
    RunNotFound,
    RunParked,
    StepRolledBack,
    StoreOutdated,
    StoreUnavailable,
    UnknownVersion,
    UnknownWorkflow,
    VersionConflict,
    WaitTimeout,
    WorkflowUnavailable,
)
from detent.flows.errors import ContextTooLarge, FlowInvalid, NotWaiting, TokenRefused, UnknownFlow
from detent.triggers.errors import InputRefused, TriggerDisabled, TriggerInvalid, UnknownTrigger
from detent.triggers.signatures import SignatureRefused

OURS = "The server could not finish this; the fault is not in the request."
"""What is told of a fault of ours."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of error is to a client."""

    status: int
    title: str
    data: tuple[str, ...] = ()
    """The attributes of the error that are members of the body."""
    retry_after: int | None = None
    """After how many seconds the same request may be sent again."""
    detail: str | None = None
    """What is said instead of the error's own words, where those are not for clients."""


MEANINGS: Mapping[type[DetentError], Meaning] = {
    InvalidValue: Meaning(400, "Value refused", ("path", "problems")),
    FlowInvalid: Meaning(400, "Flow refused", ("flow", "problems")),
    TriggerInvalid: Meaning(400, "Trigger refused", ("problems",)),
    InputRefused: Meaning(400, "Input refused", ("errors",)),
    SignatureRefused: Meaning(401, "Signature refused", ("fault",)),
    ContextTooLarge: Meaning(413, "Context too large", ("limit",)),
    NotFound: Meaning(404, "Not found"),
    UnknownWorkflow: Meaning(404, "Unknown workflow", ("workflow",)),
    InstanceNotFound: Meaning(404, "Instance not found", ("instance_id",)),
    RunNotFound: Meaning(404, "Run not found", ("run_id",)),
    UnknownFlow: Meaning(404, "Unknown flow", ("flow", "version")),
    UnknownTrigger: Meaning(404, "Unknown trigger", ("trigger",)),
    # The instance is there and this deployment cannot run it: as with IncompatibleState, it is the pair that conflicts.
    UnknownVersion: Meaning(409, "Version not available", ("workflow", "version")),
    Conflict: Meaning(409, "Not possible now"),
    EventNotAvailable: Meaning(409, "Event not available", ("instance_id", "state", "event", "available")),
    EventRefused: Meaning(409, "Event refused", ("instance_id", "state", "event", "reason", "history_sequence")),
    IncompatibleState: Meaning(409, "State unknown to this version", ("instance_id", "workflow", "version", "state")),
    InstancePaused: Meaning(409, "Instance paused", ("instance_id",)),
    InstanceFinished: Meaning(409, "Instance finished", ("instance_id", "status")),
    InstanceNotFinished: Meaning(409, "Instance not finished", ("instance_id", "status")),
    # Not a 412, also where the version came in If-Match: one error has one status, wherever the version stood.
    VersionConflict: Meaning(409, "Version conflict", ("instance_id", "expected", "found")),
    NothingToRetry: Meaning(409, "Nothing to retry", ("instance_id",)),
    InstanceBusy: Meaning(409, "Instance busy", ("instance_id", "run_id"), retry_after=1),
    RunNotActive: Meaning(409, "Run not active", ("run_id", "status")),
    RunParked: Meaning(409, "Run parked", ("instance_id", "run_id", "reason")),
    ReentrantTrigger: Meaning(409, "Reentrant trigger", ("instance_id",)),
    IdempotencyConflict: Meaning(409, "Idempotency key used before", ("key",)),
    NotWaiting: Meaning(409, "Not waiting", ("execution_id",)),
    TokenRefused: Meaning(409, "Token refused", ("reason",)),
    TriggerDisabled: Meaning(409, "Trigger disabled", ("trigger_id",)),
    WaitTimeout: Meaning(409, "Not there yet", ("instance_id", "state", "seconds"), retry_after=1),
    CommandFailed: Meaning(422, "Command failed", ("event", "failure_code", "failure_message")),
    StoreUnavailable: Meaning(
        503, "Store unavailable", retry_after=1, detail="Nothing was applied; the same request may be sent again."
    ),
    StepRolledBack: Meaning(
        503, "Store unavailable", retry_after=1, detail="Nothing was applied; the same request may be sent again."
    ),
    StoreOutdated: Meaning(503, "Store unavailable", detail="The database is not at the version this server needs."),
    # What is missing here, its words say, and those are for operators.
    WorkflowUnavailable: Meaning(
        503,
        "Workflow unavailable",
        ("workflow",),
        detail="This server cannot run the workflow now; nothing was applied.",
    ),
    NotStarted: Meaning(503, "Not running", detail="The workflow runtime is starting or stopping."),
    # Not a 503: clients and proxies send those again by themselves, and this one may have been applied.
    OutcomeUnknown: Meaning(
        500,
        "Outcome unknown",
        ("instance_id", "version_before"),
        detail="The step may or may not have been applied: read the instance before trying again.",
    ),
    # The rest is ours: definitions, registrations, answers of commands, connections that were lent.
    DetentError: Meaning(500, "Internal error", detail=OURS),
}
"""What each kind of error is to a client; the nearest ancestor speaks for a class that is not listed."""

MEMBERS: Mapping[str, str] = {"status": "instance_status"}
"""What attributes are called in the body where a problem has a member of that name: its `status` is the one of HTTP."""


def meaning_of(error: DetentError) -> Meaning:
    """What `error` is to a client: its own row of `MEANINGS`, or that of its nearest ancestor."""
    return next(MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS)
