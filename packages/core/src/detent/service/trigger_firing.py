"""A trigger fired: its flow started in the step that logs it, or a call turned away in a step that logs why."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from detent.errors import InvalidValue
from detent.flows.errors import UnknownFlow
from detent.json_values import JsonObject, JsonValue
from detent.runtime.result import TransitionResult
from detent.service.saved_flows import SavedFlows
from detent.service.trigger_calls import Call
from detent.service.trigger_steps import TriggerSteps
from detent.store.records import WorkflowInstance
from detent.triggers.cron import ticks_between
from detent.triggers.definition import BACKFILL, FIRE, REJECT
from detent.triggers.errors import InputError
from detent.triggers.ticking import AT_ONCE
from detent.triggers.trigger import CronTrigger, Trigger

MOST_BACKFILLED = 10_000
"""How many instants one backfill may make up for."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of a firing."""

    execution_id: UUID
    created: bool
    """Whether it was started now; under a key that is known it was started before."""


class TriggerFiring:
    """Fires triggers, and logs the calls that are turned away."""

    def __init__(self, steps: TriggerSteps, flows: SavedFlows) -> None:
        self._steps = steps
        self._flows = flows

    async def fire(self, instance: WorkflowInstance, read: Trigger, call: Call, *, body: JsonValue) -> Fired:
        """The execution that `call` starts; `body` is what the log keeps of it. Raises why none was, once that is logged."""
        told: JsonObject = {"source": call.source} | ({} if call.key is None else {"key": call.key})
        if body is not None:
            told["body"] = body
        # What was saved elsewhere is learnt of; where there is none, the firing says so.
        with suppress(UnknownFlow):
            await self._flows.require(read.flow, read.version)
        result = await self._steps.take(instance, FIRE, told, subject=call)
        if call.error is not None:
            raise call.error
        return _fired(result)[0]

    async def backfill(self, instance: WorkflowInstance, ticks: Sequence[datetime]) -> list[Fired]:
        """The executions of these instants, a hundred in one commit."""
        fired: list[Fired] = []
        for begin in range(0, len(ticks), AT_ONCE):
            payload = {"ticks": [tick.isoformat() for tick in ticks[begin : begin + AT_ONCE]]}
            fired += _fired(await self._steps.take(instance, BACKFILL, payload))
        return fired

    async def turn_away(
        self,
        instance: WorkflowInstance,
        read: Trigger,
        status: str,
        errors: Sequence[InputError] = (),
        *,
        error: JsonObject | None = None,
        body: JsonValue = None,
    ) -> None:
        """Log why a call started nothing; what it brought is told only where the trigger keeps bodies."""
        keeps_bodies = getattr(read, "log_bodies", True)
        told: JsonObject = {"source": read.kind, "status": status}
        told["errors"] = [_told(one, keeps_bodies) for one in errors]
        if error is not None:
            told["error"] = error
        if body is not None and keeps_bodies:
            told["body"] = body
        await self._steps.take(instance, REJECT, told)


def ticks_to_make_up(read: CronTrigger, start: datetime, end: datetime, now: datetime) -> list[datetime]:
    """The instants from `start` until before `end`. Raises `InvalidValue` for too many, and for what is still to come."""
    within = ticks_between(read.expression, read.timezone or "UTC", start, end)
    ticks = list(islice(within, MOST_BACKFILLED + 1))
    if len(ticks) > MOST_BACKFILLED:
        raise InvalidValue("end", f"leaves more than {MOST_BACKFILLED:,} instants", hint="backfill in parts")
    if ticks and ticks[-1] > now:
        raise InvalidValue("end", f"leaves instants that are still to come: {ticks[-1].isoformat()}")
    return ticks


def _told(error: InputError, keeps_bodies: bool) -> JsonObject:
    """An error as the log keeps it. Its message quotes what was wrong."""
    message = error.message if keeps_bodies else "is not what the trigger takes"
    return {"path": error.path, "message": message, "keyword": error.keyword}


def _fired(result: TransitionResult) -> list[Fired]:
    data: Any = result.commands[0].data
    return [Fired(UUID(one["id"]), one["created"]) for one in data["executions"]]
