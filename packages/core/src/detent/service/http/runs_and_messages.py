"""What the operators' routes of runs and messages answer."""

from collections.abc import Collection
from typing import Annotated, TypeAlias
from uuid import UUID

from detent.service.http.admission import readable_ids
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask
from detent.service.http.errors import NotTaken, TurnedAway
from detent.service.http.headers import answer_headers, expected_version
from detent.service.http.operating_views import NO_REASON, KeptMessageView, Operated, RunPageView, RunView
from detent.service.http.parameters import (
    LAST_NUMBER,
    USUAL_PAGE,
    IfMatch,
    InstanceId,
    Limit,
    MessageId,
    Names,
    Parameter,
    RunId,
)
from detent.service.schemas import InstanceView
from detent.store.messages import InboxQuery

Queue: TypeAlias = Annotated[str | None, Parameter("query", description="Whose workers take the next command.")]
AfterRun: TypeAlias = Annotated[
    UUID | None, Parameter("query", description="The last run of the page before, as it said.")
]
AfterMessage: TypeAlias = Annotated[
    int | None, Parameter("query", ge=0, le=LAST_NUMBER, description="The `number` of the last one on the page before.")
]
Dead: TypeAlias = Annotated[
    bool | None, Parameter("query", description="Only those that can never be taken, or only the others.")
]


async def list_runs(ask: Ask, instance_id: InstanceId, limit: Limit = USUAL_PAGE) -> Answer[list[RunView]]:
    """The durable transitions of an instance with how far they came, the newest first."""
    instance = await ask.service.get_instance(instance_id)
    return Answer([RunView.of(run) for run in await ask.service.runs.for_instance(instance, limit=limit)])


async def find_runs(
    ask: Ask,
    status: Names = None,
    workflow: Names = None,
    queue: Queue = None,
    limit: Limit = USUAL_PAGE,
    after: AfterRun = None,
) -> Answer[RunPageView]:
    """Durable transitions for which all conditions hold, the newest first, page by page."""
    found = await ask.service.runs.list(
        status=status or None, workflow=workflow or None, queue=queue, limit=limit, after=after
    )
    seen = await readable_ids(ask, {run.instance_id for run in found})
    shown = [RunView.of(run) for run in found if run.instance_id in seen]
    return Answer(RunPageView(runs=shown, after=found[-1].id if len(found) == limit else None))


async def get_run(ask: Ask, run_id: RunId) -> Answer[RunView]:
    """One durable transition with how far it came."""
    return Answer(RunView.of(await ask.service.runs.get(run_id)))


async def retry_run(
    ask: Ask, run_id: RunId, asked: Operated = NO_REASON, if_match: IfMatch = None
) -> Answer[InstanceView]:
    """Let a parked run go on with the command it stopped at, its attempts forgotten; its instance."""
    instance = await ask.service.runs.retry(
        run_id,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def cancel_run(
    ask: Ask, run_id: RunId, asked: Operated = NO_REASON, if_match: IfMatch = None
) -> Answer[InstanceView]:
    """Give a run up: its instance stays in its state, free for other events. What commands did is not undone."""
    instance = await ask.service.runs.cancel(
        run_id,
        reason=asked.reason,
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def list_messages(
    ask: Ask,
    instance_id: InstanceId,
    dead: Dead = None,
    limit: Limit = USUAL_PAGE,
    after: AfterMessage = None,
) -> Answer[list[KeptMessageView]]:
    """The events that are kept for an instance, in the order of their arrival."""
    instance = await ask.service.get_instance(instance_id)
    found = await ask.service.inbox.list(instance=instance, dead=dead, limit=limit, after=after)
    return Answer([KeptMessageView.model_validate(message) for message in found])


async def revive_message(ask: Ask, instance_id: InstanceId, message_id: MessageId) -> Answer[KeptMessageView]:
    """Let a dead message be tried again at once, its attempts forgotten."""
    await _message(ask, instance_id, message_id)
    _require(await ask.service.inbox.revive(message_id), 409, f"message {message_id} is not dead")
    return Answer(await _message(ask, instance_id, message_id), 200)


async def discard_message(ask: Ask, instance_id: InstanceId, message_id: MessageId) -> Answer[KeptMessageView]:
    """Take a message out, dead or not; the message as it was."""
    found = await _message(ask, instance_id, message_id)
    _require(await ask.service.inbox.discard(message_id), 404, f"there is no message {message_id}")
    return Answer(found)


async def _message(ask: Ask, instance_id: UUID, message_id: UUID) -> KeptMessageView:
    """A message to that very instance."""
    instance = await ask.service.get_instance(instance_id)
    query = InboxQuery(instance_id=instance.id, ids=(message_id,))
    found = await ask.service.running().parts.store.inbox.find(query, limit=1)
    _require(found, 404, f"there is no message {message_id}")
    return KeptMessageView.model_validate(found[0])


def _require(found: Collection[object], status: int, detail: str) -> None:
    if not found:
        raise NotTaken(TurnedAway(status, detail))
