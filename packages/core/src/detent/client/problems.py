"""Errors that come over HTTP as `application/problem+json`: those of the runtime, as far as a client may know them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from detent.errors import (
    CommandFailed,
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    IncompatibleState,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
    NothingToRetry,
    OutcomeUnknown,
    RunNotActive,
    StoreUnavailable,
    UnknownVersion,
    UnknownWorkflow,
    VersionConflict,
)
from detent.problems import Problem

Told = Mapping[str, Any]
"""The members of a problem."""


class AnswerRefused(DetentError):
    """The server refused a request, or failed at it, with an error that is none of those which the runtime raises here."""

    code = "answer_refused"

    def __init__(self, status: int, told: Told) -> None:
        super().__init__(str(told.get("detail") or f"the server answered with {status}"), hint=told.get("hint"))
        self.status = status
        self.problem = str(told.get("code", "unknown"))
        """The stable name of the error that the server told."""
        self.data = dict(told)
        """All that it told."""


class ServerUnreachable(DetentError):
    """No answer came, however often the request was sent."""

    code = "server_unreachable"

    def __init__(self, url: str, reason: str, idempotency_key: str | None = None, *, maybe_done: bool = False) -> None:
        super().__init__(f"{url} does not answer: {reason}", hint=_what_to_do(idempotency_key) if maybe_done else None)
        self.url = url
        self.idempotency_key = idempotency_key
        """The key it was sent under: sent again under that, it does nothing twice."""
        self.maybe_done = maybe_done
        """Whether it may have been carried out: it would change something, and may have arrived."""


def error_in(status: int, told: Told) -> DetentError:
    """The error that an answer tells of."""
    make = _KNOWN.get(str(told.get("code")))
    try:
        error = AnswerRefused(status, told) if make is None else make(told)
    except (KeyError, ValueError, TypeError, AttributeError):
        return AnswerRefused(status, told)
    error.hint = told.get("hint", error.hint)
    return error


def _what_to_do(key: str | None) -> str:
    if key is None:
        return "it may have been carried out: read the instance before sending it again"
    return f"it may have been carried out: send it again under the key {key!r}"


def _invalid_value(told: Told) -> InvalidValue:
    path = str(told["path"])
    problems = [Problem(each["path"], each["code"], each["message"], each["hint"]) for each in told.get("problems", ())]
    return InvalidValue(path, str(told["detail"]).removeprefix(f"{path} "), problems=problems)


def _busy(told: Told) -> InstanceBusy:
    run_id = told.get("run_id")
    return InstanceBusy(UUID(told["instance_id"]), None if run_id is None else UUID(run_id))


def _command_failed(told: Told) -> CommandFailed:
    error = CommandFailed(told.get("command", ""), told["event"], told["failure_code"], told["failure_message"])
    # Which command it was stands in the server's words alone.
    error.message = str(told["detail"])
    return error


_KNOWN: Mapping[str, Callable[[Told], DetentError]] = {
    InvalidValue.code: _invalid_value,
    UnknownWorkflow.code: lambda told: UnknownWorkflow(told["workflow"], ()),
    InstanceNotFound.code: lambda told: InstanceNotFound(UUID(told["instance_id"])),
    EventNotAvailable.code: lambda told: EventNotAvailable(
        UUID(told["instance_id"]), told["state"], told["event"], told["available"]
    ),
    EventRefused.code: lambda told: EventRefused(
        UUID(told["instance_id"]), told["state"], told["event"], told["reason"], told["history_sequence"]
    ),
    VersionConflict.code: lambda told: VersionConflict(UUID(told["instance_id"]), told["expected"], told["found"]),
    InstancePaused.code: lambda told: InstancePaused(UUID(told["instance_id"])),
    InstanceFinished.code: lambda told: InstanceFinished(UUID(told["instance_id"]), told["instance_status"]),
    IdempotencyConflict.code: lambda told: IdempotencyConflict(told["key"]),
    InstanceBusy.code: _busy,
    NothingToRetry.code: lambda told: NothingToRetry(UUID(told["instance_id"])),
    RunNotActive.code: lambda told: RunNotActive(UUID(told["run_id"]), told["instance_status"]),
    UnknownVersion.code: lambda told: UnknownVersion(told["workflow"], told["version"]),
    IncompatibleState.code: lambda told: IncompatibleState(
        UUID(told["instance_id"]), told["workflow"], told["version"], told["state"]
    ),
    CommandFailed.code: _command_failed,
    StoreUnavailable.code: lambda _: StoreUnavailable("the server cannot reach it"),
    OutcomeUnknown.code: lambda told: OutcomeUnknown(UUID(told["instance_id"]), told["version_before"]),
}
"""Those that the routes answer and a caller may want to tell apart; the rest is `AnswerRefused`, with all that was told."""
