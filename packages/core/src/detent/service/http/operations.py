"""Which routes there are, whatever framework stands in front."""

from collections.abc import Mapping

from detent.service.http import answers, changes, defining, operating, probing, runs_and_messages, tokens, triggering
from detent.service.http.headers import REPLAYED
from detent.service.http.operation import FurtherAnswer, Operation
from detent.service.http.probing import ProbeView
from detent.service.http.trigger_views import FiredView
from detent.service.schemas import InstanceView, TransitionView

ACTION = "workflow_action"
"""Under this name a guard finds what a route does."""

READ = (400, 404, 503)
WRITE = (400, 404, 409, 413, 415, 422, 503)
INSTANCE = "/instances/{instance_id}"
_FOUND = FurtherAnswer(
    InstanceView,
    "The instance that this idempotency key created before, as it is now; with `Idempotency-Replayed: true`.",
)
ACCEPTED = FurtherAnswer(TransitionView, "The event has durable commands: it was accepted, and a worker finishes it.")
_OVER = FurtherAnswer(None, "The instance has ended, and there is nothing more to come back for.")
_MOVED = {202: ACCEPTED}
CHANGES = f"{INSTANCE}/changes"
"""Where live updates are, as server-sent events and as a websocket."""
_DEFINITION = "/definitions/{workflow}"
_RUN = "/runs/{run_id}"
_TRIGGER = "/triggers/{trigger}"
_TOKENS = f"{INSTANCE}/tokens"
_FIRED = FurtherAnswer(FiredView, "The execution that this idempotency key started before.")


def by_name(*operations: Operation) -> Mapping[str, Operation]:
    """A table of operations."""
    return {operation.name: operation for operation in operations}


OPERATIONS: Mapping[str, Operation] = by_name(
    Operation(
        "POST", "/instances", answers.create_instance, "start", "Create an instance",
        WRITE, {200: _FOUND}, ("Location", "ETag"), status=201,
    ),
    Operation("GET", INSTANCE, answers.get_instance, "read", "Get an instance", READ, headers=("ETag",)),
    Operation(
        "GET", f"{INSTANCE}/events", answers.get_available_events, "read",
        "List the events an instance could take", (*READ, 409),
    ),
    Operation(
        "POST", f"{INSTANCE}/events/{{event}}", answers.trigger_event, "event", "Take an event",
        WRITE, _MOVED, ("ETag", REPLAYED),
    ),
    Operation("GET", f"{INSTANCE}/history", answers.get_history, "read", "Read the history", READ),
    Operation("GET", CHANGES, changes.stream_changes, "read", "Follow an instance", READ, {204: _OVER}),
    Operation(
        "GET", f"{INSTANCE}/diagram", answers.get_instance_diagram, "read", "Draw an instance", (*READ, 409),
    ),
    Operation("GET", "/definitions", defining.list_definitions, "read", "List the workflows", (400, 503)),
    Operation("GET", _DEFINITION, defining.get_definition, "read", "Get a workflow", READ),
    Operation("GET", f"{_DEFINITION}/versions", defining.list_versions, "read", "List the versions of a workflow", READ),
    Operation("GET", f"{_DEFINITION}/diagram", defining.get_diagram, "read", "Draw a workflow", READ),
)  # fmt: skip
"""Every operation that is always there, by name."""

OPERATOR_OPERATIONS: Mapping[str, Operation] = by_name(
    Operation("GET", "/instances", operating.list_instances, "read", "List instances", (400, 503)),
    Operation("GET", "/parked", operating.list_parked, "read", "List what waits for an operator", (400, 503)),
    Operation("GET", f"{INSTANCE}/runs", runs_and_messages.list_runs, "read", "List the runs of an instance", READ),
    Operation("GET", "/runs", runs_and_messages.find_runs, "read", "List runs", (400, 503)),
    Operation("GET", _RUN, runs_and_messages.get_run, "read", "Get a run", READ),
    Operation(
        "POST", f"{_RUN}/retry", runs_and_messages.retry_run, "operate", "Let a parked run go on",
        WRITE, headers=("ETag",),
    ),
    Operation(
        "POST", f"{_RUN}/cancel", runs_and_messages.cancel_run, "operate", "Give a run up", WRITE, headers=("ETag",)
    ),
    Operation("POST", f"{INSTANCE}/messages", operating.send_event, "event", "Send an event", WRITE, status=202),
    Operation(
        "GET", f"{INSTANCE}/messages", runs_and_messages.list_messages, "read",
        "List the events that are kept for an instance", READ,
    ),
    Operation(
        "POST", f"{INSTANCE}/messages/{{message_id}}/revive", runs_and_messages.revive_message, "operate",
        "Let a dead message be tried again", WRITE,
    ),
    Operation(
        "POST", f"{INSTANCE}/messages/{{message_id}}/discard", runs_and_messages.discard_message, "operate",
        "Take a message out", WRITE,
    ),
    Operation(
        "POST", f"{INSTANCE}/cancel", operating.cancel_instance, "operate", "Cancel an instance", WRITE, headers=("ETag",)
    ),
    Operation(
        "POST", f"{INSTANCE}/pause", operating.pause_instance, "operate", "Pause an instance", WRITE, headers=("ETag",)
    ),
    Operation(
        "POST", f"{INSTANCE}/resume", operating.resume_instance, "operate", "Resume an instance",
        WRITE, headers=("ETag",),
    ),
    Operation(
        "POST", f"{INSTANCE}/force", operating.force_instance, "operate", "Move an instance to a state",
        WRITE, _MOVED, ("ETag",),
    ),
    Operation(
        "POST", f"{INSTANCE}/retry", operating.retry_instance, "operate", "Try again", WRITE, _MOVED, ("ETag",)
    ),
)  # fmt: skip
"""The operations that are there for operators only, where they are asked for."""

TRIGGER_OPERATIONS: Mapping[str, Operation] = by_name(
    Operation("GET", "/triggers", triggering.list_triggers, "read", "List triggers", (400, 503)),
    Operation("GET", _TRIGGER, triggering.get_trigger, "read", "Get a trigger", READ),
    Operation("GET", f"{_TRIGGER}/history", triggering.get_invocations, "read", "Read the log of a trigger", READ),
    Operation("POST", f"{_TRIGGER}/enable", triggering.enable_trigger, "operate", "Enable a trigger", WRITE),
    Operation("POST", f"{_TRIGGER}/disable", triggering.disable_trigger, "operate", "Disable a trigger", WRITE),
    Operation("POST", f"{_TRIGGER}/pause", triggering.pause_trigger, "operate", "Pause a trigger", WRITE),
    Operation("POST", f"{_TRIGGER}/resume", triggering.resume_trigger, "operate", "Resume a trigger", WRITE),
    Operation(
        "POST", f"{_TRIGGER}/fire", triggering.fire_trigger, "operate", "Fire a trigger", WRITE, {200: _FIRED}, status=201
    ),
)  # fmt: skip
"""The operations of triggers, where they are asked for."""

TOKEN_OPERATIONS: Mapping[str, Operation] = by_name(
    Operation("GET", _TOKENS, tokens.list_tokens, "read", "List resume tokens", READ),
    Operation("POST", _TOKENS, tokens.generate_token, "operate", "Make a resume token", WRITE, status=201),
    Operation("POST", f"{_TOKENS}/validate", tokens.validate_token, "operate", "Judge a resume token", WRITE),
    Operation("POST", f"{_TOKENS}/revoke", tokens.revoke_token, "operate", "Revoke a resume token", WRITE),
)  # fmt: skip
"""The operators' operations of resume tokens, where they are asked for."""

TOKEN_DOOR: Mapping[str, Operation] = by_name(
    Operation("POST", "", tokens.resume_by_token, "event", "Resume by a token", WRITE),
)  # fmt: skip
"""The door for who holds a resume token: a mount of its own."""

PROBES: Mapping[str, Operation] = by_name(
    Operation("GET", "/live", probing.is_live, "read", "Liveness", (400,)),
    Operation(
        "GET", "/ready", probing.is_ready, "read", "Readiness", (400,), {503: FurtherAnswer(ProbeView, "Not now.")}
    ),
)  # fmt: skip
"""The probes: a mount of their own."""

ERRORS: Mapping[int, str] = {
    400: "A parameter, the body or a value in it was refused.",
    401: "It is not known who sends the request.",
    403: "Who sends the request may not do this.",
    404: "There is no such workflow, instance, run, message, trigger or token.",
    409: "The instance cannot take this now, is at another version, or a guard refused it; state and context are as before. "
    "Or the idempotency key was used for another request.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A command failed and nothing took it; everything was rolled back.",
    503: "The database cannot be reached, or the workflow cannot run here; nothing was applied.",
}
"""What each status means, for OpenAPI."""
