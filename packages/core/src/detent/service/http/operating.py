"""What the operators' routes do, from what was asked to what is answered."""

from collections.abc import Sequence
from typing import Literal, TypeAlias
from uuid import UUID

from detent.json_values import JsonObject
from detent.runtime.finding_verbs import InstancePage, Where
from detent.runtime.result import TransitionResult
from detent.service.http.answers import Answer
from detent.service.http.headers import answer_headers, expected_version, key_in
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
from detent.store.records import Outcome

NEWEST_FIRST = "-created_at"

Verb: TypeAlias = Literal["cancel", "pause", "resume"]


async def list_instances(
    service: WorkflowService,
    *,
    workflow: Sequence[str],
    state: Sequence[str],
    status: Sequence[str],
    version: Sequence[str],
    parent: UUID | None,
    order: str,
    limit: int,
    cursor: str | None,
) -> Answer:
    """Instances for which all conditions hold; one without values holds for every instance."""
    names = {"workflow": workflow, "states": state, "status": status, "version": version}
    where: Where = {name: tuple(values) for name, values in names.items() if values}  # type: ignore[assignment]
    if parent is not None:
        where["parent"] = parent
    return _page(await service.find_instances(order=order, limit=limit, cursor=cursor, **where))


async def list_parked(service: WorkflowService, *, workflow: Sequence[str], limit: int, cursor: str | None) -> Answer:
    """Instances that wait for an operator, the longest waiting first."""
    where: Where = {"workflow": tuple(workflow)} if workflow else {}
    return _page(await service.find_parked(limit=limit, cursor=cursor, **where))


async def list_runs(service: WorkflowService, instance_id: UUID, *, limit: int) -> Answer:
    """The runs of an instance, the newest first."""
    instance = await service.get_instance(instance_id)
    return Answer([RunView.of(run) for run in await service.runs.for_instance(instance, limit=limit)])


async def send_event(
    service: WorkflowService, instance_id: UUID, asked: Sent, *, key: str | None, acting: JsonObject
) -> Answer:
    """Keep an event until the instance can take it."""
    message = await service.send(
        instance_id,
        asked.event,
        asked.payload,
        delay=asked.delay,
        expires=asked.expires,
        idempotency_key=key_in(key),
        trigger_metadata={**asked.trigger_metadata, **acting},
    )
    return Answer(MessageView.model_validate(message), 202)


async def operate(
    service: WorkflowService,
    instance_id: UUID,
    verb: Verb,
    asked: Operated,
    *,
    if_match: str | None,
    acting: JsonObject,
) -> Answer:
    """Cancel, pause or resume an instance."""
    verbs = {"cancel": service.cancel, "pause": service.pause, "resume": service.resume}
    instance = await verbs[verb](
        instance_id,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **acting},
    )
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def force(
    service: WorkflowService, instance_id: UUID, asked: Forced, *, if_match: str | None, acting: JsonObject
) -> Answer:
    """Move an instance to a state, whatever its definition allows."""
    result = await service.force(
        instance_id,
        asked.state,
        context=asked.context,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **acting},
    )
    return _moved(result)


async def retry(service: WorkflowService, instance_id: UUID, asked: Retried, *, acting: JsonObject) -> Answer:
    """Try again what went wrong last."""
    return _moved(await service.retry(instance_id, trigger_metadata={**asked.trigger_metadata, **acting}))


def _page(page: InstancePage) -> Answer:
    found = [InstanceView.model_validate(instance) for instance in page]
    return Answer(InstancePageView(instances=found, cursor=page.cursor))


def _moved(result: TransitionResult) -> Answer:
    view = TransitionView.model_validate(result.raise_if_refused())
    return Answer(view, 202 if result.outcome is Outcome.ACCEPTED else 200, answer_headers(result.instance))
