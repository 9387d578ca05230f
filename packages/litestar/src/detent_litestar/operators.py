"""The operators' routes as handlers of Litestar: what it read of a request goes to `detent.service.http.operating`."""

from typing import Annotated
from uuid import UUID

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from detent.json_values import JsonObject
from detent.service.http import operating
from detent.service.http.answers import USUAL_PAGE
from detent.service.http.operating import NEWEST_FIRST, Verb
from detent.service.http.operating_views import (
    Forced,
    InstancePageView,
    MessageView,
    Operated,
    Retried,
    RunView,
    Sent,
)
from detent.service.schemas import InstanceView, TransitionView
from detent.service.service import WorkflowService
from detent_litestar.controllers import Limit
from detent_litestar.headers import IfMatch, KeyOfEvent
from detent_litestar.views import as_response

Names = Annotated[list[str] | None, QueryParameter(description="One or several.")]
# A parameter that is called `state` in Python is Litestar's own.
States = Annotated[list[str] | None, QueryParameter(name="state", description="One or several.")]
Cursor = Annotated[str | None, QueryParameter(description="Where the page begins, as the one before it said.")]

NO_REASON = Operated()
"""What a verb with an empty body brings along."""
NOTHING_SAID = Retried()


async def list_instances(
    service: NamedDependency[WorkflowService],
    workflow: Names = None,
    in_state: States = None,
    status: Names = None,
    version: Names = None,
    parent: FromQuery[UUID | None] = None,
    order: FromQuery[str] = NEWEST_FIRST,
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response[InstancePageView]:
    """Instances for which all conditions hold."""
    return as_response(
        await operating.list_instances(
            service,
            workflow=workflow or (),
            state=in_state or (),
            status=status or (),
            version=version or (),
            parent=parent,
            order=order,
            limit=limit,
            cursor=cursor,
        )
    )


async def list_parked(
    service: NamedDependency[WorkflowService],
    workflow: Names = None,
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Response[InstancePageView]:
    """Instances that wait for an operator."""
    return as_response(await operating.list_parked(service, workflow=workflow or (), limit=limit, cursor=cursor))


async def list_runs(
    instance_id: FromPath[UUID], service: NamedDependency[WorkflowService], limit: Limit = USUAL_PAGE
) -> Response[list[RunView]]:
    """The runs of an instance."""
    return as_response(await operating.list_runs(service, instance_id, limit=limit))


async def send_event(
    instance_id: FromPath[UUID],
    data: JSONBody[Sent],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    idempotency_key: KeyOfEvent = None,
) -> Response[MessageView]:
    """Keep an event until the instance can take it."""
    return as_response(await operating.send_event(service, instance_id, data, key=idempotency_key, acting=acting))


async def cancel_instance(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    data: JSONBody[Operated] = NO_REASON,
    if_match: IfMatch = None,
) -> Response[InstanceView]:
    """End the instance where it stands."""
    return await _operate("cancel", service, instance_id, data, if_match, acting)


async def pause_instance(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    data: JSONBody[Operated] = NO_REASON,
    if_match: IfMatch = None,
) -> Response[InstanceView]:
    """Stop the instance until it is resumed."""
    return await _operate("pause", service, instance_id, data, if_match, acting)


async def resume_instance(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    data: JSONBody[Operated] = NO_REASON,
    if_match: IfMatch = None,
) -> Response[InstanceView]:
    """Let the instance go on after a pause."""
    return await _operate("resume", service, instance_id, data, if_match, acting)


async def force_instance(
    instance_id: FromPath[UUID],
    data: JSONBody[Forced],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    if_match: IfMatch = None,
) -> Response[TransitionView]:
    """Enter a state, whatever the definition allows from here."""
    return as_response(await operating.force(service, instance_id, data, if_match=if_match, acting=acting))


async def retry_instance(
    instance_id: FromPath[UUID],
    service: NamedDependency[WorkflowService],
    acting: NamedDependency[JsonObject],
    data: JSONBody[Retried] = NOTHING_SAID,
) -> Response[TransitionView]:
    """Try again what went wrong last."""
    return as_response(await operating.retry(service, instance_id, data, acting=acting))


async def _operate(
    verb: Verb, service: WorkflowService, instance_id: UUID, asked: Operated, if_match: str | None, acting: JsonObject
) -> Response[InstanceView]:
    return as_response(await operating.operate(service, instance_id, verb, asked, if_match=if_match, acting=acting))
