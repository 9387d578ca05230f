"""The composition root: definitions, commands, guards and a store become something that runs."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeGuard
from uuid import UUID

from pydantic import BaseModel

from detent.clock import Clock
from detent.definition.model import WorkflowDefinition
from detent.errors import AlreadyStarted, InstanceNotFound, InvalidValue, NotStarted
from detent.ids import as_id
from detent.json_values import JsonObject, JsonValue
from detent.registry.registry import Registry
from detent.runtime.attempt import new_attempt
from detent.runtime.availability import AvailableEvent, available_events
from detent.runtime.calls import Calls
from detent.runtime.creation import Creation, CreationOrder
from detent.runtime.execution import Execution
from detent.runtime.firing import Firing, SweepReport
from detent.runtime.handle import WorkflowHandle
from detent.runtime.injection import Injector, NoInjection
from detent.runtime.machines import Machines
from detent.runtime.observers import Observers, WorkflowObserver
from detent.runtime.parts import Parts, Settings
from detent.runtime.result import TransitionResult
from detent.store.protocol import Store
from detent.store.records import HistoryEntry, WorkflowInstance

MAX_PAGE = 1000


class WorkflowRuntime:
    """Creates instances, takes events and fires timeouts, for a set of definitions over one store.

    Use it as an async context manager: entering opens the store, checks and compiles every definition, and stores their
    snapshots; leaving waits for steps under way and closes the store. What is given to the constructor:

    * `store`: a `MemoryStore`, a `SqliteStore`, a `PgStore`, or another that passes the conformance kit.
    * `definitions`: every workflow, in as many versions as are still in use.
    * `commands`, `guards`: what `@command` and `@guard` marked, or `Registry` objects.
    * `observers`: told after each commit.
    * `clock`: `None` for the store's own clock; tests inject one.
    * `injector`: connects a container, `detent.integrations.dishka.DishkaInjector` for one.
    * `settings`: limits and back-offs.
    """

    def __init__(
        self,
        *,
        store: Store,
        definitions: Iterable[WorkflowDefinition],
        commands: Iterable[Any] = (),
        guards: Iterable[Any] = (),
        observers: Iterable[WorkflowObserver] = (),
        clock: Clock | None = None,
        injector: Injector | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.store = store
        self.registry = Registry()
        self.registry.add(_listed("commands", commands))
        self.registry.add(_listed("guards", guards))
        self.definitions = _listed("definitions", definitions, WorkflowDefinition)
        self._observers = Observers(_listed("observers", observers, WorkflowObserver))
        self._clock = clock
        self._injector: Injector = injector or NoInjection()
        self._settings = settings or Settings()
        self._parts: Parts | None = None

    async def __aenter__(self) -> Self:
        if self._parts is not None:
            raise AlreadyStarted
        machines = Machines(self.registry, self.definitions)
        calls = Calls(self.registry, self._injector)
        await self.store.open()
        try:
            await machines.save(self.store, self._clock.now() if self._clock else self.store.now())
        except BaseException:
            await self.store.close()
            raise
        self._parts = Parts(self.store, machines, calls, self._injector, self._observers, self._clock, self._settings)
        self._creation = Creation(self._parts)
        self._execution = Execution(self._parts)
        self._firing = Firing(self._parts, self._execution)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._started().drained()
        finally:
            self._parts = None
            await self.store.close()

    async def create_instance(
        self,
        workflow: str,
        *,
        context: JsonObject | None = None,
        metadata: JsonObject | None = None,
        idempotency_key: str | None = None,
        idempotency_fingerprint: str | None = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
    ) -> WorkflowInstance:
        """A new instance of the newest version of `workflow`, in the state its entry chain leads to.

        `context` wins over the initial state's own; `metadata` are labels that never change; `trigger_metadata` says who
        and why, for history. With an `idempotency_key` that this workflow has seen, the instance it made then is answered,
        with `created=False`; under another `idempotency_fingerprint`, a text that says what identifies the request, it is
        refused as an `IdempotencyConflict`. `connection` lends a transaction: the caller commits.

        Raises `UnknownWorkflow`, `InvalidValue` before anything runs, `CommandFailed` when a command of the entry fails
        without an `error` target, and what commands raise; then no instance exists.
        """
        machine = self._started().machines.latest(workflow)
        order = CreationOrder(
            machine,
            context=context,
            metadata=metadata,
            key=idempotency_key,
            fingerprint=idempotency_fingerprint,
            trigger_metadata=trigger_metadata,
        )
        return await self._creation.create(order, connection=connection)

    def get_handle(self, instance: UUID | str | WorkflowInstance) -> WorkflowHandle:
        """A handle on an instance, by its id or by the instance itself, without a query."""
        if isinstance(instance, WorkflowInstance):
            return WorkflowHandle(self, instance.id, instance.workflow)
        return WorkflowHandle(self, _id_of(instance))

    async def trigger_event(
        self,
        instance_id: UUID | str | WorkflowInstance,
        name: str,
        *,
        subject: Any = None,
        payload: JsonValue = None,
        trigger_metadata: JsonObject | None = None,
        connection: object | None = None,
        workflow: str | None = None,
    ) -> TransitionResult:
        """Take the event `name`, with everything that follows by itself, in one commit.

        `subject` is handed to commands and guards and never stored; `payload` is JSON, checked by the event's model and kept
        in history with `trigger_metadata`. `connection` lends a transaction: the caller commits, and observers wait for it.
        `workflow`, the instance's, saves a read where commands run; handles learn it, and an instance passed as the id has it.

        A guard's no is an answer, `outcome="refused"`. Raises `InstanceNotFound`, `EventNotAvailable`, `InstancePaused`,
        `InstanceBusy`, `InvalidValue`, `CommandFailed`, and what commands raise; then state, context and deadlines are as
        before.
        """
        self._started()
        if isinstance(instance_id, WorkflowInstance):
            workflow = instance_id.workflow
        attempt = new_attempt(
            _id_of(instance_id), name, subject=subject, payload=payload, trigger_metadata=trigger_metadata
        )
        return await self._execution.trigger(attempt, workflow=workflow, connection=connection)

    async def get_instance(
        self, instance_id: UUID | str | WorkflowInstance, *, connection: object | None = None
    ) -> WorkflowInstance:
        """The instance as last committed, or as the transaction that `connection` lends sees it. Raises `InstanceNotFound`."""
        found = await self._started().store.load(_id_of(instance_id), outside=connection)
        if found is None:
            raise InstanceNotFound(_id_of(instance_id))
        return found

    async def get_available_events(
        self, instance_id: UUID | str | WorkflowInstance, *, connection: object | None = None
    ) -> list[AvailableEvent]:
        """The events the instance's state declares, each with whether it would pass now, and why not.

        Guards are asked as for an event without payload and subject. Raises `InstanceNotFound`.
        """
        parts = self._started()
        record = await self.get_instance(instance_id, connection=connection)
        machine = await self._execution.machine_of(record)
        return await available_events(parts, machine, record)

    async def get_history(
        self,
        instance_id: UUID | str | WorkflowInstance,
        *,
        limit: int = 50,
        before: int | None = None,
        connection: object | None = None,
    ) -> Sequence[HistoryEntry]:
        """Up to `limit` (1 to 1000) history entries, the newest first; `before` a sequence, for the page after.

        Raises `InstanceNotFound`, and `InvalidValue` for a limit out of range.
        """
        identity = _id_of(instance_id)
        _check_page(limit, before)
        store = self._started().store
        entries = await store.history(identity, limit=limit, before=before, outside=connection)
        if not entries:
            await self.get_instance(identity, connection=connection)
        return entries

    async def process_timeouts(self, *, limit: int = 100) -> SweepReport:
        """Fire up to `limit` due timeouts and say what became of them. Any number of processes may do so at once."""
        if limit < 1:
            raise InvalidValue("limit", "must be at least 1")
        self._started()
        return await self._firing.sweep(limit)

    def transaction(self, connection: object) -> AbstractAsyncContextManager[None]:
        """Commit a bare connection at the end of the block, and only then tell observers of the steps joined to it.

        An `AsyncSession` can tell when it committed and needs none of this; an `AsyncConnection` cannot.
        """
        return self._started().store.lend(connection)

    def definition(self, workflow: str) -> WorkflowDefinition:
        """The newest registered version of `workflow`. Raises `UnknownWorkflow`."""
        return self._started().machines.latest(workflow).definition

    async def definition_of(self, instance: WorkflowInstance) -> WorkflowDefinition:
        """The version that governs `instance`. Raises `UnknownVersion`."""
        self._started()
        return (await self._execution.machine_of(instance)).definition

    @property
    def workflows(self) -> list[str]:
        """The names of the registered workflows."""
        return self._started().machines.workflows

    async def settled(self) -> None:
        """Wait until observers have heard of everything committed so far; for tests."""
        await self._observers.settled()

    @property
    def is_running(self) -> bool:
        """Whether it was entered and not yet left."""
        return self._parts is not None

    def _started(self) -> Parts:
        if self._parts is None:
            raise NotStarted
        return self._parts


def _listed(name: str, given: Iterable[Any], kind: type | None = None) -> tuple[Any, ...]:
    """What was given as a list, checked for the slips of a first day: one thing instead of a list, or the wrong thing."""
    if isinstance(given, BaseModel | str | Mapping) or not isinstance(given, Iterable):
        raise InvalidValue(name, f"is a {type(given).__name__}", hint="pass a list")
    things = tuple(given)
    for thing in things:
        if kind is not None and not isinstance(thing, kind):
            shown = thing.__name__ if isinstance(thing, type) else type(thing).__name__
            raise InvalidValue(name, f"holds {shown}, which is no {kind.__name__} object", hint=_MADE_BY.get(kind))
    return things


_MADE_BY: Mapping[type, str] = {
    WorkflowDefinition: "make one with WorkflowDefinition(...) or WorkflowDefinition.from_dict(...)",
    WorkflowObserver: "pass an object of a class that inherits from WorkflowObserver",
}


def _id_of(value: UUID | str | WorkflowInstance) -> UUID:
    if isinstance(value, WorkflowInstance):
        return value.id
    try:
        return as_id(value)
    except (ValueError, TypeError, AttributeError):
        raise InvalidValue("instance_id", f"is {value!r}, which is not a UUID") from None


def _check_page(limit: object, before: object) -> None:
    if not _is_whole(limit) or not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", f"must be a whole number from 1 to {MAX_PAGE}")
    if before is not None and (not _is_whole(before) or before < 1):
        raise InvalidValue("before", "must be a sequence, a whole number from 1")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
