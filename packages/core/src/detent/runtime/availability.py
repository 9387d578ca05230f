"""What an instance could do now, event by event, and why not."""

import copy
from dataclasses import dataclass
from datetime import datetime

from detent.definition.event import Event
from detent.json_values import JsonObject, json_object
from detent.machine.engine import Refused
from detent.machine.machine import Machine
from detent.machine.verdicts import Need, Verdict
from detent.runtime.attempt import new_attempt
from detent.runtime.caller import Caller
from detent.runtime.draft import Draft
from detent.runtime.injection import InjectionScope
from detent.runtime.parts import Parts
from detent.runtime.performer import guard_context
from detent.store.records import Status, WorkflowInstance


@dataclass(frozen=True, slots=True)
class AvailableEvent:
    """One event that the instance's state declares."""

    name: str
    available: bool
    """Whether its guards let it pass now, for an event without payload."""
    reason: str | None
    """Why not."""
    target: str | None
    """Where it leads, unless a branch or a failing command decides otherwise; `None` for one that stays."""
    error: str | None
    branches: tuple[str, ...]
    """The targets of its branches."""
    internal: bool
    due_at: datetime | None
    """When it fires by itself."""
    has_commands: bool
    payload_schema: JsonObject | None
    """The JSON Schema of the payload it wants."""
    metadata: JsonObject
    description: str | None


async def available_events(parts: Parts, machine: Machine, record: WorkflowInstance) -> list[AvailableEvent]:
    """Every event of the record's state, in the order they are declared; none when the instance is not active."""
    if record.status is not Status.ACTIVE:
        return []
    async with parts.injector.open(None) as scope:
        return [
            _described(name, event, record, await _refusal(parts, machine, record, name, scope))
            for name, event in machine.events(record.state).items()
        ]


async def _refusal(
    parts: Parts, machine: Machine, record: WorkflowInstance, event: str, scope: InjectionScope
) -> str | None:
    if record.run_id is not None:
        return f"run {record.run_id} is under way"
    attempt = new_attempt(record.id, event, Caller())
    draft = Draft(machine, record, attempt, parts.present)
    verdicts: dict[int, Verdict] = {}
    while isinstance(choice := machine.choose(record.state, event, verdicts), Need):
        guard = choice.guard
        try:
            verdict = await parts.calls.ask(guard, guard_context(draft, guard, event, None, attempt), scope)
        except Exception as error:
            # A guard that cannot answer lets nothing pass; looking must not fail because of it.
            verdict = Verdict(False, f"guard {guard.name!r} raised {type(error).__name__}: {error}")
        verdicts[guard.index] = verdict
    return choice.reason if isinstance(choice, Refused) else None


def _described(name: str, event: Event, record: WorkflowInstance, refusal: str | None) -> AvailableEvent:
    timer = next((timer for timer in record.timers if timer.event == name), None)
    return AvailableEvent(
        name=name,
        available=refusal is None,
        reason=refusal,
        target=None if event.internal else (event.target or (None if event.branches else record.state)),
        error=event.error,
        branches=tuple(branch.target for branch in event.branches),
        internal=event.internal,
        due_at=timer.due if timer and not timer.parked else None,
        has_commands=bool(event.commands),
        payload_schema=None if event.payload is None else copy.deepcopy(event.payload.json_schema),
        metadata=json_object(event.metadata, "metadata"),
        description=event.description,
    )
