"""The operators' routes as FastAPI calls them: what it read of a request goes to `detent.service.http.operating`."""

from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from detent.service.http import operating
from detent.service.http.answers import USUAL_PAGE
from detent.service.http.operating import NEWEST_FIRST
from detent.service.http.operating_views import Forced, Operated, Retried, Sent
from detent_fastapi.answers import as_response
from detent_fastapi.endpoints import Acting, IfMatch, KeyOfEvent, Limit, Service
from detent_fastapi.turning_away import json_in


async def operated(request: Request) -> Operated:
    """What the body says of a verb."""
    return json_in(request, Operated)


async def forced(request: Request) -> Forced:
    """What the body says of where to move an instance."""
    return json_in(request, Forced)


async def retried(request: Request) -> Retried:
    """What the body says of another try."""
    return json_in(request, Retried)


async def sent(request: Request) -> Sent:
    """What the body says of an event to keep."""
    return json_in(request, Sent)


Names: TypeAlias = Annotated[list[str] | None, Query(description="One or several.")]
Cursor: TypeAlias = Annotated[str | None, Query(description="Where the page begins, as the one before it said.")]
Asked: TypeAlias = Annotated[Operated, Depends(operated)]


async def list_instances(
    service: Service,
    workflow: Names = None,
    state: Names = None,
    status: Names = None,
    version: Names = None,
    parent: UUID | None = None,
    order: str = NEWEST_FIRST,
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response:
    """Instances for which all conditions hold."""
    return as_response(
        await operating.list_instances(
            service,
            workflow=workflow or (),
            state=state or (),
            status=status or (),
            version=version or (),
            parent=parent,
            order=order,
            limit=limit,
            cursor=cursor,
        )
    )


async def list_parked(
    service: Service, workflow: Names = None, limit: Limit = USUAL_PAGE, cursor: Cursor = None
) -> Response:
    """Instances that wait for an operator."""
    return as_response(await operating.list_parked(service, workflow=workflow or (), limit=limit, cursor=cursor))


async def list_runs(instance_id: UUID, service: Service, limit: Limit = USUAL_PAGE) -> Response:
    """The runs of an instance."""
    return as_response(await operating.list_runs(service, instance_id, limit=limit))


async def send_event(
    instance_id: UUID,
    service: Service,
    acting: Acting,
    asked: Annotated[Sent, Depends(sent)],
    idempotency_key: KeyOfEvent = None,
) -> Response:
    """Keep an event until the instance can take it."""
    return as_response(await operating.send_event(service, instance_id, asked, key=idempotency_key, acting=acting))


async def cancel_instance(
    instance_id: UUID, service: Service, acting: Acting, asked: Asked, if_match: IfMatch = None
) -> Response:
    """End the instance where it stands."""
    return as_response(await operating.operate(service, instance_id, "cancel", asked, if_match=if_match, acting=acting))


async def pause_instance(
    instance_id: UUID, service: Service, acting: Acting, asked: Asked, if_match: IfMatch = None
) -> Response:
    """Stop the instance until it is resumed."""
    return as_response(await operating.operate(service, instance_id, "pause", asked, if_match=if_match, acting=acting))


async def resume_instance(
    instance_id: UUID, service: Service, acting: Acting, asked: Asked, if_match: IfMatch = None
) -> Response:
    """Let the instance go on after a pause."""
    return as_response(await operating.operate(service, instance_id, "resume", asked, if_match=if_match, acting=acting))


async def force_instance(
    instance_id: UUID,
    service: Service,
    acting: Acting,
    asked: Annotated[Forced, Depends(forced)],
    if_match: IfMatch = None,
) -> Response:
    """Enter a state, whatever the definition allows from here."""
    return as_response(await operating.force(service, instance_id, asked, if_match=if_match, acting=acting))


async def retry_instance(
    instance_id: UUID, service: Service, acting: Acting, asked: Annotated[Retried, Depends(retried)]
) -> Response:
    """Try again what went wrong last."""
    return as_response(await operating.retry(service, instance_id, asked, acting=acting))
