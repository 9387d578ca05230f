"""What the routes do, from what was asked to what is answered. `operations` says where they are.

Every call here is a step of its own, committed before its answer leaves: a client that read `200` has it. Beside the `Ask`, the
arguments of a function are the parameters and the body of its route, what it answers is the body of the answer, and OpenAPI
describes the route with its docstring.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from detent.json_values import JsonObject
from detent.notation.mermaid import Diagram, Style
from detent.notation.symbols import SymbolsName
from detent.service.http.accept import preferred
from detent.service.http.admission import event_named, require_readable
from detent.service.http.ask import Ask
from detent.service.http.headers import answer_headers, expected_version, fingerprint, key_in
from detent.service.http.parameters import (
    USUAL_PAGE,
    Before,
    IfMatch,
    InstanceId,
    KeyOfCreation,
    KeyOfEvent,
    Limit,
    Named,
    Parameter,
)
from detent.service.schemas import (
    EventView,
    HistoryEntryView,
    InstanceView,
    NewInstance,
    TransitionView,
    TriggeredEvent,
)
from detent.store.records import Outcome

MERMAID = "text/vnd.mermaid"
"""The media type of diagrams, for clients that ask for it; others get the same as plain text."""
PLAIN = "text/plain"

NOTHING_MORE = TriggeredEvent()
"""What an event with an empty body brings along."""

T = TypeVar("T")
StyleOf = Annotated[Style, Parameter("query", description="How it is drawn.")]
SymbolsOf = Annotated[SymbolsName, Parameter("query", description="What marks what is not drawn.")]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """One answer that is no error."""

    body: T
    """A view or a list of views, to be written as JSON; text where the media type is another one."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


async def create_instance(ask: Ask, asked: NewInstance, idempotency_key: KeyOfCreation = None) -> Answer[InstanceView]:
    """Create an instance, or find the one that the idempotency key created before."""
    key = key_in(idempotency_key)
    # Without an entry a request is told apart as it was before there were any.
    entry: JsonObject = {} if asked.entry is None else {"entry": asked.entry}
    instance = await ask.service.create_instance(
        asked.workflow,
        entry=asked.entry,
        context=asked.context,
        metadata=asked.metadata,
        idempotency_key=key,
        idempotency_fingerprint=None
        if key is None
        else fingerprint(context=asked.context, metadata=asked.metadata, **entry),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    if not instance.created:
        await require_readable(ask, instance)
    place = {"Location": f"{ask.path.rstrip('/')}/{instance.id}"}
    return Answer(
        InstanceView.model_validate(instance),
        201 if instance.created else 200,
        place | answer_headers(instance, replayed=not instance.created),
    )


async def get_instance(ask: Ask, instance_id: InstanceId) -> Answer[InstanceView]:
    """The instance as last committed."""
    instance = await ask.service.get_instance(instance_id)
    return Answer(InstanceView.model_validate(instance), headers=answer_headers(instance))


async def get_available_events(ask: Ask, instance_id: InstanceId) -> Answer[list[EventView]]:
    """The events of the instance's state, each with whether it would pass now, and why not."""
    return Answer([EventView.model_validate(event) for event in await ask.service.get_available_events(instance_id)])


async def trigger_event(
    ask: Ask,
    instance_id: InstanceId,
    event: Named,
    asked: TriggeredEvent = NOTHING_MORE,
    idempotency_key: KeyOfEvent = None,
    if_match: IfMatch = None,
) -> Answer[TransitionView]:
    """Take an event, or with 202 begin one that a worker finishes; what a guard refuses is an error: nothing happened."""
    key = key_in(idempotency_key)
    result = await ask.service.trigger_event(
        instance_id,
        event_named(event),
        payload=asked.payload,
        idempotency_key=key,
        idempotency_fingerprint=None if key is None else fingerprint(payload=asked.payload),
        expected_version=expected_version(if_match, asked.expected_version),
        trigger_metadata={**asked.trigger_metadata, **ask.acting},
    )
    if result.replayed:
        ask.on_replay()
    return Answer(
        TransitionView.model_validate(result.raise_if_refused()),
        202 if result.outcome is Outcome.ACCEPTED else 200,
        answer_headers(result.instance, replayed=result.replayed),
    )


async def get_history(
    ask: Ask, instance_id: InstanceId, limit: Limit = USUAL_PAGE, before: Before = None
) -> Answer[list[HistoryEntryView]]:
    """What happened to the instance, the newest first."""
    entries = await ask.service.get_history(instance_id, limit=limit, before=before)
    return Answer([HistoryEntryView.model_validate(entry) for entry in entries])


async def get_instance_diagram(
    ask: Ask, instance_id: InstanceId, style: StyleOf = "state", symbols: SymbolsOf = "unicode"
) -> Answer[str]:
    """The diagram of the version the instance follows, with its state and the way it came marked."""
    return drawn(await ask.service.instance_to_mermaid(instance_id, style=style, symbols=symbols), ask.accept)


def drawn(diagram: Diagram, accept: str) -> Answer[str]:
    """A diagram in the media type that an `Accept` header likes best."""
    # Names in it are anybody's: a browser must not take it for a page.
    headers = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    return Answer(str(diagram), headers=headers, media_type=preferred(accept, (PLAIN, MERMAID)))
