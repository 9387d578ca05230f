"""The invocation log of a trigger, read from its history, and counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.json_values import JsonObject, JsonValue
from detent.store.records import HistoryEntry, Outcome
from detent.triggers.definition import BACKFILL, FIRE, REJECT, TICK
from detent.triggers.errors import InputError

LOGGED = frozenset({BACKFILL, FIRE, REJECT, TICK})
"""The events that are invocations."""
_NO_FLOW = frozenset({"trigger_unavailable", "unknown_flow", "unknown_workflow", "unknown_version"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """One time that a trigger was fired, or called in vain."""

    sequence: int
    """Its place in the trigger's history."""
    at: datetime
    status: str
    """`success`; `duplicate`, where its key was known; `skipped`, where a misfire policy fired nothing; `disabled`,
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
        said = entry.commands[0] if entry.outcome is not Outcome.FAILED and entry.commands else None
        data: dict[str, Any] = said.data if said is not None and isinstance(said.data, dict) else {}
        started: list[dict[str, Any]] = data.get("executions", [])
        faults = [one["error"] for one in started if "error" in one]
        return cls(
            sequence=entry.sequence,
            at=entry.created_at,
            status=_failure(entry) if said is None else str(said.code),
            source=data.get("source") or payload.get("source") or _SOURCES.get(entry.event),
            executions=tuple(UUID(one["id"]) for one in started if "id" in one),
            scheduled_at=tuple(datetime.fromisoformat(one["scheduled_at"]) for one in started if "scheduled_at" in one),
            key=payload.get("key"),
            body=payload.get("body"),
            errors=tuple(InputError(**error) for error in payload.get("errors", ())),
            error=entry.error or (faults[0] if faults else payload.get("error")),
        )


@dataclass(frozen=True, slots=True)
class TriggerStatistics:
    """The invocations of a trigger, counted."""

    since: datetime | None
    """From when on; `None` for all there are."""
    total: int
    by_status: Mapping[str, int]
    executions: int
    """How many were started."""
    last_at: datetime | None
    """When it was last invoked."""

    @classmethod
    def of(cls, since: datetime | None, invocations: Iterable[Invocation]) -> "TriggerStatistics":
        """The count of `invocations`, the newest first."""
        statuses: Counter[str] = Counter()
        executions: set[UUID] = set()
        last_at = None
        for invocation in invocations:
            statuses[invocation.status] += 1
            executions.update(invocation.executions)
            last_at = last_at or invocation.at
        return cls(since, statuses.total(), dict(statuses), len(executions), last_at)


_SOURCES: Mapping[str, str] = {TICK: "cron", BACKFILL: "backfill"}


def _failure(entry: HistoryEntry) -> str:
    code = (entry.error or {}).get("code")
    return "flow_not_found" if code in _NO_FLOW else "error"
