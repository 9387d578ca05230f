"""The routes as FastAPI calls them: what it read of a request goes to `detent.service.http.answers`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Header, Query, Request, Response

from detent.json_values import JsonObject
from detent.notation.mermaid import Style
from detent.notation.symbols import SymbolsName
from detent.service.http import answers
from detent.service.http.answers import LAST_SEQUENCE, MAX_PAGE, USUAL_PAGE
from detent.service.http.headers import IF_MATCH, KEY, KEY_OF_CREATION, KEY_OF_EVENT, MAX_KEY, VERSION_SEEN
from detent.service.schemas import NewInstance, TriggeredEvent
from detent.service.service import WorkflowService
from detent_fastapi.answers import as_response
from detent_fastapi.config import WorkflowRoutes
from detent_fastapi.errors import note_replay
from detent_fastapi.lifespan import setup_of
from detent_fastapi.turning_away import json_in, tenant_of

_CONFIG = "detent_routes"
_RUNTIME = "detent_runtime"

# What FastAPI is given here is async throughout: for each plain function it would go to a thread.


def under(config: WorkflowRoutes, runtime: str | None) -> Callable[[Request], Awaitable[None]]:
    """A dependency, the first of a route, that tells the handlers which routes of which runtime they are part of."""

    async def note(request: Request) -> None:
        setattr(request.state, _CONFIG, config)
        setattr(request.state, _RUNTIME, runtime)

    return note


async def bound(request: Request) -> WorkflowService:
    """The service for the tenant of the request. It joins no transaction: these handlers would commit none."""
    config: WorkflowRoutes = getattr(request.state, _CONFIG)
    service = WorkflowService(setup_of(request.app, getattr(request.state, _RUNTIME)).runtime)
    return service if config.tenant is None else service.for_tenant(tenant_of(request, config.tenant))


async def sender(request: Request) -> JsonObject:
    """What history is told about who sends the request."""
    config: WorkflowRoutes = getattr(request.state, _CONFIG)
    return dict(config.acting(request)) if config.acting else {}


async def new_instance(request: Request) -> NewInstance:
    """What the body says of an instance."""
    return json_in(request, NewInstance)


async def triggered_event(request: Request) -> TriggeredEvent:
    """What the body says of an event."""
    return json_in(request, TriggeredEvent)


Service: TypeAlias = Annotated[WorkflowService, Depends(bound)]
Acting: TypeAlias = Annotated[JsonObject, Depends(sender)]
Accept: TypeAlias = Annotated[str, Header(include_in_schema=False)]
KeyOfCreation: TypeAlias = Annotated[str | None, Header(alias=KEY, max_length=MAX_KEY, description=KEY_OF_CREATION)]
KeyOfEvent: TypeAlias = Annotated[str | None, Header(alias=KEY, max_length=MAX_KEY, description=KEY_OF_EVENT)]
IfMatch: TypeAlias = Annotated[str | None, Header(alias=IF_MATCH, description=VERSION_SEEN)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many entries at most.")]
Before: TypeAlias = Annotated[
    int | None, Query(ge=1, le=LAST_SEQUENCE, description="Only entries with a lower sequence: the page after.")
]


async def create_instance(
    request: Request,
    service: Service,
    acting: Acting,
    asked: Annotated[NewInstance, Depends(new_instance)],
    idempotency_key: KeyOfCreation = None,
) -> Response:
    """Create an instance, or find the one that the idempotency key created before."""
    return as_response(
        await answers.create_instance(service, asked, key=idempotency_key, acting=acting, path=request.url.path)
    )


async def get_instance(instance_id: UUID, service: Service) -> Response:
    """The instance as last committed."""
    return as_response(await answers.get_instance(service, instance_id))


async def get_available_events(instance_id: UUID, service: Service) -> Response:
    """The events of the instance's state, each with whether it would pass now, and why not."""
    return as_response(await answers.get_available_events(service, instance_id))


async def trigger_event(
    instance_id: UUID,
    event: str,
    request: Request,
    service: Service,
    acting: Acting,
    asked: Annotated[TriggeredEvent, Depends(triggered_event)],
    idempotency_key: KeyOfEvent = None,
    if_match: IfMatch = None,
) -> Response:
    """Take an event, or with 202 begin one that a worker finishes; what a guard refuses is an error: nothing happened."""
    return as_response(
        await answers.trigger_event(
            service,
            instance_id,
            event,
            asked,
            key=idempotency_key,
            if_match=if_match,
            acting=acting,
            on_replay=lambda: note_replay(request),
        )
    )


async def get_history(
    instance_id: UUID, service: Service, limit: Limit = USUAL_PAGE, before: Before = None
) -> Response:
    """What happened to the instance, the newest first."""
    return as_response(await answers.get_history(service, instance_id, limit=limit, before=before))


async def get_instance_diagram(
    instance_id: UUID,
    service: Service,
    style: Style = "state",
    symbols: SymbolsName = "unicode",
    accept: Accept = "",
) -> Response:
    """The diagram of the version the instance follows, with its state and the way it came marked."""
    return as_response(
        await answers.get_instance_diagram(service, instance_id, style=style, symbols=symbols, accept=accept)
    )


async def list_definitions(service: Service) -> Response:
    """The registered workflows, each in its newest version."""
    return as_response(await answers.list_definitions(service))


async def get_diagram(
    workflow: str,
    service: Service,
    style: Style = "state",
    symbols: SymbolsName = "unicode",
    accept: Accept = "",
) -> Response:
    """The diagram of the newest version of a workflow."""
    return as_response(await answers.get_diagram(service, workflow, style=style, symbols=symbols, accept=accept))
