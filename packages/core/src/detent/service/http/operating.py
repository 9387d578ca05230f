"""What the operators' routes of instances and parked work answer."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from detent.runtime.finding_verbs import InstancePage, Where
from detent.runtime.result import TransitionResult
from detent.service.http.admission import readable
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask
from detent.service.http.headers import answer_headers, expected_version, key_in
from detent.service.http.operating_views import (
    NO_REASON,
    NOTHING_SAID,
    Forced,
    InstancePageView,
    MessageView,
    Operated,
    Retried,
    Sent,
)
from detent.service.http.parameters import (
    USUAL_PAGE,
    Cursor,
    IfMatch,
    InstanceId,
    KeyOfEvent,
    Limit,
    Names,
    Parameter,
    States,
)
from detent.service.schemas import InstanceView, TransitionView
from detent.store.records import Outcome

NEWEST_FIRST = "-created_at"

Verb: TypeAlias = Literal["cancel", "pause", "resume"]
Parent: TypeAlias = Annotated[UUID | None, Parameter("query", description="The instance that they were created for.")]
Order: TypeAlias = Annotated[
    str, Parameter("query", description="What they are sorted by, such as `updated_at`; with `-` the latest first.")
]


async def list_instances(
    ask: Ask,
    workflow: Names = None,
    in_state: States = None,
    status: Names = None,
    version: Names = None,
    parent: Parent = None,
    order: Order = NEWEST_FIRST,
    limit: Limit = USUAL_PAGE,
    cursor: Cursor = None,
) -> Answer[InstancePageView]:
    """Instances for which all conditions hold, page by page; a condition may be given several values."""
    names = {"workflow": workflow, "states": in_state, "status": status, "version": version}
    where: Where = {name: tuple(values) for name, values in names.items() if values}  # type: ignore[assignment]
    if parent is not None:
        where["parent"] = parent
    return await _page(ask, await ask.service.find_instances(order=order, limit=limit, cursor=cursor, **where))


async def list_parked(
    ask: Ask, workflow: Names = None, limit: Limit = USUAL_PAGE, cursor: Cursor = None
) -> Answer[InstancePageView]:
    """Instances with a timeout or a run that waits for an operator, the longest waiting first."""
    where: Where = {"workflow": tuple(workflow)} if workflow else {}
    return await _page(ask, await ask.service.find_parked(limit=limit, cursor=cursor, **where))


async def send_event(
    ask: Ask, instance_id: InstanceId, asked: Sent, idempotency_key: KeyOfEvent = None
) -> Answer[MessageView]:
    """Keep an event until the instance can take it; a worker lets it take it once."""
    message = await ask.service.send(
        instance_id,
        asked.event,
        asked.payload,
        delay=asked.delay,
        expires=asked.expires,
        idempotency_key=key_in(idempotency_key),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    return Answer(MessageView.model_validate(message), 202)


async def cancel_instance(
    ask: Ask, instance_id: InstanceId, asked: Operated = NO_REASON, if_match: IfMatch = None
) -> Answer[InstanceView]:
    """End the instance where it stands."""
    return await _operate(ask, instance_id, "cancel", asked, if_match)


async def pause_instance(
    ask: Ask, instance_id: InstanceId, asked: Operated = NO_REASON, if_match: IfMatch = None
) -> Answer[InstanceView]:
    """Until it is resumed the instance takes no event, and no timeout of it fires."""
    return await _operate(ask, instance_id, "pause", asked, if_match)


async def resume_instance(
    ask: Ask, instance_id: InstanceId, asked: Operated = NO_REASON, if_match: IfMatch = None
) -> Answer[InstanceView]:
    """Let the instance go on after a pause."""
    return await _operate(ask, instance_id, "resume", asked, if_match)


async def force_instance(
    ask: Ask, instance_id: InstanceId, asked: Forced, if_match: IfMatch = None
) -> Answer[TransitionView]:
    """Enter a state, whatever the definition allows from here; no guard is asked."""
    result = await ask.service.force(
        instance_id,
        asked.state,
        context=asked.context,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    return _moved(result)


async def retry_instance(ask: Ask, instance_id: InstanceId, asked: Retried = NOTHING_SAID) -> Answer[TransitionView]:
    """Try again what went wrong last: a parked run, a timeout, or the newest event that was refused or failed."""
    said = {**asked.trigger_metadata, **ask.acting}
    return _moved(await ask.service.retry(instance_id, trigger_metadata=said))


async def _operate(
    ask: Ask, instance_id: UUID, verb: Verb, asked: Operated, if_match: str | None
) -> Answer[InstanceView]:
    service = ask.service
    verbs = {"cancel": service.cancel, "pause": service.pause, "resume": service.resume}
    instance = await verbs[verb](
        instance_id,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def _page(ask: Ask, page: InstancePage) -> Answer[InstancePageView]:
    found = [InstanceView.model_validate(instance) for instance in await readable(ask, page)]
    return Answer(InstancePageView(instances=found, cursor=page.cursor))


def _moved(result: TransitionResult) -> Answer[TransitionView]:
    view = TransitionView.model_validate(result.raise_if_refused())
    return Answer(view, 202 if result.outcome is Outcome.ACCEPTED else 200, answer_headers(result.instance))
