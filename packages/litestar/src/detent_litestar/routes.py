"""Where the routes are, and who may use them."""

from collections.abc import Iterable, Sequence
from typing import Any

from litestar import Request, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, Middleware

from detent.definition.model import WorkflowDefinition
from detent.flows.book import FlowBook
from detent.service.http.ask import Ask, Behind
from detent.service.http.mounted import operations_of
from detent.service.http.operations import PROBES, TOKEN_DOOR
from detent.service.http.policy import Mount
from detent_litestar.asking import ask_of
from detent_litestar.config import Controllers, Probes, Tokens
from detent_litestar.errors import answer_to_http_error
from detent_litestar.following import websocket_of
from detent_litestar.handlers import handler_of
from detent_litestar.views import ModelResponse


def workflow_router(
    config: Controllers,
    behind: Behind,
    *,
    flows: FlowBook | None = None,
    definitions: Iterable[WorkflowDefinition] = (),
    answers_http_errors: bool = True,
) -> Router:
    """The routes as `config` wants them, over what runs `behind` them.

    `definitions` are those whose events are operations of their own, where the config wants that. `answers_http_errors` also
    turns Litestar's own errors on these routes into problems, unless the application does.
    """

    def ask(request: Request[Any, Any, Any]) -> Ask:
        return ask_of(request, config, behind, flows)

    guarded = config.closed or config.tenant is not None
    handlers: list[ControllerRouterHandler] = [
        handler_of(one, config, guarded=guarded) for one in operations_of(config, definitions)
    ]
    if config.websockets:
        handlers.append(websocket_of(config, behind))
    return router_at(config, handlers, Provide(ask, sync_to_thread=False), answers_http_errors=answers_http_errors)


def token_router(config: Tokens, behind: Behind, *, flows: FlowBook | None, answers_http_errors: bool = True) -> Router:
    """The door for who holds a resume token."""

    def ask() -> Ask:
        return Ask(behind, flow_book=flows)

    handlers = [handler_of(one, config, guarded=config.closed) for one in TOKEN_DOOR.values()]
    provided = Provide(ask, sync_to_thread=False)
    return router_at(config, handlers, provided, answers_http_errors=answers_http_errors, middleware=config.middleware)


def probe_router(config: Probes, behind: Behind, *, answers_http_errors: bool = True) -> Router:
    """Liveness and readiness."""

    def ask() -> Ask:
        return Ask(behind, patience=config.patience)

    handlers = [handler_of(one, config, guarded=config.closed) for one in PROBES.values()]
    return router_at(config, handlers, Provide(ask, sync_to_thread=False), answers_http_errors=answers_http_errors)


def router_at(
    mount: Mount[Any],
    handlers: Iterable[ControllerRouterHandler],
    ask: Provide,
    *,
    answers_http_errors: bool,
    middleware: Sequence[Middleware] = (),
) -> Router:
    """Handlers as `mount` wants them."""
    return Router(
        mount.path,
        route_handlers=list(handlers),
        guards=list(mount.guards),
        middleware=list(middleware),
        dependencies={"ask": ask},
        exception_handlers={HTTPException: answer_to_http_error} if answers_http_errors else {},
        request_max_body_size=mount.max_body_size,
        response_class=ModelResponse,
        # Transfer objects of the application are not for these bodies.
        dto=None,
        return_dto=None,
        tags=list(mount.tags),
        include_in_schema=mount.include_in_schema,
    )
