"""The door of HTTP triggers: a call is handed on as it came, and what became of it is told in the words of HTTP."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from detent.service.http.answers import Answer
from detent.service.http.errors import NotTaken, TurnedAway
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
from detent.service.triggers import TriggerService
from detent_fastapi.answers import as_response
from detent_fastapi.config import Webhooks
from detent_fastapi.lifespan import setup_of
from detent_fastapi.openapi import Responses, problems
from detent_fastapi.turning_away import body_within, route_for, tenant_of

_CONFIG = "detent_webhooks"
_RUNTIME = "detent_runtime"


def webhook_router(config: Webhooks, *, runtime: str | None = None) -> APIRouter:
    """The routes as `config` wants them, for an application whose `WorkflowConfig` makes `triggers`.

    `WorkflowConfig(webhooks=...)` includes them by itself; this is for another place, such as a router with a rate limit.
    `runtime` says which of several runtimes they reach.
    """
    router = APIRouter(
        prefix=config.path.rstrip("/"),
        dependencies=[Depends(_under(config, runtime)), *config.guards],
        tags=list(config.tags),
        include_in_schema=config.include_in_schema,
    )
    prefix = config.operation_id_prefix
    known: Responses = {200: {"model": StartedView, "description": "The same call came before."}}
    router.add_api_route(
        "/{trigger}",
        receive,
        methods=["POST"],
        status_code=201,
        response_model=StartedView,
        response_class=JSONResponse,
        name=f"{prefix}:receive",
        operation_id=f"{prefix}_receive",
        summary="Call a trigger",
        description=RECEIVE,
        responses=known | problems(CALL_ERRORS, CALL_ERRORS),
        route_class_override=route_for("webhook"),
    )
    if config.info:
        router.add_api_route(
            "/{trigger}",
            describe,
            methods=["GET"],
            response_model=TriggerView,
            response_class=JSONResponse,
            name=f"{prefix}:describe",
            operation_id=f"{prefix}_describe",
            summary="Describe a trigger",
            description=DESCRIBE,
            responses=problems(DESCRIBE_ERRORS, CALL_ERRORS),
            route_class_override=route_for("webhook_info"),
        )
    return router


def _under(config: Webhooks, runtime: str | None) -> Callable[[Request], Awaitable[None]]:
    async def note(request: Request) -> None:
        setattr(request.state, _CONFIG, config)
        setattr(request.state, _RUNTIME, runtime)

    return note


async def reachable(request: Request) -> TriggerService:
    """The service of those triggers that the request reaches."""
    config: Webhooks = getattr(request.state, _CONFIG)
    service = setup_of(request.app, getattr(request.state, _RUNTIME)).triggers
    return service if config.tenant is None else service.for_tenant(tenant_of(request, config.tenant))


async def receive(trigger: str, request: Request, triggers: Annotated[TriggerService, Depends(reachable)]) -> Response:
    """Start the trigger's flow with the body, JSON, or find the execution that the same call started before."""
    config: Webhooks = getattr(request.state, _CONFIG)
    body = await body_within(request, config.max_body_size)
    return as_response(answer_to_call(await triggers.receive(trigger, body, dict(request.headers))))


async def describe(trigger: str, triggers: Annotated[TriggerService, Depends(reachable)]) -> Response:
    """What the trigger takes."""
    found = await described(triggers, trigger)
    if isinstance(found, str):
        raise NotTaken(TurnedAway(404, found))
    return as_response(Answer(found))
