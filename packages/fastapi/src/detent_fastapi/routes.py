"""Where the routes are, who may use them, and what OpenAPI tells of them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi import APIRouter, Depends, Response
from fastapi.params import Depends as Dependency
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from detent.service.http.operating_views import (
    Forced,
    InstancePageView,
    MessageView,
    Operated,
    Retried,
    RunView,
    Sent,
)
from detent.service.http.operations import OPERATIONS, OPERATOR_OPERATIONS, Operation
from detent.service.schemas import (
    DefinitionView,
    EventView,
    HistoryEntryView,
    InstanceView,
    NewInstance,
    TransitionView,
    TriggeredEvent,
)
from detent_fastapi import endpoints, operator_endpoints
from detent_fastapi.config import WorkflowRoutes
from detent_fastapi.endpoints import under
from detent_fastapi.openapi import request_body, responses
from detent_fastapi.turning_away import ContractRoute, ascii_query, json_body

Endpoint: TypeAlias = Callable[..., Awaitable[Response]]

logger = logging.getLogger("detent.fastapi")


@dataclass(frozen=True, slots=True)
class Shown:
    """What OpenAPI shows of an operation's bodies."""

    answered: Any = None
    """What it answers, if that is JSON."""
    asked: type[BaseModel] | None = None
    """What it takes, if anything."""


SHOWN = {
    "create_instance": Shown(InstanceView, NewInstance),
    "get_instance": Shown(InstanceView),
    "get_available_events": Shown(list[EventView]),
    "trigger_event": Shown(TransitionView, TriggeredEvent),
    "get_history": Shown(list[HistoryEntryView]),
    "get_instance_diagram": Shown(),
    "list_definitions": Shown(list[DefinitionView]),
    "get_diagram": Shown(),
    "list_instances": Shown(InstancePageView),
    "list_parked": Shown(InstancePageView),
    "list_runs": Shown(list[RunView]),
    "send_event": Shown(MessageView, Sent),
    "cancel_instance": Shown(InstanceView, Operated),
    "pause_instance": Shown(InstanceView, Operated),
    "resume_instance": Shown(InstanceView, Operated),
    "force_instance": Shown(TransitionView, Forced),
    "retry_instance": Shown(TransitionView, Retried),
}


def workflow_router(config: WorkflowRoutes, *, runtime: str | None = None) -> APIRouter:
    """The routes as `config` wants them, for `app.include_router(...)` on an application with `setup_workflows`.

    `WorkflowConfig(routes=...)` includes them by itself; this is for another place, such as a router of the application's.
    `runtime` says which of several runtimes they reach.
    """
    router = APIRouter(
        prefix=config.path.rstrip("/"),
        route_class=ContractRoute,
        tags=list(config.tags),
        include_in_schema=config.include_in_schema,
        lifespan=_warning(config),
    )
    for name, operation in OPERATIONS.items():
        _add(router, operation, getattr(endpoints, name), config, runtime)
    for name, operation in (OPERATOR_OPERATIONS if config.operators else {}).items():
        _add(router, operation, getattr(operator_endpoints, name), config, runtime)
    return router


def _warning(config: WorkflowRoutes) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Warns at each start of open routes; an application that includes them enters this too."""

    @asynccontextmanager
    async def started(_: Any) -> AsyncIterator[None]:
        if config.policy is not None:
            logger.warning("the workflow routes under %s are open to everybody: AllowAll()", config.path)
        yield

    return started


def _add(
    router: APIRouter, operation: Operation, endpoint: Endpoint, config: WorkflowRoutes, runtime: str | None
) -> None:
    shown = SHOWN[operation.name]
    router.add_api_route(
        # Names of events may contain slashes.
        operation.path.replace("{event}", "{event:path}"),
        endpoint,
        methods=[operation.method],
        dependencies=_before(operation, config, runtime),
        status_code=operation.status,
        response_model=shown.answered,
        response_class=PlainTextResponse if operation.drawn else JSONResponse,
        name=f"{config.operation_id_prefix}:{operation.name}",
        operation_id=f"{config.operation_id_prefix}_{operation.name}",
        summary=operation.summary,
        description=operation.description,
        responses=responses(operation, guarded=bool(config.guards or config.tenant)),
        openapi_extra=None if shown.asked is None else request_body(shown.asked, required=operation.needs_body),
    )


def _before(operation: Operation, config: WorkflowRoutes, runtime: str | None) -> list[Dependency]:
    """What a request passes on its way to the handler, in this order."""
    limited = json_body(config.max_body_size, required=operation.needs_body)
    posted = [Depends(limited)] if operation.method == "POST" else []
    return [Depends(under(config, runtime)), *config.guards, Depends(ascii_query), *posted]
