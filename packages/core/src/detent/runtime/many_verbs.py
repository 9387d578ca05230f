"""The verbs on one instance for many items: created or triggered together, each with a result or an error of its own."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Required, TypedDict, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from detent.definition.shape import shown
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.problems import did_you_mean
from detent.runtime.arguments import check_limit, id_of
from detent.runtime.at_once import AT_ONCE, LOCKED_AT_ONCE, MOST_AT_ONCE, at_once_for, in_order
from detent.runtime.instance_verbs import InstanceVerbs
from detent.runtime.machines import Machines
from detent.runtime.result import TransitionResult
from detent.store.records import WorkflowInstance


class CreateItem(TypedDict, total=False):
    """What `create_instance` takes beside the workflow."""

    context: JsonObject | None
    metadata: JsonObject | None
    tenant: str | None
    parent: UUID | str | WorkflowInstance | None
    idempotency_key: str | None
    idempotency_fingerprint: str | None
    entry: str | None
    trigger_metadata: JsonObject | None


class TriggerItem(TypedDict, total=False):
    """What `trigger_event` takes."""

    instance_id: Required[UUID | str | WorkflowInstance]
    name: Required[str]
    """Of the event."""
    subject: Any
    payload: JsonValue
    idempotency_key: str | None
    idempotency_fingerprint: str | None
    expected_version: int | None
    trigger_metadata: JsonObject | None
    workflow: str | None


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BulkItem(Generic[R]):
    """One item of a bulk call, and what became of it."""

    item: Mapping[str, Any]
    """As it was given."""
    result: R | None
    """What the verb answered; `None` where it raised."""
    error: Exception | None
    """What it raised; such an item left nothing but, where a guard or a command was reached, a `failed` entry."""

    def get(self) -> R:
        """The result; raises the error of an item that has none."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # where nothing was raised, something was answered


class ManyVerbs(InstanceVerbs):
    """Create and trigger many, and go through what became of them.

    Both take any iterable of dicts, endless ones too, and answer an async generator, which does the work while it is gone
    through: `async for done in runtime.create_many("order", rows): ...`. It gives a `BulkItem` for each item, in their order.
    An item that fails stops nothing. Each is a step of its own, as by `create_instance` or `trigger_event`, and a store that
    groups commits writes many in one.

    At most `at_once` items (1 to 1000, 128 by default) are under way or wait to be gone through, and no more are kept: memory
    does not grow with their number. Of those whose commands or guards need the row lock, 8 are under way at once. Who
    works within a transaction gets one item after the other, each in a savepoint. Leaving the loop early takes no further items;
    of those under way each is done whole or not at all.
    """

    def create_many(
        self,
        workflow: str,
        items: Iterable[Mapping[str, Any]],
        *,
        trigger_metadata: JsonObject | None = None,
        at_once: int = AT_ONCE,
    ) -> AsyncGenerator[BulkItem[WorkflowInstance], None]:
        """A new instance of `workflow` for each item; see `CreateItem` for what an item may hold, and `create_instance` for that.

        `trigger_metadata` goes with every item, which may say more. The call raises `UnknownWorkflow`, `WorkflowUnavailable`, and
        `InvalidValue` for `items` or `at_once`; going through it raises what `items` does, behind the items before.
        """
        machines = self.running().parts.machines
        machine = machines.latest(workflow)
        machines.require_available(workflow)
        locked = any(map(machine.locked.entry, machine.definition.starts))

        async def create(item: Mapping[str, Any]) -> WorkflowInstance:
            _check_item(item, CreateItem.__annotations__)
            return await self.create_instance(workflow, **_saying(item, trigger_metadata))

        at_once = _checked(items, at_once)
        return self._each_item(items, create, min(at_once, LOCKED_AT_ONCE) if locked else at_once)

    def trigger_many(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        trigger_metadata: JsonObject | None = None,
        at_once: int = AT_ONCE,
    ) -> AsyncGenerator[BulkItem[TransitionResult], None]:
        """The event of each item; see `TriggerItem` for what an item holds, and `trigger_event` for that and how it may end.

        Items of one instance are taken one after the other, in their order. `trigger_metadata` goes with every item, which may
        say more. The call raises `InvalidValue` for `items` or `at_once`; going through it raises what `items` does, behind the
        items before.
        """
        turns = _Turns(self.running().parts.machines)

        async def trigger(item: Mapping[str, Any]) -> TransitionResult:
            _check_item(item, TriggerItem.__annotations__, TriggerItem.__required_keys__)
            return await turns.take(item, lambda: self.trigger_event(**_saying(item, trigger_metadata)))

        return self._each_item(items, trigger, _checked(items, at_once))

    def _each_item(
        self, items: Iterable[Mapping[str, Any]], act: Callable[[Mapping[str, Any]], Awaitable[R]], at_once: int
    ) -> AsyncGenerator[BulkItem[R], None]:
        async def done(item: Mapping[str, Any]) -> BulkItem[R]:
            try:
                return BulkItem(item, await act(item), None)
            except Exception as error:
                return BulkItem(item, None, error)

        return in_order(items, done, at_once=at_once_for(self._caller, at_once))


class _Turns:
    """Whose turn it is: of one instance the item that came first, and a few of those that need a row lock."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._locked = asyncio.Semaphore(LOCKED_AT_ONCE)
        self._by_instance = WeakValueDictionary[UUID, asyncio.Lock]()
        self._needs: dict[tuple[str | None, str], bool] = {}

    async def take(self, item: Mapping[str, Any], act: Callable[[], Awaitable[R]]) -> R:
        """What `act` answers, once nothing before is in the way."""
        instance = item["instance_id"]
        workflow = instance.workflow if isinstance(instance, WorkflowInstance) else item.get("workflow")
        async with self._by_instance.setdefault(id_of(instance), asyncio.Lock()):
            if not self._needs_lock(workflow, item["name"]):
                return await act()
            async with self._locked:
                return await act()

    def _needs_lock(self, workflow: str | None, event: str) -> bool:
        """Whether the event may need the row lock; in any workflow, where nobody knows which."""
        known = self._needs.get((workflow, event))
        if known is None:
            meant = self._machines.workflows if workflow is None else [workflow]
            known = any(self._machines.may_need_lock(each, event) for each in meant)
            self._needs[workflow, event] = known
        return known


def _checked(items: object, at_once: int) -> int:
    check_limit(at_once, most=MOST_AT_ONCE, path="at_once")
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidValue("items", f"is {shown(items)}", hint="pass a list, or a generator, of dicts")
    return at_once


def _check_item(item: object, known: Collection[str], required: Collection[str] = ()) -> None:
    """Raise `InvalidValue` unless the item is a dict that holds what has to be there, and nothing that is not asked for."""
    if not isinstance(item, Mapping):
        raise InvalidValue("item", f"is {shown(item)}", hint=f"pass a dict of {', '.join(known)}")
    for name in item:
        if name not in known:
            raise InvalidValue("item", f"has {name!r}, which is no part of it", hint=did_you_mean(str(name), known))
    for name in sorted(required):
        if name not in item:
            raise InvalidValue("item", f"has no {name!r}")


def _saying(item: Mapping[str, Any], said: JsonObject | None) -> dict[str, Any]:
    """The arguments that the item holds, with what is said of all."""
    more = item.get("trigger_metadata")
    if said is None or not isinstance(more, Mapping | None):
        return dict(item)
    return {**item, "trigger_metadata": {**said, **(more or {})}}
