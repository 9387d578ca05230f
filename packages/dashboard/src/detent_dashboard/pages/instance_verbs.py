"""What is done to one instance from its page: an event, or a verb of operators."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from starlette.datastructures import FormData
from starlette.responses import Response

from detent.errors import InvalidValue
from detent.runtime.result import TransitionResult
from detent.store.records import Outcome, WorkflowInstance
from detent_dashboard.fields import fields_of, json_of, read_json
from detent_dashboard.pages.instance import sequence_in, shown
from detent_dashboard.refusals import told
from detent_dashboard.visit import Visit, confirmed_reason

Verb: TypeAlias = Callable[[Visit, WorkflowInstance, FormData, Mapping[str, Any]], Awaitable[Any]]


async def take_event(visit: Visit) -> Response:
    """`POST /instances/{id}/event`: `event`, `expected_version`, and what the event wants."""
    form = await visit.form()
    found = await visit.instance("event")
    try:
        result = await _taken(visit, found, form)
        await visit.settled()
    except Exception as error:  # what a command raises is what the operator came to see
        return await _told(visit, found, error, form)
    if result.outcome is Outcome.REFUSED:
        said = f"{result.event!r} was refused: {result.reason}"
        return await shown(visit, result.instance, problem=said, status=409, typed=form)
    done = {Outcome.FAILURE: "failure", Outcome.ACCEPTED: "accepted"}.get(result.outcome, "event")
    return visit.go("instances", str(found.id), done=done)


async def operate(visit: Visit) -> Response:
    """`POST /instances/{id}/{verb}`: `reason` and `confirmed` from everybody, and what the verb wants."""
    form = await visit.form()
    found = await visit.instance("operate")
    verb = visit.request.path_params["verb"]
    try:
        manner = {"reason": confirmed_reason(form), "expected_version": _version(form)}
        await VERBS[verb](visit, found, form, manner)
        await visit.settled()
    except Exception as error:  # what a command raises is what the operator came to see
        return await _told(visit, found, error, form)
    return visit.go("instances", str(found.id), done=verb)


async def _taken(visit: Visit, found: WorkflowInstance, form: FormData) -> TransitionResult:
    name = str(form.get("event", ""))
    declared = {event.name: event for event in await visit.workflows.get_available_events(found)}
    fields = fields_of(declared[name].payload_schema) if name in declared else None
    payload = json_of(form, fields)
    return await visit.workflows.trigger_event(found, name, payload=payload, expected_version=_version(form))


async def _told(visit: Visit, found: WorkflowInstance, error: Exception, form: FormData) -> Response:
    now = await visit.workflows.get_instance(found.id)
    status, problem = told(error)
    return await shown(visit, now, problem=problem, status=status, typed=form)


def _version(form: FormData) -> int:
    version = sequence_in(str(form.get("expected_version", "")))
    if version is None:
        raise InvalidValue("expected_version", "must be the version that the page showed")
    return version


async def _retry(visit: Visit, found: WorkflowInstance, _: FormData, manner: Mapping[str, Any]) -> None:
    # Its entry is the event's own, which has no reason.
    await visit.workflows.retry(found, trigger_metadata={"reason": manner["reason"]})


async def _force(visit: Visit, found: WorkflowInstance, form: FormData, manner: Mapping[str, Any]) -> None:
    await visit.workflows.force(found, str(form.get("state", "")), **manner)


async def _patch(visit: Visit, found: WorkflowInstance, form: FormData, manner: Mapping[str, Any]) -> None:
    patch = read_json(str(form.get("patch", "")), "patch")
    removed = [line.strip() for line in str(form.get("remove", "")).splitlines() if line.strip()]
    await visit.workflows.patch_context(found, patch, remove=removed, **manner)


async def _cancel(visit: Visit, found: WorkflowInstance, _: FormData, manner: Mapping[str, Any]) -> None:
    await visit.workflows.cancel(found, **manner)


async def _pause(visit: Visit, found: WorkflowInstance, _: FormData, manner: Mapping[str, Any]) -> None:
    await visit.workflows.pause(found, **manner)


async def _resume(visit: Visit, found: WorkflowInstance, _: FormData, manner: Mapping[str, Any]) -> None:
    await visit.workflows.resume(found, **manner)


VERBS: Mapping[str, Verb] = {
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "force": _force,
    "patch": _patch,
}
"""The verbs of operators, by the last part of their address."""
