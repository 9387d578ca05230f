"""The composition root: definitions, commands, guards and a store become something that runs."""

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from detent.clock import Clock
from detent.definition.model import WorkflowDefinition
from detent.definition.shape import shown
from detent.errors import AlreadyStarted, InvalidValue, NotStarted
from detent.json_values import JsonObject
from detent.registry.registry import Registry
from detent.runtime.books import Book, Contents, contents_of, either
from detent.runtime.caller import Caller, checked_tenant
from detent.runtime.calls import Calls
from detent.runtime.injection import Injector, NoInjection
from detent.runtime.instrument import Instrument, Silent
from detent.runtime.live_versions import check_at_start
from detent.runtime.machines import Machines
from detent.runtime.observers import Observers, WorkflowObserver
from detent.runtime.outgoing import Outgoing
from detent.runtime.parts import Parts, Settings
from detent.runtime.retention_policy import RetentionPolicy, check_known, check_together
from detent.runtime.running import Running
from detent.runtime.subscribers import Subscribers
from detent.runtime.workflow_verbs import WorkflowVerbs
from detent.store.protocol import Store


class WorkflowRuntime(WorkflowVerbs):
    """Creates instances, takes events and fires timeouts, for a set of definitions over one store.

    Use it as an async context manager: entering opens the store, checks and compiles every definition, stores their
    snapshots, and checks that what is under way can run (`Settings.unresolvable`); leaving waits for steps under way and
    closes the store. What is given to the constructor:

    * `store`: a `MemoryStore`, a `SqliteStore`, a `PgStore`, or another that passes the conformance kit.
    * `definitions`: every workflow, in as many versions as are still in use; `register` adds those that bring their commands.
    * `commands`, `guards`: what `@command` and `@guard` marked, or `Registry` objects.
    * `observers`: told after each commit.
    * `clock`: `None` for the store's own clock; tests inject one.
    * `injector`: connects a container, `detent.integrations.dishka.DishkaInjector` for one.
    * `settings`: limits and back-offs.
    * `retention`: how long instances and their history are kept; `apply_retention` or a `RetentionWorker` sees to it.
    * `subscribers`: who hears of published messages, each marked by `@subscriber("order.*")`; a worker delivers.
    * `instrument`: opens spans around transitions and commands, `detent.observe.otel.OpenTelemetry` for one.
    * `adopts`: told a stored definition as JSON, says whether this runtime runs it as if it were among `definitions`: then those
      that other processes store are found at start-up and by a worker. `FlowBook.adopts` for flows.
    * `tenant`: whose instances it sees, touches and makes; `None` for everybody's.
    """

    def __init__(
        self,
        *,
        store: Store,
        definitions: Iterable[WorkflowDefinition] = (),
        commands: Iterable[Any] = (),
        guards: Iterable[Any] = (),
        observers: Iterable[WorkflowObserver] = (),
        clock: Clock | None = None,
        injector: Injector | None = None,
        settings: Settings | None = None,
        retention: Iterable[RetentionPolicy] = (),
        subscribers: Iterable[Any] = (),
        adopts: Callable[[JsonObject], bool] | None = None,
        tenant: str | None = None,
        instrument: Instrument | None = None,
    ) -> None:
        super().__init__(Caller(tenant=None if tenant is None else checked_tenant(tenant)))
        self.store = store
        self.registry = Registry()
        self.registry.add(_listed("commands", commands))
        self.registry.add(_listed("guards", guards))
        self.definitions = _listed("definitions", definitions, WorkflowDefinition)
        self.retention = _listed("retention", retention, RetentionPolicy)
        check_together(self.retention)
        self.subscribers = Subscribers(_listed("subscribers", subscribers))
        self._adopts = adopts
        self._observers = Observers(_listed("observers", observers, WorkflowObserver))
        self._clock = clock
        self._injector: Injector = injector or NoInjection()
        self._settings = settings or Settings()
        self._instrument: Instrument = instrument or Silent()
        self._running: Running | None = None
        self._books: list[Book | type[Any]] = []

    def register(self, *books: Book | type[Any]) -> None:
        """Add what brings its own definitions and commands, before the runtime is entered; what is known already is left out.

        A class that inherits from one that `detent generate` made, a `FlowBook`, a `TriggerBook`, or whatever else has
        `definitions` and `commands`. Raises `RegistrationInvalid` for a class that does not fit its diagram, and for a name that
        another command has; `AlreadyStarted` once the runtime runs.
        """
        if self._running is not None:
            raise AlreadyStarted
        for book in books:
            if not any(book is known for known in self._books):
                self._add(contents_of(book))
                self._books.append(book)

    def _add(self, contents: Contents) -> None:
        self.registry.add([*contents.commands, *contents.guards])
        fresh = [one for one in contents.definitions if one not in self.definitions]
        self.definitions = (*self.definitions, *fresh)
        known = [self.subscribers[name] for name in self.subscribers.names]
        self.subscribers = Subscribers([*known, *contents.subscribers])
        if contents.adopts is not None:
            self._adopts = either(self._adopts, contents.adopts)

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise AlreadyStarted
        machines = Machines(self.registry, self.definitions, self._adopts)
        calls = Calls(self.registry, self._injector)
        await self.store.open()
        try:
            await machines.save(self.store, self._clock.now() if self._clock else self.store.now())
            await machines.adopt_stored(self.store)
            await check_at_start(self.store, machines, self._settings.unresolvable)
            await check_known(self.retention, machines, self.store)
        except BaseException:
            await self.store.close()
            raise
        parts = Parts(
            self.store,
            machines,
            calls,
            self._injector,
            self._observers,
            self._clock,
            self._settings,
            self.retention,
            Outgoing(self.subscribers),
            self._instrument,
        )
        self._running = Running.of(parts)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = self.running()
        try:
            await running.waiting.close()
            await running.parts.drained()
        finally:
            self._running = None
            try:
                await self.store.close()
            finally:
                await running.parts.heard()

    @property
    def adopts(self) -> bool:
        """Whether it adopts definitions that other processes store."""
        return self._adopts is not None

    async def settled(self) -> None:
        """Wait until observers have heard of everything committed so far; for tests."""
        await self._observers.settled()

    @property
    def is_running(self) -> bool:
        """Whether it was entered and not yet left."""
        return self._running is not None

    def running(self) -> Running:
        """The runtime's parts, for what is built over it. Raises `NotStarted`."""
        if self._running is None:
            raise NotStarted
        return self._running


def _listed(name: str, given: Iterable[Any], kind: type | None = None) -> tuple[Any, ...]:
    """What was given as a list, checked for the slips of a first day: one thing instead of a list, or the wrong thing."""
    if isinstance(given, BaseModel | str | Mapping) or not isinstance(given, Iterable):
        raise InvalidValue(
            name, f"is {shown(given)}", hint=_OF_BOOKS.get(type(given).__name__, {}).get(name, "pass a list")
        )
    things = tuple(given)
    for thing in things:
        if kind is not None and not isinstance(thing, kind):
            kept = thing.__name__ if isinstance(thing, type) else type(thing).__name__
            raise InvalidValue(name, f"holds {kept}, which is no {kind.__name__} object", hint=_hint(name, thing, kind))
    return things


def _hint(name: str, thing: object, kind: type) -> str | None:
    return _OF_BOOKS.get(type(thing).__name__, {}).get(name) or _MADE_BY.get(kind)


_OF_BOOKS: Mapping[str, Mapping[str, str]] = {
    "Flow": {
        "definitions": "give it to a FlowBook(flows=[…], handlers=[…]), and the runtime definitions=book.definitions"
    },
    **{
        book: {each: f"pass {each}=book.{each}" for each in ("definitions", "commands", "subscribers")}
        for book in ("FlowBook", "TriggerBook")
    },
}
"""What to pass instead of a flow or a book, by the names of their types: no flow is known to a runtime."""


_MADE_BY: Mapping[type, str] = {
    WorkflowDefinition: "make one with WorkflowDefinition(...) or WorkflowDefinition.from_dict(...)",
    RetentionPolicy: 'make one with RetentionPolicy("order", after="90d")',
    WorkflowObserver: "pass an object of a class that inherits from WorkflowObserver",
}
