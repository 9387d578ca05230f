"""The triggers: what starts flows by the clock, by calls and by messages, and how each has been doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from starlette.responses import Response

from detent.errors import InvalidValue
from detent.problems import Problem
from detent.service.registered_trigger import RegisteredTrigger, TriggerState
from detent.service.trigger_log import Invocation
from detent.service.trigger_statistics import TriggerStatistics
from detent.service.triggers import TriggerService
from detent.triggers.trigger import CronTrigger, EventTrigger, Trigger
from detent_dashboard.pages.instance import sequence_in
from detent_dashboard.refusals import not_there, status_of
from detent_dashboard.visit import Visit

LIMIT = 25
"""How many triggers a page shows; for each of them its last invocation and its tally are read."""
KINDS = ("cron", "http", "event")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One trigger at a glance."""

    registered: RegisteredTrigger
    last: Invocation | None
    statistics: TriggerStatistics

    @property
    def when(self) -> str:
        """What it waits for, in a few words."""
        return waits_for(self.registered.trigger)


async def schedules(visit: Visit) -> Response:
    """`GET /schedules?kind=…&state=…&skip=…`: by name."""
    await visit.require("read")
    service = triggers_of(visit)
    asked = {name: visit.asked(name) for name in ("kind", "state")}
    skip = sequence_in(visit.asked("skip")) or 0
    found: Sequence[RegisteredTrigger] = ()
    problem, status = None, 200
    try:
        found = await service.list(kind=asked["kind"] or None, state=asked["state"] or None)
    except InvalidValue as error:
        problem, status = str(error), status_of(error)
    shown, troubling = found[skip : skip + LIMIT], await service.problems()
    return visit.page(
        "schedules.html",
        status=status,
        problem=problem,
        asked=asked,
        rows=[await _at_a_glance(service, one) for one in shown],
        troubles=troubles(troubling, shown),
        # These are not among the triggers: this process cannot tell what they are.
        unreadable=[each for each in troubling if each.code == "unreadable"],
        kinds=KINDS,
        states=get_args(TriggerState),
        further=visit.to("schedules", **asked, skip=skip + LIMIT) if len(found) > skip + LIMIT else None,
    )


def triggers_of(visit: Visit) -> TriggerService:
    """The triggers as the visit may use them."""
    if visit.triggers is None:
        raise not_there()
    return visit.triggers


def waits_for(trigger: Trigger) -> str:
    """What a trigger waits for, in a few words."""
    if isinstance(trigger, CronTrigger):
        return trigger.expression + (f", {trigger.timezone}" if trigger.timezone else "")
    return f"messages of {', '.join(trigger.topics)}" if isinstance(trigger, EventTrigger) else "calls"


async def _at_a_glance(service: TriggerService, one: RegisteredTrigger) -> Schedule:
    last = await service.history(one.id, limit=1)
    return Schedule(one, last[0] if last else None, await service.statistics(one.id))


def troubles(problems: Sequence[Problem], shown: Sequence[RegisteredTrigger]) -> Mapping[str, Sequence[Problem]]:
    """What keeps those that are shown from firing, by their names."""
    return {one.name: [each for each in problems if each.path == one.name] for one in shown}
