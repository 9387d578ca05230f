"""What the routes do. `routes` says where they are and what OpenAPI tells of them.

Every call here is a step of its own, committed before its answer leaves: a client that read `200` has it.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar import MediaType, Request, Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from detent.json_values import JsonObject
from detent.notation.mermaid import Diagram, Style
from detent.service.schemas import (
    EventView,
    HistoryEntryView,
    InstanceView,
    NewInstance,
    TransitionView,
    TriggeredEvent,
)
from detent.service.service import WorkflowService
from detent.store.records import Outcome
from detent_litestar.headers import (
    IfMatch,
    KeyOfCreation,
    KeyOfEvent,
    answer_headers,
    expected_version,
    fingerprint,
    key_in,
    note_replay,
)
from detent_litestar.views import DefinitionView, ModelResponse

MERMAID = "text/vnd.mermaid"
"""The media type of diagrams, for clients that ask for it; others get the same as plain text."""
MAX_PAGE = 100
"""How many history entries one answer holds at most."""
LAST_SEQUENCE = 2**31 - 1
"""Stores count entries in 32 bits."""

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
    key = key_in(idempotency_key)
    instance = await service.create_instance(
        data.workflow,
        context=data.context,
        metadata=data.metadata,
        idempotency_key=key,
        idempotency_fingerprint=None if key is None else fingerprint(context=data.context, metadata=data.metadata),
        trigger_metadata={**data.trigger_metadata, **acting},
    )
    return ModelResponse(
        InstanceView.model_validate(instance),
        status_code=201 if instance.created else 200,
        headers={
            "Location": f"{request.url.path.rstrip('/')}/{instance.id}",
            **answer_headers(instance, replayed=not instance.created),
        },
    )


async def get_instance(
    instance_id: FromPath[UUID], service: NamedDependency[WorkflowService]
) -> Response[InstanceView]:
    """The instance as last committed."""
    instance = await service.get_instance(instance_id)
    return ModelResponse(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def get_available_events(
    instance_id: FromPath[UUID], service: NamedDependency[WorkflowService]
) -> list[EventView]:
    """The events of the instance's state, each with whether it would pass now, and why not."""
    return [EventView.model_validate(event) for event in await service.get_available_events(instance_id)]


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
    key = key_in(idempotency_key)
    result = await service.trigger_event(
        instance_id,
        # A parameter of type `path` lets names contain slashes, and begins with one of its own.
        event.removeprefix("/"),
        payload=data.payload,
        idempotency_key=key,
        idempotency_fingerprint=None if key is None else fingerprint(payload=data.payload),
        expected_version=expected_version(if_match, data.expected_version),
        trigger_metadata={**data.trigger_metadata, **acting},
    )
    if result.replayed:
        note_replay(request)
    return ModelResponse(
        TransitionView.model_validate(result.raise_if_refused()),
        status_code=202 if result.outcome is Outcome.ACCEPTED else 200,
        headers=answer_headers(result.instance, replayed=result.replayed),
    )


async def get_history(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    limit: Limit = 50,
    before: Before = None,
) -> list[HistoryEntryView]:
    """What happened to the instance, the newest first."""
    entries = await service.get_history(instance_id, limit=limit, before=before)
    return [HistoryEntryView.model_validate(entry) for entry in entries]


async def get_instance_diagram(
    instance_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    style: FromQuery[Style] = "state",
) -> Response[str]:
    """The diagram of the version the instance follows, with its state and the way it came marked."""
    return _drawn(request, await service.instance_to_mermaid(instance_id, style=style))


async def list_definitions(service: NamedDependency[WorkflowService]) -> list[DefinitionView]:
    """The registered workflows, each in its newest version."""
    return [DefinitionView.of(service.definition(name)) for name in service.workflows]


async def get_diagram(
    workflow: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[WorkflowService],
    style: FromQuery[Style] = "state",
) -> Response[str]:
    """The diagram of the newest version of a workflow."""
    return _drawn(request, service.to_mermaid(workflow, style=style))


def _drawn(request: Request[Any, Any, Any], diagram: Diagram) -> Response[str]:
    wanted = request.accept.best_match([MediaType.TEXT, MERMAID], MediaType.TEXT)
    # Names in it are anybody's: a browser must not take it for a page.
    return Response(str(diagram), media_type=wanted, headers={"Vary": "Accept", "X-Content-Type-Options": "nosniff"})
