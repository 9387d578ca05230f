"""Whether the sender of a request may do what it asks, where the routes have an `authorize`."""

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from detent.errors import DetentError, InstanceNotFound, RunNotFound
from detent.service.http.ask import Ask, May
from detent.service.http.errors import NotTaken, TurnedAway
from detent.service.http.policy import Authorize
from detent.service.http.wanted import Action, Wanted
from detent.store.records import WorkflowInstance
from detent.triggers.errors import UnknownTrigger

C = TypeVar("C")

_AT_ONCE = 1000
"""How many instances are asked for by one query."""


def deciding(connection: C, authorize: Authorize[C] | None) -> May | None:
    """What decides on one connection; `None` where nothing does."""
    if authorize is None:
        return None

    async def may(wanted: Wanted, instance: WorkflowInstance | None) -> bool:
        decided = authorize(connection, wanted, instance)
        return (await decided if inspect.isawaitable(decided) else decided) is True

    return may


async def admit(ask: Ask, action: Action, operation: str, taken: Mapping[str, Any]) -> None:
    """Raise `NotTaken`, a 403, unless `authorize` lets it pass, and where it may not even be read, what is raised for one that
    is not there: `InstanceNotFound`, `RunNotFound` or `UnknownTrigger`.

    What is about one instance is asked with it; all else, lists among it, with `None`.
    """
    if ask.may is None:
        return
    instance = await _instance_of(ask, taken)
    if instance is not None and not await ask.may_read(instance):
        raise _not_there(instance, taken)
    asked = taken.get("asked")
    event, workflow = taken.get("event", getattr(asked, "event", None)), getattr(asked, "workflow", None)
    wanted = Wanted(
        action,
        operation,
        event=None if event is None else event_named(event),
        workflow=taken.get("workflow", workflow) if instance is None else instance.workflow,
    )
    # That it may be read was asked above.
    if (instance is None or action != "read") and not await ask.may(wanted, instance):
        raise NotTaken(TurnedAway(403, "who sends the request may not do this"))


async def require_readable(ask: Ask, instance: WorkflowInstance) -> None:
    """Raise `InstanceNotFound` for an instance that may not be read: that it exists is nobody's business then."""
    if not await ask.may_read(instance):
        raise InstanceNotFound(instance.id)


async def readable(ask: Ask, instances: Iterable[WorkflowInstance]) -> list[WorkflowInstance]:
    """Those of a page that may be read."""
    return [instance for instance in instances if await ask.may_read(instance)]


async def readable_ids(ask: Ask, ids: Collection[UUID]) -> Collection[UUID]:
    """Those of instances that may be read, where only their ids are at hand."""
    if ask.may is None or not ids:
        return ids
    listed, found = list(ids), set[UUID]()
    for first in range(0, len(listed), _AT_ONCE):
        page = await ask.service.find_instances(ids=listed[first : first + _AT_ONCE], limit=_AT_ONCE)
        found |= {instance.id for instance in await readable(ask, page)}
    return found


def event_named(event: str) -> str:
    """The event that a path names: one that may contain slashes begins with one of its own in some frameworks."""
    return event.removeprefix("/")


def _not_there(instance: WorkflowInstance, taken: Mapping[str, Any]) -> DetentError:
    """What is raised where a request names something that is not there, in the words of the request."""
    if (run_id := taken.get("run_id")) is not None:
        return RunNotFound(run_id)
    if (trigger := taken.get("trigger")) is not None:
        return UnknownTrigger(trigger)
    return InstanceNotFound(instance.id)


async def _instance_of(ask: Ask, taken: Mapping[str, Any]) -> WorkflowInstance | None:
    """The instance that a request is about, if it is about one; a trigger is an instance, too."""
    identity: UUID | None = taken.get("instance_id")
    if (run_id := taken.get("run_id")) is not None:
        identity = (await ask.service.runs.get(run_id)).instance_id
    if (trigger := taken.get("trigger")) is not None:
        identity = (await ask.triggers.get(trigger)).id
    return None if identity is None else await ask.service.get_instance(identity)
