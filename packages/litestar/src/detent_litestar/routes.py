"""Where the routes are, who may use them, and what OpenAPI tells of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from litestar import MediaType, Request, Router, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from detent.json_values import JsonObject
from detent.service.schemas import InstanceView, ProblemDetails, TransitionView
from detent.service.service import WorkflowService
from detent_litestar import controllers
from detent_litestar.bodies import ascii_query, json_body
from detent_litestar.config import Controllers, TenantOf
from detent_litestar.errors import PROBLEM_JSON, answer_to_http_error
from detent_litestar.headers import ETAG_HEADER, LOCATION_HEADER, REPLAYED_HEADER
from detent_litestar.views import ModelResponse

ACTION = "workflow_action"
"""Under this name of `opt` a guard finds what a route does: `read`, `start` or `event`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    handler: Callable[..., Any]
    action: str
    summary: str
    errors: Sequence[int]
    """The statuses of the errors to expect, beside those of the guards."""
    answers: Mapping[int, ResponseSpec] | None = None
    """Further answers that are no errors."""
    media_type: MediaType = MediaType.JSON
    headers: Sequence[ResponseHeader] = ()
    """What the answer tells in headers, for OpenAPI."""


_READ = (400, 404, 503)
_FOUND = ResponseSpec(
    InstanceView,
    description="The instance that this idempotency key created before, as it is now; with `Idempotency-Replayed: true`.",
    generate_examples=False,
)
_ACCEPTED = ResponseSpec(
    TransitionView,
    description="The event has durable commands: it was accepted, and a worker finishes it.",
    generate_examples=False,
)
_INSTANCE = "/instances/{instance_id:str}"

ROUTES = (
    Route(
        "POST", "/instances", "create_instance", controllers.create_instance, "start",
        "Create an instance", (400, 404, 409, 413, 415, 422, 503), {200: _FOUND},
        headers=(LOCATION_HEADER, ETAG_HEADER),
    ),
    Route(
        "GET", _INSTANCE, "get_instance", controllers.get_instance, "read", "Get an instance", _READ,
        headers=(ETAG_HEADER,),
    ),
    Route(
        "GET", f"{_INSTANCE}/events", "get_available_events", controllers.get_available_events, "read",
        "List the events an instance could take", (*_READ, 409),
    ),
    Route(
        "POST", f"{_INSTANCE}/events/{{event:path}}", "trigger_event", controllers.trigger_event, "event",
        "Take an event", (400, 404, 409, 413, 415, 422, 503), {202: _ACCEPTED}, headers=(ETAG_HEADER, REPLAYED_HEADER),
    ),
    Route("GET", f"{_INSTANCE}/history", "get_history", controllers.get_history, "read", "Read the history", _READ),
    Route(
        "GET", f"{_INSTANCE}/diagram", "get_instance_diagram", controllers.get_instance_diagram, "read",
        "Draw an instance", (*_READ, 409), media_type=MediaType.TEXT,
    ),
    Route("GET", "/definitions", "list_definitions", controllers.list_definitions, "read", "List the workflows", ()),
    Route(
        "GET", "/definitions/{workflow:str}/diagram", "get_diagram", controllers.get_diagram, "read",
        "Draw a workflow", (400, 404), media_type=MediaType.TEXT,
    ),
)  # fmt: skip
"""Every operation there is."""

_ERRORS: Mapping[int, str] = {
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


def workflow_router(
    config: Controllers, service: Callable[[], WorkflowService], *, answers_http_errors: bool = True
) -> Router:
    """The routes as `config` wants them, over the service that `service` gives.

    `answers_http_errors` also turns Litestar's own errors on these routes into problems, unless the application does.
    """

    def acting(request: Request[Any, Any, Any]) -> JsonObject:
        return dict(config.acting(request)) if config.acting else {}

    def bound(request: Request[Any, Any, Any]) -> WorkflowService:
        return service() if config.tenant is None else service().for_tenant(_tenant_of(request, config.tenant))

    return Router(
        config.path,
        route_handlers=[_handler(route, config) for route in ROUTES],
        guards=list(config.guards),
        dependencies={
            "service": Provide(bound, sync_to_thread=False),
            "acting": Provide(acting, sync_to_thread=False),
        },
        exception_handlers={HTTPException: answer_to_http_error} if answers_http_errors else {},
        request_max_body_size=config.max_body_size,
        response_class=ModelResponse,
        # Transfer objects of the application are not for these bodies.
        dto=None,
        return_dto=None,
        tags=list(config.tags),
        include_in_schema=config.include_in_schema,
    )


def _tenant_of(request: Request[Any, Any, Any], said_by: TenantOf) -> str:
    tenant = said_by(request)
    if tenant is None:
        raise PermissionDeniedException("the request belongs to no tenant")
    return tenant


def _handler(route: Route, config: Controllers) -> HTTPRouteHandler:
    prefix = config.operation_id_prefix
    errors = [*route.errors, *((401, 403) if config.guards or config.tenant else ())]
    decorate = (post if route.method == "POST" else get)(
        route.path,
        guards=[ascii_query, *([json_body(required=route.action == "start")] if route.method == "POST" else [])],
        opt={ACTION: route.action},
        name=f"{prefix}:{route.name}",
        media_type=route.media_type,
        status_code=201 if route.action == "start" else 200,
        operation_id=f"{prefix}_{route.name}",
        summary=route.summary,
        description=route.handler.__doc__,
        response_headers=list(route.headers),
        responses={**{status: _error(status) for status in errors}, **(route.answers or {})},
    )
    return decorate(route.handler)


def _error(status: int) -> ResponseSpec:
    return ResponseSpec(ProblemDetails, media_type=PROBLEM_JSON, description=_ERRORS[status], generate_examples=False)
