"""Which routes there are, and what OpenAPI tells of them, whatever framework stands in front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pydantic import BaseModel

from detent.service.http.headers import REPLAYED
from detent.service.schemas import InstanceView, TransitionView

ACTION = "workflow_action"
"""Under this name a guard finds what a route does."""

Action: TypeAlias = Literal["read", "start", "event", "operate"]
"""What a route does to instances: nothing, making one, letting one take an event, or an operator's verb."""


@dataclass(frozen=True, slots=True)
class FurtherAnswer:
    """An answer of another status that is no error."""

    view: type[BaseModel]
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract."""

    method: Literal["GET", "POST"]
    path: str
    """Below the prefix, with its parameters in braces."""
    name: str
    action: Action
    summary: str
    description: str
    errors: Sequence[int]
    """The statuses of the errors to expect, beside those of the guards."""
    answers: Mapping[int, FurtherAnswer] = field(default_factory=dict)
    headers: Sequence[str] = ()
    """What the answer tells in headers; `headers.TOLD` has their meaning."""
    drawn: bool = False
    """Whether the answer is text."""

    status: int = 200
    """The status of the usual answer."""
    needs_body: bool = False
    """Whether a body that is empty is refused; where something is posted."""


_READ = (400, 404, 503)
_WRITE = (400, 404, 409, 413, 415, 422, 503)
_FOUND = FurtherAnswer(
    InstanceView,
    "The instance that this idempotency key created before, as it is now; with `Idempotency-Replayed: true`.",
)
_ACCEPTED = FurtherAnswer(TransitionView, "The event has durable commands: it was accepted, and a worker finishes it.")
_INSTANCE = "/instances/{instance_id}"

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            "POST", "/instances", "create_instance", "start", "Create an instance",
            "Create an instance, or find the one that the idempotency key created before.",
            _WRITE, {200: _FOUND}, ("Location", "ETag"), status=201, needs_body=True,
        ),
        Operation(
            "GET", _INSTANCE, "get_instance", "read", "Get an instance", "The instance as last committed.",
            _READ, headers=("ETag",),
        ),
        Operation(
            "GET", f"{_INSTANCE}/events", "get_available_events", "read", "List the events an instance could take",
            "The events of the instance's state, each with whether it would pass now, and why not.", (*_READ, 409),
        ),
        Operation(
            "POST", f"{_INSTANCE}/events/{{event}}", "trigger_event", "event", "Take an event",
            "Take an event, or with 202 begin one that a worker finishes; what a guard refuses is an error: "
            "nothing happened.",
            _WRITE, {202: _ACCEPTED}, ("ETag", REPLAYED),
        ),
        Operation(
            "GET", f"{_INSTANCE}/history", "get_history", "read", "Read the history",
            "What happened to the instance, the newest first.", _READ,
        ),
        Operation(
            "GET", f"{_INSTANCE}/diagram", "get_instance_diagram", "read", "Draw an instance",
            "The diagram of the version the instance follows, with its state and the way it came marked.",
            (*_READ, 409), drawn=True,
        ),
        Operation(
            "GET", "/definitions", "list_definitions", "read", "List the workflows",
            "The registered workflows, each in its newest version.", (),
        ),
        Operation(
            "GET", "/definitions/{workflow}/diagram", "get_diagram", "read", "Draw a workflow",
            "The diagram of the newest version of a workflow.", (400, 404), drawn=True,
        ),
    )
}  # fmt: skip
"""Every operation there is, by name."""

_MOVED = {202: _ACCEPTED}

OPERATOR_OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            "GET", "/instances", "list_instances", "read", "List instances",
            "Instances for which all conditions hold, page by page; a condition may be given several values.", (400, 503),
        ),
        Operation(
            "GET", "/parked", "list_parked", "read", "List what waits for an operator",
            "Instances with a timeout or a run that waits for an operator, the longest waiting first.", (400, 503),
        ),
        Operation(
            "GET", f"{_INSTANCE}/runs", "list_runs", "read", "List the runs of an instance",
            "The durable transitions of an instance with how far they came, the newest first.", _READ,
        ),
        Operation(
            "POST", f"{_INSTANCE}/messages", "send_event", "event", "Send an event",
            "Keep an event until the instance can take it; a worker lets it take it once.", _WRITE,
            status=202, needs_body=True,
        ),
        Operation(
            "POST", f"{_INSTANCE}/cancel", "cancel_instance", "operate", "Cancel an instance",
            "End the instance where it stands.", _WRITE, headers=("ETag",),
        ),
        Operation(
            "POST", f"{_INSTANCE}/pause", "pause_instance", "operate", "Pause an instance",
            "Until it is resumed the instance takes no event, and no timeout of it fires.", _WRITE, headers=("ETag",),
        ),
        Operation(
            "POST", f"{_INSTANCE}/resume", "resume_instance", "operate", "Resume an instance",
            "Let the instance go on after a pause.", _WRITE, headers=("ETag",),
        ),
        Operation(
            "POST", f"{_INSTANCE}/force", "force_instance", "operate", "Move an instance to a state",
            "Enter a state, whatever the definition allows from here; no guard is asked.", _WRITE, _MOVED, ("ETag",),
            needs_body=True,
        ),
        Operation(
            "POST", f"{_INSTANCE}/retry", "retry_instance", "operate", "Try again",
            "Try again what went wrong last: a parked run, a timeout, or the newest event that was refused or failed.",
            _WRITE, _MOVED, ("ETag",),
        ),
    )
}  # fmt: skip
"""The operations that are there for operators only, where they are asked for."""

WEBHOOK_ACTIONS: Mapping[str, str] = {"receive": "webhook", "describe": "webhook_info"}
"""What the routes of webhooks do, by name."""

ERRORS: Mapping[int, str] = {
    400: "A parameter, the body or a value in it was refused.",
    401: "It is not known who sends the request.",
    403: "Who sends the request may not do this.",
    404: "There is no such workflow or instance.",
    409: "The instance cannot take this now, is at another version, or a guard refused it; state and context are as before. "
    "Or the idempotency key was used for another request.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A command failed and nothing took it; everything was rolled back.",
    503: "The database cannot be reached, or the workflow cannot run here; nothing was applied.",
}
"""What each status means, for OpenAPI."""
