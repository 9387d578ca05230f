"""The door of HTTP triggers: a call is handed on as it came, and what became of it is told in the words of HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from pydantic import BaseModel

from detent.json_values import JsonObject
from detent.service.schemas import ProblemDetails
from detent.service.triggers import Answer, Received, TriggerService
from detent.triggers.errors import UnknownTrigger
from detent.triggers.trigger import HttpTrigger
from detent_litestar.config import Webhooks
from detent_litestar.errors import PROBLEM_JSON, answer_to_http_error, problem
from detent_litestar.views import ModelResponse

ACTION = "workflow_action"
"""Under this name of `opt` a guard finds what a route does: `webhook` or `webhook_info`."""

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


_REFUSALS: Mapping[Answer, tuple[int, str, str]] = {
    Answer.UNKNOWN_TRIGGER: (404, "unknown_trigger", "Unknown trigger"),
    Answer.NOT_HTTP: (400, "trigger_not_http", "Not a webhook"),
    Answer.UNAUTHORIZED: (401, "signature_refused", "Signature refused"),
    Answer.DISABLED: (403, "trigger_disabled", "Trigger disabled"),
    # Those who send webhooks come again after a 503, and what they bring is not lost.
    Answer.PAUSED: (503, "trigger_paused", "Trigger paused"),
    Answer.INVALID: (400, "validation_failed", "Body refused"),
    Answer.TOO_LARGE: (413, "context_too_large", "Body too large"),
    Answer.FLOW_NOT_FOUND: (500, "flow_not_found", "No flow to start"),
}
"""What each answer is over HTTP: its status, code and title."""

_ERRORS: Mapping[int, str] = {
    400: "The body is not what the trigger takes: `errors` says where and why. Or the trigger is not called over HTTP.",
    401: "The signature is missing, wrong or too old.",
    403: "The trigger is disabled.",
    404: "There is no such trigger.",
    413: "The body is too large.",
    500: "The flow cannot be started.",
    503: "The trigger is paused, or the database cannot be reached; nothing was started.",
}


def webhook_router(
    config: Webhooks, triggers: Callable[[], TriggerService], *, answers_http_errors: bool = True
) -> Router:
    """The routes as `config` wants them, over the service that `triggers` gives.

    `answers_http_errors` also turns Litestar's own errors on these routes into problems, unless the application does.
    """

    def bound(request: Request[Any, Any, Any]) -> TriggerService:
        if config.tenant is None:
            return triggers()
        tenant = config.tenant(request)
        if tenant is None:
            raise PermissionDeniedException("the request belongs to no tenant")
        return triggers().for_tenant(tenant)

    return Router(
        config.path,
        route_handlers=[_call(config), *([_info(config)] if config.info else [])],
        guards=list(config.guards),
        middleware=list(config.middleware),
        dependencies={"triggers": Provide(bound, sync_to_thread=False)},
        exception_handlers={HTTPException: answer_to_http_error} if answers_http_errors else {},
        request_max_body_size=config.max_body_size,
        response_class=ModelResponse,
        dto=None,
        return_dto=None,
        tags=list(config.tags),
        include_in_schema=config.include_in_schema,
    )


async def receive(
    trigger: FromPath[str], request: Request[Any, Any, Any], triggers: NamedDependency[TriggerService]
) -> Response[Any]:
    """Start the trigger's flow with the body, JSON, or find the execution that the same call started before."""
    body = await request.body()
    return _answer(await triggers.receive(trigger, body, dict(request.headers)))


async def describe(trigger: FromPath[str], triggers: NamedDependency[TriggerService]) -> TriggerView:
    """What the trigger takes."""
    try:
        found = await triggers.get(trigger)
    except UnknownTrigger as error:
        raise NotFoundException(error.message) from None
    read = found.trigger
    if found.state == "deleted" or not isinstance(read, HttpTrigger):
        raise NotFoundException(UnknownTrigger(trigger).message)
    return TriggerView(
        id=found.id,
        name=read.name,
        enabled=found.state == "enabled",
        description=read.description,
        input_schema=read.input_schema,
        signature=None if read.signature is None else read.signature.scheme,
    )


def _answer(received: Received) -> Response[Any]:
    if received.execution_id is not None:
        created = received.answer is Answer.STARTED
        view = StartedView(execution_id=received.execution_id, created=created)
        return ModelResponse(view, status_code=201 if created else 200)
    status, code, title = _REFUSALS[received.answer]
    return problem(
        status,
        code=code,
        title=title,
        detail=received.detail or "the body is not what this trigger takes",
        data={"errors": [asdict(error) for error in received.errors]} if received.errors else None,
        headers={"Retry-After": str(PAUSED_FOR)} if received.answer is Answer.PAUSED else None,
    )


def _call(config: Webhooks) -> HTTPRouteHandler:
    prefix = config.operation_id_prefix
    known = ResponseSpec(StartedView, description="The same call came before.", generate_examples=False)
    return post(
        "/{trigger:str}",
        opt={ACTION: "webhook"},
        name=f"{prefix}:receive",
        operation_id=f"{prefix}_receive",
        summary="Call a trigger",
        description=receive.__doc__,
        status_code=201,
        responses={200: known, **{status: _error(status) for status in _ERRORS}},
    )(receive)


def _info(config: Webhooks) -> HTTPRouteHandler:
    prefix = config.operation_id_prefix
    return get(
        "/{trigger:str}",
        opt={ACTION: "webhook_info"},
        name=f"{prefix}:describe",
        operation_id=f"{prefix}_describe",
        summary="Describe a trigger",
        description=describe.__doc__,
        responses={404: _error(404)},
    )(describe)


def _error(status: int) -> ResponseSpec:
    return ResponseSpec(ProblemDetails, media_type=PROBLEM_JSON, description=_ERRORS[status], generate_examples=False)
