"""The door of HTTP triggers: what became of a call, in the words of HTTP."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from detent.json_values import JsonObject
from detent.service.http.answers import Answer
from detent.service.http.problems import ProblemAnswer, problem
from detent.service.triggers import Answer as Became
from detent.service.triggers import Received, TriggerService
from detent.triggers.errors import UnknownTrigger
from detent.triggers.trigger import HttpTrigger

PAUSED_FOR = 60
"""After how many seconds a call of a paused trigger is to come again."""


class StartedView(BaseModel):
    """What a call has started."""

    execution_id: UUID
    created: bool
    """Whether it was started now; under a key that is known it was started before."""


class TriggerView(BaseModel):
    """What callers may know of a trigger."""

    id: UUID
    name: str
    enabled: bool
    description: str | None
    input_schema: JsonObject | None
    signature: str | None
    """The scheme that a call is signed by."""

    @classmethod
    def of(cls, trigger_id: UUID, trigger: HttpTrigger, *, enabled: bool) -> Self:
        """The view of `trigger`."""
        return cls(
            id=trigger_id,
            name=trigger.name,
            enabled=enabled,
            description=trigger.description,
            input_schema=trigger.input_schema,
            signature=None if trigger.signature is None else trigger.signature.scheme,
        )


_REFUSALS: Mapping[Became, tuple[int, str, str]] = {
    Became.UNKNOWN_TRIGGER: (404, "unknown_trigger", "Unknown trigger"),
    Became.NOT_HTTP: (400, "trigger_not_http", "Not a webhook"),
    Became.UNAUTHORIZED: (401, "signature_refused", "Signature refused"),
    Became.DISABLED: (403, "trigger_disabled", "Trigger disabled"),
    # Those who send webhooks come again after a 503, and what they bring is not lost.
    Became.PAUSED: (503, "trigger_paused", "Trigger paused"),
    Became.INVALID: (400, "validation_failed", "Body refused"),
    Became.TOO_LARGE: (413, "context_too_large", "Body too large"),
    Became.FLOW_NOT_FOUND: (500, "flow_not_found", "No flow to start"),
}
"""What each answer is over HTTP: its status, code and title."""

CALL_ERRORS: Mapping[int, str] = {
    400: "The body is not what the trigger takes: `errors` says where and why. Or the trigger is not called over HTTP.",
    401: "The signature is missing, wrong or too old.",
    403: "The trigger is disabled.",
    404: "There is no such trigger.",
    413: "The body is too large.",
    500: "The flow cannot be started.",
    503: "The trigger is paused, or the database cannot be reached; nothing was started.",
}
"""What each status of a call means, for OpenAPI."""

RECEIVE = "Start the trigger's flow with the body, JSON, or find the execution that the same call started before."
DESCRIBE = "What the trigger takes."
DESCRIBE_ERRORS = (400, 404)


def answer_to_call(received: Received) -> Answer[StartedView] | ProblemAnswer:
    """What became of a call."""
    if received.execution_id is not None:
        created = received.answer is Became.STARTED
        return Answer(StartedView(execution_id=received.execution_id, created=created), 201 if created else 200)
    status, code, title = _REFUSALS[received.answer]
    return problem(
        status,
        code=code,
        title=title,
        detail=received.detail or "the body is not what this trigger takes",
        data={"errors": [asdict(error) for error in received.errors]} if received.errors else None,
        headers={"Retry-After": str(PAUSED_FOR)} if received.answer is Became.PAUSED else None,
    )


async def described(triggers: TriggerService, trigger: str) -> TriggerView | str:
    """What callers may know of a trigger that is called over HTTP, or the sentence that there is none."""
    try:
        found = await triggers.get(trigger)
    except UnknownTrigger as error:
        return error.message
    if found.state == "deleted" or not isinstance(found.trigger, HttpTrigger):
        return UnknownTrigger(trigger).message
    return TriggerView.of(found.id, found.trigger, enabled=found.state == "enabled")
