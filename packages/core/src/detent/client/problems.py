"""Errors that come over HTTP as `application/problem+json`: those of the runtime, as far as a client may know them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from detent.errors import (
    DetentError,
    EventNotAvailable,
    EventRefused,
    IdempotencyConflict,
    InstanceBusy,
    InstanceFinished,
    InstanceNotFound,
    InstancePaused,
    InvalidValue,
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
    """No answer came, however often the request was sent: it may have been carried out.

    Sending it again under the same `idempotency_key` finds out, and does nothing twice.
    """

    code = "server_unreachable"

    def __init__(self, url: str, reason: str, idempotency_key: str | None) -> None:
        hint = None if idempotency_key is None else f"send it again under the key {idempotency_key!r}"
        super().__init__(f"{url} does not answer: {reason}", hint=hint)
        self.url = url
        self.idempotency_key = idempotency_key


def error_in(status: int, told: Told) -> DetentError:
    """The error that an answer tells of."""
    make = _KNOWN.get(str(told.get("code")))
    try:
        error = AnswerRefused(status, told) if make is None else make(told)
    except (KeyError, ValueError, TypeError):
        return AnswerRefused(status, told)
    error.hint = told.get("hint", error.hint)
    return error


def _invalid_value(told: Told) -> InvalidValue:
    path = str(told["path"])
    problems = [Problem(each["path"], each["code"], each["message"], each["hint"]) for each in told.get("problems", ())]
    return InvalidValue(path, str(told["detail"]).removeprefix(f"{path} "), problems=problems)


def _busy(told: Told) -> InstanceBusy:
    run_id = told.get("run_id")
    return InstanceBusy(UUID(told["instance_id"]), None if run_id is None else UUID(run_id))


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
}
"""Those that a caller may want to tell apart; the rest is `AnswerRefused`, with everything that was told."""
