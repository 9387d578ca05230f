"""The invocation log of a trigger, read from its history."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.service.service import WorkflowService
from detent.store.records import HistoryEntry, Outcome
from detent.triggers.definition import BACKFILL, FIRE, REJECT, TALLY, TICK
from detent.triggers.errors import InputError
from detent.triggers.status import status_of_fault
from detent.triggers.tally import Tally

LOGGED = frozenset({BACKFILL, FIRE, REJECT, TICK})
"""The events that are invocations."""
_PAGE = 1000
_SOURCES: Mapping[str, str] = {TICK: "cron", BACKFILL: "backfill"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """One time that a trigger was fired, or called in vain."""

    sequence: int
    """Its place in the trigger's history."""
    at: datetime
    status: str
    """`success`; `duplicate`, where its key was known; `skipped`, where a misfire policy fired nothing; `disabled`, `paused`,
    `unauthorized`, `validation_failed`; `flow_not_found` and `error`, where the flow could not be started.
    """
    source: str | None
    """`cron`, `http`, `event`, `manual` or `backfill`."""
    executions: tuple[UUID, ...]
    """What it started, or had started before under the same key."""
    scheduled_at: tuple[datetime, ...]
    """The instants of the schedule that it fired."""
    key: str | None
    body: JsonValue
    """What came with the call, where the trigger keeps it."""
    errors: tuple[InputError, ...]
    """What was wrong with the body."""
    error: JsonObject | None
    """`code` and `message` of why no flow was started."""

    @classmethod
    def of(cls, entry: HistoryEntry) -> "Invocation":
        """What a history entry tells."""
        payload: dict[str, Any] = entry.payload if isinstance(entry.payload, dict) else {}
        data = _data(entry)
        started: list[dict[str, Any]] = data.get("executions", [])
        faults = [one["error"] for one in started if "error" in one]
        return cls(
            sequence=entry.sequence,
            at=entry.created_at,
            status=str(entry.commands[0].code) if data else status_of_fault((entry.error or {}).get("code")),
            source=data.get("source") or payload.get("source") or _SOURCES.get(entry.event),
            executions=tuple(UUID(one["id"]) for one in started if "id" in one),
            scheduled_at=tuple(datetime.fromisoformat(one["scheduled_at"]) for one in started if "scheduled_at" in one),
            key=payload.get("key"),
            body=payload.get("body"),
            errors=tuple(InputError(**error) for error in payload.get("errors", ())),
            error=entry.error or (faults[0] if faults else payload.get("error")),
        )


class TriggerLog:
    """The logs of triggers, as far as the caller of a `WorkflowService` sees them."""

    def __init__(self, service: WorkflowService) -> None:
        self._service = service

    async def newest(self, trigger_id: UUID, *, limit: int, before: int | None = None) -> list[Invocation]:
        """Up to `limit` invocations, the newest first."""
        found: list[Invocation] = []
        async for entry in self._entries(trigger_id, before, page=limit):
            if entry.event in LOGGED:
                found.append(Invocation.of(entry))
            if len(found) == limit:
                break
        return found

    async def tally_before(self, trigger_id: UUID, instant: datetime, newest: int) -> Tally:
        """The tally as it was at `instant`, in as many reads as halving the entries up to `newest` takes."""
        first, last = 0, newest
        while first < last:
            middle = (first + last + 1) // 2
            entry = await self._entry(trigger_id, middle)
            first, last = (middle, last) if entry is None or entry.created_at < instant else (first, middle - 1)
        async for entry in self._entries(trigger_id, first + 1, page=10):
            if TALLY in _data(entry):
                return Tally.of(_data(entry))
        return Tally()

    async def _entry(self, trigger_id: UUID, sequence: int) -> HistoryEntry | None:
        """That entry, or the one before it; `None` where a retention policy took it."""
        return next(iter(await self._service.get_history(trigger_id, limit=1, before=sequence + 1)), None)

    async def _entries(self, trigger_id: UUID, before: int | None, *, page: int) -> AsyncIterator[HistoryEntry]:
        """The entries, the newest first, in pages that grow: what is looked for may be far."""
        while True:
            entries = await self._service.get_history(trigger_id, limit=page, before=before)
            for entry in entries:
                yield entry
            if len(entries) < page:
                return
            before, page = entries[-1].sequence, min(page * 2, _PAGE)


def _data(entry: HistoryEntry) -> dict[str, Any]:
    """What the command told of the invocation; nothing where the step was rolled back."""
    if entry.outcome is Outcome.FAILED or not entry.commands:
        return {}
    data = entry.commands[0].data
    return data if isinstance(data, dict) else {}
