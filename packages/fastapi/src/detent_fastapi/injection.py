"""What handlers get by `Depends`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Annotated, Any

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.requests import HTTPConnection

from detent.service.flows import FlowService
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent_fastapi.lifespan import CONTAINER, setup_of


async def workflows(connection: HTTPConnection) -> WorkflowService:
    """The service for one request: the request container's own where ours serves requests, else a plain one.

    `Annotated[WorkflowService, Depends(workflows)]`. Every call of it commits before it returns. Of several runtimes it is that
    of the one without a name; `workflows_of` has the others. Raises `NotStarted`.
    """
    return await _service(connection, None)


async def flows(connection: HTTPConnection, service: Annotated[WorkflowService, Depends(workflows)]) -> FlowService:
    """The service of flows over the one that `workflows` gives: `Annotated[FlowService, Depends(flows)]`.

    Raises `ValueError` where the config has no `flows`.
    """
    return _flows(connection, service, None)


async def triggers(connection: HTTPConnection) -> TriggerService:
    """The service of triggers: `Annotated[TriggerService, Depends(triggers)]`. Raises `NotStarted` where there is none."""
    return setup_of(connection.app).triggers


@cache
def workflows_of(runtime: str) -> Callable[[HTTPConnection], Awaitable[WorkflowService]]:
    """What `workflows` is, for the runtime of that name: `Annotated[WorkflowService, Depends(workflows_of("billing"))]`.

    The same name gives the same function, which a test may override. A request raises `ValueError` where no runtime is called so.
    """

    async def named(connection: HTTPConnection) -> WorkflowService:
        return await _service(connection, runtime)

    return named


@cache
def flows_of(runtime: str) -> Callable[..., Awaitable[FlowService]]:
    """What `flows` is, for the runtime of that name: `Annotated[FlowService, Depends(flows_of("billing"))]`."""

    async def named(
        connection: HTTPConnection, service: Annotated[WorkflowService, Depends(workflows_of(runtime))]
    ) -> FlowService:
        return _flows(connection, service, runtime)

    return named


@cache
def triggers_of(runtime: str) -> Callable[[HTTPConnection], Awaitable[TriggerService]]:
    """What `triggers` is, for the runtime of that name: `Annotated[TriggerService, Depends(triggers_of("billing"))]`."""

    async def named(connection: HTTPConnection) -> TriggerService:
        return setup_of(connection.app, runtime).triggers

    return named


def within(session: Callable[..., Any], *, runtime: str | None = None) -> Dependency:
    """The dependency for a service inside the handler's session, which is committed when the handler has ended.

    `Annotated[WorkflowService, within(session)]`, where `session` is a dependency of the application's, such as
    `alchemy.provide_async_session()` of advanced-alchemy, or:

        async def session():
            async with AsyncSession(engine) as session:
                yield session

    It is left with `scope="function"`, so that the commit comes before the response leaves: a client that read `200` has
    it, and a commit that fails is an error to the client. A handler that raises rolls back. One that also asks for the session
    itself says `Depends(session, scope="function")`, and gets the same one. `runtime` names one of several.
    """
    joining = workflows if runtime is None else workflows_of(runtime)

    async def joined(
        service: Annotated[WorkflowService, Depends(joining)],
        lent: Annotated[Any, Depends(session, scope="function")],
    ) -> AsyncIterator[WorkflowService]:
        async with service.transaction(lent):
            yield service.within(lent)

    dependency: Dependency = Depends(joined, scope="function")
    return dependency


async def _service(connection: HTTPConnection, runtime: str | None) -> WorkflowService:
    ours = setup_of(connection.app, runtime)
    of_request = getattr(connection.state, CONTAINER, None)
    if of_request is not None and ours.serves(connection.app) and connection.scope["type"] == "http":
        return await ours.service_from(of_request)
    return WorkflowService(ours.runtime)


def _flows(connection: HTTPConnection, service: WorkflowService, runtime: str | None) -> FlowService:
    book = setup_of(connection.app, runtime).config.flows
    if book is None:
        raise ValueError("the application has no flows: WorkflowConfig(flows=FlowBook(...))")
    return FlowService(service, book)
