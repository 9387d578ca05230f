"""Where the routes are, and who may use them."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, Request
from fastapi.params import Depends as Dependency

from detent.definition.model import WorkflowDefinition
from detent.service.http.ask import Ask
from detent.service.http.mounted import operations_of
from detent.service.http.operations import PROBES, TOKEN_DOOR
from detent.service.http.policy import Mount
from detent_fastapi.asking import ask_of
from detent_fastapi.config import Probes, Tokens, WorkflowRoutes
from detent_fastapi.endpoints import add_operation
from detent_fastapi.following import add_websocket
from detent_fastapi.lifespan import setup_of

logger = logging.getLogger("detent.fastapi")


def workflow_router(
    config: WorkflowRoutes, definitions: Iterable[WorkflowDefinition] = (), *, runtime: str | None = None
) -> APIRouter:
    """The routes as `config` wants them, for `app.include_router(...)` on an application with `setup_workflows`.

    `WorkflowConfig(routes=...)` includes them by itself; this is for another place, such as a router of the application's.
    `definitions` are those whose events are operations of their own, where the config wants that; `runtime` says which of
    several runtimes they reach.
    """

    async def ask(request: Request) -> Ask:
        return ask_of(request, config, runtime)

    router = router_at(config, lifespan=_warning(config))
    for operation in operations_of(config, definitions):
        add_operation(router, operation, config, ask)
    if config.websockets:
        add_websocket(router, config, runtime)
    return router


def token_router(config: Tokens, *, runtime: str | None = None) -> APIRouter:
    """The door for who holds a resume token, for an application whose `WorkflowConfig` has `flows`."""

    async def ask(request: Request) -> Ask:
        ours = setup_of(request.app, runtime)
        return Ask(ours, flow_book=ours.config.flows)

    router = router_at(config)
    for operation in TOKEN_DOOR.values():
        add_operation(router, operation, config, ask)
    return router


def probe_router(config: Probes, *, runtime: str | None = None) -> APIRouter:
    """Liveness and readiness, for an application with `setup_workflows`."""

    async def ask(request: Request) -> Ask:
        return Ask(setup_of(request.app, runtime), patience=config.patience)

    router = router_at(config)
    for operation in PROBES.values():
        add_operation(router, operation, config, ask)
    return router


def router_at(mount: Mount[Dependency], **options: Any) -> APIRouter:
    """A router for routes as `mount` wants them."""
    return APIRouter(
        prefix=mount.path.rstrip("/"),
        tags=list(mount.tags),
        include_in_schema=mount.include_in_schema,
        **options,
    )


def _warning(config: WorkflowRoutes) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Warns at each start of open routes; an application that includes them enters this too."""

    @asynccontextmanager
    async def started(_: Any) -> AsyncIterator[None]:
        if config.policy is not None:
            logger.warning("the workflow routes under %s are open to everybody: AllowAll()", config.path)
        yield

    return started
