"""Live updates: what happens to an instance, entry by entry, as server-sent events (WHATWG HTML, section 9.2) or otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, TypeAlias
from uuid import UUID

from detent.errors import DetentError
from detent.json_values import JsonObject
from detent.runtime.listener import Listener
from detent.service.http.admission import require_readable
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask
from detent.service.http.headers import LAST_EVENT_ID
from detent.service.http.parameters import LAST_SEQUENCE, MAX_PAGE, InstanceId, Parameter
from detent.service.http.server import is_stopping
from detent.service.schemas import HistoryEntryView
from detent.store.records import FINISHED, HistoryEntry, WorkflowInstance
from detent.store.signals import moved

EVENT_STREAM = "text/event-stream"
EVENT_SCHEMA: JsonObject = {
    "type": "object",
    "description": "One event.",
    "properties": {
        "id": {"type": "string", "description": "The sequence of the entry."},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "A `HistoryEntryView`."},
    },
    "required": ["id", "data"],
}
"""What OpenAPI tells of each event."""
COMES_BACK = 1000
"""After how many milliseconds a browser comes back."""
LOOKS_EVERY = 2.0
"""After how many seconds the store is asked again; that the instance moved makes it sooner."""
LASTS = 30.0
"""After how many seconds a stream ends: the client comes back, and guards are asked anew."""

After: TypeAlias = Annotated[
    int,
    Parameter("query", ge=0, le=LAST_SEQUENCE, description="Only entries with a higher sequence; 0 for all there are."),
]
LastEventId: TypeAlias = Annotated[
    int | None,
    Parameter(
        "header", LAST_EVENT_ID, ge=0, le=LAST_SEQUENCE, description="The last one that came; it wins over `after`."
    ),
]


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer that goes on: server-sent events."""

    chunks: AsyncIterator[bytes]


async def stream_changes(
    ask: Ask, instance_id: InstanceId, after: After = 0, last_event_id: LastEventId = None
) -> Answer[EventStream]:
    """What happens to the instance, since `after` and from now on: one event for each history entry, its sequence as the `id`.

    A client that comes back with `Last-Event-ID` misses nothing. 204 once the instance has ended and nothing is left.
    """
    known = after if last_event_id is None else last_event_id
    instance = await ask.service.get_instance(instance_id)
    status = 204 if is_over(instance, known) else 200
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Answer(EventStream(_events(changes(ask, instance_id, known))), status, headers, EVENT_STREAM)


def is_over(instance: WorkflowInstance, known: int) -> bool:
    """Whether nothing will come after `known`, as far as anybody can say: an operator may still note something."""
    return instance.status in FINISHED and instance.version <= known


async def changes(ask: Ask, instance_id: UUID, known: int) -> AsyncIterator[HistoryEntry | None]:
    """The entries after `known`, in order, as they come; `None` where a while has passed without any.

    It ends when the instance has ended, when it is not there any more or may not be read any more, when the runtime or the server
    ends, and from time to time.
    """
    parts, hint, word = ask.service.running().parts, asyncio.Event(), moved(instance_id)
    time = asyncio.get_running_loop().time
    end = time() + LASTS

    def look(moved_id: UUID) -> None:
        if moved_id == instance_id:
            hint.set()

    parts.watchers.append(look)
    try:
        async with Listener(lambda: parts.store.signals, lambda heard: hint.set() if heard == word else None, hint.set):
            while time() < end and not is_stopping():
                hint.clear()
                instance = await _seen(ask, instance_id)
                if instance is None:
                    return
                before = known
                async for entry in _entries(ask, instance, known):
                    known = entry.sequence
                    yield entry
                if is_over(instance, known):
                    return
                if known == before:
                    yield None
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(time() + LOOKS_EVERY, end)):
                        await hint.wait()
    finally:
        parts.watchers.remove(look)


async def _seen(ask: Ask, instance_id: UUID) -> WorkflowInstance | None:
    """The instance, as long as it may be read and there is somebody to ask."""
    try:
        instance = await ask.service.get_instance(instance_id)
        await require_readable(ask, instance)
    except DetentError:
        return None
    return instance


async def _entries(ask: Ask, instance: WorkflowInstance, known: int) -> AsyncIterator[HistoryEntry]:
    """Those after `known` up to where the instance is, a page at a time: sequences are dense."""
    while known < instance.version:
        last = min(known + MAX_PAGE, instance.version)
        try:
            page = await ask.service.get_history(instance.id, limit=MAX_PAGE, before=last + 1)
        except DetentError:
            return
        for entry in reversed(page):
            if entry.sequence > known:
                yield entry
        known = last


async def _events(found: AsyncIterator[HistoryEntry | None]) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % COMES_BACK
    async for entry in found:
        if entry is None:
            yield b": nothing new\n\n"
        else:
            yield b"id: %d\ndata: %s\n\n" % (entry.sequence, entry_json(entry).encode())


def entry_json(entry: HistoryEntry) -> str:
    """An entry as its view is written, in one line."""
    return HistoryEntryView.model_validate(entry).model_dump_json()
