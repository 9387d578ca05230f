"""What the routes do, from what was asked to what is answered. `operations` says where they are.

Every call here is a step of its own, committed before its answer leaves: a client that read `200` has it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from detent.json_values import JsonObject
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.service.http.accept import preferred
from detent.service.http.headers import answer_headers, expected_version, fingerprint, key_in
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
from detent.store.records import Outcome

MERMAID = "text/vnd.mermaid"
"""The media type of diagrams, for clients that ask for it; others get the same as plain text."""
PLAIN = "text/plain"
MAX_PAGE = 100
"""How many history entries one answer holds at most."""
USUAL_PAGE = 50
LAST_SEQUENCE = 2**31 - 1
"""Stores count entries in 32 bits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no error."""

    body: Any
    """A view or a list of views, to be written as JSON; text where the media type is another one."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


async def create_instance(
    service: WorkflowService, asked: NewInstance, *, key: str | None, acting: JsonObject, path: str
) -> Answer:
    """Create an instance, or find the one that the idempotency key created before. `path` is that of the request."""
    key = key_in(key)
    # Without an entry a request is told apart as it was before there were any.
    entry: JsonObject = {} if asked.entry is None else {"entry": asked.entry}
    instance = await service.create_instance(
        asked.workflow,
        entry=asked.entry,
        context=asked.context,
        metadata=asked.metadata,
        idempotency_key=key,
        idempotency_fingerprint=None
        if key is None
        else fingerprint(context=asked.context, metadata=asked.metadata, **entry),
        trigger_metadata={**asked.trigger_metadata, **acting},
    )
    place = {"Location": f"{path.rstrip('/')}/{instance.id}"}
    return Answer(
        InstanceView.model_validate(instance),
        201 if instance.created else 200,
        place | answer_headers(instance, replayed=not instance.created),
    )


async def get_instance(service: WorkflowService, instance_id: UUID) -> Answer:
    """The instance as last committed."""
    instance = await service.get_instance(instance_id)
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def get_available_events(service: WorkflowService, instance_id: UUID) -> Answer:
    """The events of the instance's state, each with whether it would pass now, and why not."""
    return Answer([EventView.model_validate(event) for event in await service.get_available_events(instance_id)])


async def trigger_event(
    service: WorkflowService,
    instance_id: UUID,
    event: str,
    asked: TriggeredEvent,
    *,
    key: str | None,
    if_match: str | None,
    acting: JsonObject,
    on_replay: Callable[[], None],
) -> Answer:
    """Take an event, or with 202 begin one that a worker finishes; what a guard refuses is an error: nothing happened.

    `on_replay` is called when the key was answered before, so that an error, too, can be answered with the header.
    """
    key = key_in(key)
    result = await service.trigger_event(
        instance_id,
        # A parameter of the path that may contain slashes begins with one of its own in some frameworks.
        event.removeprefix("/"),
        payload=asked.payload,
        idempotency_key=key,
        idempotency_fingerprint=None if key is None else fingerprint(payload=asked.payload),
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **acting},
    )
    if result.replayed:
        on_replay()
    return Answer(
        TransitionView.model_validate(result.raise_if_refused()),
        202 if result.outcome is Outcome.ACCEPTED else 200,
        answer_headers(result.instance, replayed=result.replayed),
    )


async def get_history(service: WorkflowService, instance_id: UUID, *, limit: int, before: int | None) -> Answer:
    """What happened to the instance, the newest first."""
    entries = await service.get_history(instance_id, limit=limit, before=before)
    return Answer([HistoryEntryView.model_validate(entry) for entry in entries])


async def get_instance_diagram(
    service: WorkflowService, instance_id: UUID, *, style: Style, symbols: SymbolsName, accept: str
) -> Answer:
    """The diagram of the version the instance follows, with its state and the way it came marked."""
    return _drawn(await service.instance_to_mermaid(instance_id, style=style, symbols=symbols), accept)


async def list_definitions(service: WorkflowService) -> Answer:
    """The registered workflows, each in its newest version."""
    return Answer([DefinitionView.of(service.definition(name)) for name in service.workflows])


async def get_diagram(
    service: WorkflowService, workflow: str, *, style: Style, symbols: SymbolsName, accept: str
) -> Answer:
    """The diagram of the newest version of a workflow."""
    return _drawn(service.to_mermaid(workflow, style=style, symbols=symbols), accept)


def _drawn(diagram: Diagram, accept: str) -> Answer:
    # Names in it are anybody's: a browser must not take it for a page.
    headers = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    return Answer(str(diagram), headers=headers, media_type=preferred(accept, (PLAIN, MERMAID)))
