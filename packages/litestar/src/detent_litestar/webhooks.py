"""The door of HTTP triggers: a call is handed on as it came, and what became of it is told in the words of HTTP."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from detent.service.http.operations import ACTION
from detent.service.http.problems import PROBLEM_JSON, ProblemAnswer
from detent.service.http.webhooks import (
    CALL_ERRORS,
    DESCRIBE,
    DESCRIBE_ERRORS,
    RECEIVE,
    StartedView,
    TriggerView,
    answer_to_call,
    described,
)
from detent.service.schemas import ProblemDetails
from detent.service.triggers import TriggerService
from detent_litestar import errors, views
from detent_litestar.asking import tenant_of
from detent_litestar.config import Webhooks
from detent_litestar.errors import answer_to_http_error
from detent_litestar.views import ModelResponse


def webhook_router(
    config: Webhooks, triggers: Callable[[], TriggerService], *, answers_http_errors: bool = True
) -> Router:
    """The routes as `config` wants them, over the service that `triggers` gives.

    `answers_http_errors` also turns Litestar's own errors on these routes into problems, unless the application does.
    """

    def bound(request: Request[Any, Any, Any]) -> TriggerService:
        if config.tenant is None:
            return triggers()
        return triggers().for_tenant(tenant_of(request, config.tenant))

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
    answer = answer_to_call(await triggers.receive(trigger, body, dict(request.headers)))
    return errors.as_response(answer) if isinstance(answer, ProblemAnswer) else views.as_response(answer)


async def describe(trigger: FromPath[str], triggers: NamedDependency[TriggerService]) -> TriggerView:
    """What the trigger takes."""
    found = await described(triggers, trigger)
    if isinstance(found, str):
        raise NotFoundException(found)
    return found


def _call(config: Webhooks) -> HTTPRouteHandler:
    prefix = config.operation_id_prefix
    known = ResponseSpec(StartedView, description="The same call came before.", generate_examples=False)
    return post(
        "/{trigger:str}",
        opt={ACTION: "webhook"},
        name=f"{prefix}:receive",
        operation_id=f"{prefix}_receive",
        summary="Call a trigger",
        description=RECEIVE,
        status_code=201,
        responses={200: known, **{status: _error(status) for status in CALL_ERRORS}},
    )(receive)


def _info(config: Webhooks) -> HTTPRouteHandler:
    prefix = config.operation_id_prefix
    return get(
        "/{trigger:str}",
        opt={ACTION: "webhook_info"},
        name=f"{prefix}:describe",
        operation_id=f"{prefix}_describe",
        summary="Describe a trigger",
        description=DESCRIBE,
        responses={status: _error(status) for status in DESCRIBE_ERRORS},
    )(describe)


def _error(status: int) -> ResponseSpec:
    return ResponseSpec(
        ProblemDetails, media_type=PROBLEM_JSON, description=CALL_ERRORS[status], generate_examples=False
    )
