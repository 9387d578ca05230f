"""Where the routes are, who may use them, and what OpenAPI tells of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litestar import MediaType, Request, Router, get, post
from litestar.di import Provide
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from detent.json_values import JsonObject
from detent.service.http.operations import ACTION, ERRORS, OPERATIONS, OPERATOR_OPERATIONS, Operation
from detent.service.http.policy import TenantOf
from detent.service.http.problems import PROBLEM_JSON
from detent.service.schemas import ProblemDetails
from detent.service.service import WorkflowService
from detent_litestar import controllers, operators
from detent_litestar.bodies import ascii_query, json_body
from detent_litestar.config import AnyRequest, Controllers
from detent_litestar.errors import answer_to_http_error
from detent_litestar.headers import told
from detent_litestar.views import ModelResponse


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the contract, and who answers it."""

    operation: Operation
    handler: Callable[..., Any]

    @property
    def path(self) -> str:
        """The path as Litestar spells it; names of events may contain slashes."""
        typed = self.operation.path.replace("{event}", "{event:path}")
        return typed.replace("{instance_id}", "{instance_id:str}").replace("{workflow}", "{workflow:str}")


ROUTES = tuple(Route(operation, getattr(controllers, name)) for name, operation in OPERATIONS.items())
"""Every operation but those for operators only."""
OPERATOR_ROUTES = tuple(Route(operation, getattr(operators, name)) for name, operation in OPERATOR_OPERATIONS.items())
"""Those."""


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
        route_handlers=[_handler(route, config) for route in (*ROUTES, *(OPERATOR_ROUTES if config.operators else ()))],
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


def _tenant_of(request: AnyRequest, said_by: TenantOf[AnyRequest]) -> str:
    tenant = said_by(request)
    if tenant is None:
        raise PermissionDeniedException("the request belongs to no tenant")
    return tenant


def _handler(route: Route, config: Controllers) -> HTTPRouteHandler:
    prefix, operation = config.operation_id_prefix, route.operation
    errors = [*operation.errors, *((401, 403) if config.guards or config.tenant else ())]
    posted = [json_body(required=operation.needs_body)] if operation.method == "POST" else []
    decorate = (post if operation.method == "POST" else get)(
        route.path,
        guards=[ascii_query, *posted],
        opt={ACTION: operation.action},
        name=f"{prefix}:{operation.name}",
        media_type=MediaType.TEXT if operation.drawn else MediaType.JSON,
        status_code=operation.status,
        operation_id=f"{prefix}_{operation.name}",
        summary=operation.summary,
        description=operation.description,
        response_headers=[told(name) for name in operation.headers],
        responses={
            **{status: _error(status) for status in errors},
            **{
                status: ResponseSpec(further.view, description=further.description, generate_examples=False)
                for status, further in operation.answers.items()
            },
        },
    )
    return decorate(route.handler)


def _error(status: int) -> ResponseSpec:
    return ResponseSpec(ProblemDetails, media_type=PROBLEM_JSON, description=ERRORS[status], generate_examples=False)
