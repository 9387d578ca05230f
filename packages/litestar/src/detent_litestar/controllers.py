"""The routes as handlers of Litestar: what it read of a request goes to `detent.service.http.answers`."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from detent.json_values import JsonObject
from detent.notation.mermaid import Style
from detent.notation.symbols import SymbolsName
from detent.service.http import answers
from detent.service.http.answers import LAST_SEQUENCE, MAX_PAGE, USUAL_PAGE
from detent.service.schemas import (
    DefinitionView,
    EventView,
    HistoryEntryView,
    InstanceView,
    NewInstance,
    TransitionView,
    TriggeredEvent,
)
from detent.service.service import WorkflowService
from detent_litestar.headers import IfMatch, KeyOfCreation, KeyOfEvent, note_replay
from detent_litestar.views import as_response

NOTHING_MORE = TriggeredEvent()
"""What an event with an empty body brings along."""

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="How many entries at most.")]
Before = Annotated[
    int | None,
    QueryParameter(ge=1, le=LAST_SEQUENCE, description="Only entries with a lower sequence: the page after."),
]


async def create_instance(
    data: JSONBody[NewInstance],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    idempotency_key: KeyOfCreation = None,
) -> Response[InstanceView]:
    """Create an instance, or find the one that the idempotency key created before."""
    return as_response(
        await answers.create_instance(service, data, key=idempotency_key, acting=acting, path=request.url.path)
    )


async def get_instance(
    instance_id: FromPath[UUID], service: NamedDependency[WorkflowService]
) -> Response[InstanceView]:
    """The instance as last committed."""
    return as_response(await answers.get_instance(service, instance_id))


async def get_available_events(
    instance_id: FromPath[UUID], service: NamedDependency[WorkflowService]
) -> Response[list[EventView]]:
    """The events of the instance's state, each with whether it would pass now, and why not."""
    return as_response(await answers.get_available_events(service, instance_id))


async def trigger_event(
    instance_id: FromPath[UUID],
    event: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    data: JSONBody[TriggeredEvent] = NOTHING_MORE,
    idempotency_key: KeyOfEvent = None,
    if_match: IfMatch = None,
) -> Response[TransitionView]:
    """Take an event, or with 202 begin one that a worker finishes; what a guard refuses is an error: nothing happened."""
    return as_response(
        await answers.trigger_event(
            service,
            instance_id,
            event,
            data,
            key=idempotency_key,
            if_match=if_match,
            acting=acting,
            on_replay=lambda: note_replay(request),
        )
    )


async def get_history(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    limit: Limit = USUAL_PAGE,
    before: Before = None,
) -> Response[list[HistoryEntryView]]:
    """What happened to the instance, the newest first."""
    return as_response(await answers.get_history(service, instance_id, limit=limit, before=before))


async def get_instance_diagram(
    instance_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    style: FromQuery[Style] = "state",
    symbols: FromQuery[SymbolsName] = "unicode",
) -> Response[str]:
    """The diagram of the version the instance follows, with its state and the way it came marked."""
    accept = request.headers.get("accept", "")
    return as_response(
        await answers.get_instance_diagram(service, instance_id, style=style, symbols=symbols, accept=accept)
    )


async def list_definitions(service: NamedDependency[WorkflowService]) -> Response[list[DefinitionView]]:
    """The registered workflows, each in its newest version."""
    return as_response(await answers.list_definitions(service))


async def get_diagram(
    workflow: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    style: FromQuery[Style] = "state",
    symbols: FromQuery[SymbolsName] = "unicode",
) -> Response[str]:
    """The diagram of the newest version of a workflow."""
    accept = request.headers.get("accept", "")
    return as_response(await answers.get_diagram(service, workflow, style=style, symbols=symbols, accept=accept))
