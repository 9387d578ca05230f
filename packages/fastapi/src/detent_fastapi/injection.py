"""What handlers get by `Depends`."""

from collections.abc import AsyncIterator, Callable
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

    `Annotated[WorkflowService, Depends(workflows)]`. Every call of it commits before it returns. Raises `NotStarted`.
    """
    ours = setup_of(connection.app)
    of_request = getattr(connection.state, CONTAINER, None)
    if of_request is not None and ours.serves(connection.app) and connection.scope["type"] == "http":
        service: WorkflowService = await of_request.get(WorkflowService)
        return service
    return WorkflowService(ours.runtime)


async def flows(connection: HTTPConnection, service: Annotated[WorkflowService, Depends(workflows)]) -> FlowService:
    """The service of flows over the one that `workflows` gives: `Annotated[FlowService, Depends(flows)]`.

    Raises `ValueError` where the config has no `flows`.
    """
    book = setup_of(connection.app).config.flows
    if book is None:
        raise ValueError("the application has no flows: WorkflowConfig(flows=FlowBook(...))")
    return FlowService(service, book)


async def triggers(connection: HTTPConnection) -> TriggerService:
    """The service of triggers: `Annotated[TriggerService, Depends(triggers)]`. Raises `NotStarted` where there is none."""
    return setup_of(connection.app).triggers


def within(session: Callable[..., Any]) -> Dependency:
    """The dependency for a service inside the handler's session, which is committed when the handler has ended.

    `Annotated[WorkflowService, within(session)]`, where `session` is a dependency of the application's, such as
    `alchemy.provide_async_session()` of advanced-alchemy, or:

        async def session():
            async with AsyncSession(engine) as session:
                yield session

    It is left with `scope="function"`, so that the commit comes before the response leaves: a client that read `200` has
    it, and a commit that fails is an error to the client. A handler that raises rolls back. One that also asks for the session
    itself says `Depends(session, scope="function")`, and gets the same one.
    """

    async def joined(
        service: Annotated[WorkflowService, Depends(workflows)],
        lent: Annotated[Any, Depends(session, scope="function")],
    ) -> AsyncIterator[WorkflowService]:
        async with service.transaction(lent):
            yield service.within(lent)

    dependency: Dependency = Depends(joined, scope="function")
    return dependency
