"""One trigger: what it is, what became of its invocations, and what operators may do to it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from starlette.datastructures import FormData
from starlette.responses import Response

from detent.errors import DetentError, InvalidValue
from detent.service.registered_trigger import RegisteredTrigger
from detent.service.triggers import TriggerService
from detent.store.records import WorkflowInstance
from detent.triggers.trigger import CronTrigger, Trigger
from detent_dashboard.fields import Field, fields_of, json_of
from detent_dashboard.pages.instance import sequence_in
from detent_dashboard.pages.schedules import triggers_of, troubles, waits_for
from detent_dashboard.refusals import not_there, told
from detent_dashboard.visit import Visit, confirmed_reason

LIMIT = 25
DAY = timedelta(days=1)
_NOTHING: Mapping[str, object] = {}

Verb: TypeAlias = Callable[[TriggerService, RegisteredTrigger, FormData], Awaitable[str]]
"""Does something to a trigger, and answers the word of what was done."""


async def schedule(visit: Visit) -> Response:
    """`GET /schedules/{id}?before=…`."""
    return await _shown(visit, await visit.instance())


async def switch_trigger(visit: Visit) -> Response:
    """`POST /schedules/{id}/{verb}`: `reason` and `confirmed` from everybody; for `fire` its `key` and what it takes."""
    form = await visit.form()
    found = await visit.instance("operate")
    verb = VERBS.get(visit.request.path_params["verb"])
    if verb is None:
        raise not_there()
    try:
        service = triggers_of(visit).acting(reason=confirmed_reason(form))
        done = await verb(service, await service.get(found.id), form)
    except DetentError as error:
        status, problem = told(error)
        return await _shown(visit, found, problem=problem, status=status, typed=form)
    return visit.go("schedules", str(found.id), done=f"trigger-{done}")


async def _shown(
    visit: Visit,
    found: WorkflowInstance,
    *,
    problem: str | None = None,
    status: int = 200,
    typed: Mapping[str, object] = _NOTHING,
) -> Response:
    service = triggers_of(visit)
    one = await service.get(found.id)
    log = await service.history(one.id, limit=LIMIT, before=sequence_in(visit.asked("before")))
    ever, day = await service.statistics(one.id), await service.statistics(one.id, since=visit.now - DAY)
    return visit.page(
        "schedule.html",
        status=status,
        problem=problem,
        typed=typed,
        one=one,
        waits_for=waits_for(one.trigger),
        troubles=troubles(await service.problems(), [one])[one.name],
        statistics=(("In the last 24 h", day), ("Ever", ever)),
        log=log,
        older=visit.to("schedules", str(one.id), before=log[-1].sequence) if len(log) == LIMIT else None,
        fields=_fields(one.trigger),
        takes_payload=one.trigger.context_key is not None,
        # Of a form that came to nothing its own: it may have fired, and the answer was lost.
        key=_key_in(typed) or uuid4(),
        verbs=_verbs(one) if await visit.may("operate", found) else (),
        written=one.trigger.model_dump(mode="json", exclude_none=True),
    )


def _fields(trigger: Trigger) -> Sequence[Field] | None:
    return None if isinstance(trigger, CronTrigger) else fields_of(trigger.input_schema)


def _verbs(one: RegisteredTrigger) -> Sequence[str]:
    """What can be done to a trigger as it stands."""
    if one.state == "enabled":
        return ("enable", "pause", "disable") if one.parked else ("fire", "pause", "disable")
    return {"paused": ("resume", "disable"), "disabled": ("enable",)}.get(one.state, ())


async def _enable(service: TriggerService, one: RegisteredTrigger, _: FormData) -> str:
    await service.enable(one.id)
    return "enable"


async def _disable(service: TriggerService, one: RegisteredTrigger, _: FormData) -> str:
    await service.disable(one.id)
    return "disable"


async def _pause(service: TriggerService, one: RegisteredTrigger, form: FormData) -> str:
    await service.pause(one.id, confirmed_reason(form))
    return "pause"


async def _resume(service: TriggerService, one: RegisteredTrigger, _: FormData) -> str:
    await service.resume(one.id)
    return "resume"


async def _fire(service: TriggerService, one: RegisteredTrigger, form: FormData) -> str:
    payload: Any = json_of(form, _fields(one.trigger)) if one.trigger.context_key is not None else None
    key = _key_in(form)
    if key is None:
        raise InvalidValue("key", "must be that of the page")
    fired = await service.fire(one.id, payload, idempotency_key=str(key))
    return "fire" if fired.created else "known"


def _key_in(form: Mapping[str, object]) -> UUID | None:
    """What makes a form that is sent twice fire once; `None` where none is in it."""
    try:
        return UUID(str(form.get("key", "")))
    except ValueError:
        return None


VERBS: Mapping[str, Verb] = {
    "enable": _enable,
    "disable": _disable,
    "pause": _pause,
    "resume": _resume,
    "fire": _fire,
}
"""The verbs of triggers, by the last part of their address."""
