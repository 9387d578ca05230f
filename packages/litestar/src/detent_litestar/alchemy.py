"""A handler's session of advanced-alchemy, and steps in it, as one transaction."""

from collections.abc import AsyncGenerator
from inspect import Parameter, Signature
from typing import Any, TypeAlias

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from detent.service.service import WorkflowService

_Service: TypeAlias = NamedDependency[WorkflowService]
_Session: TypeAlias = NamedDependency[SkipValidation[Any]]


def within(session_key: str = "db_session", *, workflows_key: str = "workflows") -> Provide:
    """The dependency for a service inside the handler's session, which is committed when the handler has ended.

        @post("/sales", dependencies={"joined": within("db_session")})
        async def sell(db_session: NamedDependency[AsyncSession], joined: NamedDependency[WorkflowService]) -> UUID:
            db_session.add(Sale())
            return (await joined.create_instance("order")).id

    `session_key` names the dependency that gives the session, advanced-alchemy's `session_dependency_key`, and
    `workflows_key` is the `dependency_key` of the `WorkflowConfig`. The commit comes before the response leaves: a client that
    read `201` has it, and a commit that fails is an error to the client. A handler that raises rolls back.

    Litestar ends the generators among a handler's dependencies all at once, and where there are several it wraps what they
    raise in an `ExceptionGroup`, for which there is no exception handler. A handler that has another one, such as a service
    of advanced-alchemy's `create_service_dependencies`, commits itself: `async with workflows.transaction(db_session):`.
    """

    async def joined(**given: Any) -> AsyncGenerator[WorkflowService, None]:
        service, session = given[workflows_key], given[session_key]
        async with service.transaction(session):
            yield service.within(session)

    # Litestar finds dependencies by the names of parameters.
    asked = {workflows_key: _Service, session_key: _Session}
    parameters = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=said) for name, said in asked.items()]
    joined.__annotations__ = {**asked, "return": AsyncGenerator[WorkflowService, None]}
    joined.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return Provide(joined)
