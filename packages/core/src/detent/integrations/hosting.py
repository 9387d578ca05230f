"""The runtime of a web application: what the application says of it, where its commands get their objects, how it runs.

Of the web frameworks' packages this is what they have in common; none of it knows a framework.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, get_args

from dishka import DEFAULT_COMPONENT, AsyncContainer, Provider, Scope, make_async_container
from dishka.entities.component import Component
from dishka.provider import BaseProvider

from detent.clock import Clock
from detent.definition.model import WorkflowDefinition
from detent.errors import NotStarted
from detent.flows.book import FlowBook
from detent.integrations.discovery import discovered
from detent.integrations.dishka import DishkaInjector, WorkflowProvider, bind_runtime, component_for
from detent.integrations.modules import BROUGHT, Part, WorkflowModule, united
from detent.integrations.several import Claim
from detent.json_values import JsonObject
from detent.registry.registry import Registry
from detent.runtime.observers import WorkflowObserver
from detent.runtime.parts import Settings
from detent.runtime.retention_policy import RetentionPolicy
from detent.runtime.runtime import WorkflowRuntime
from detent.service.flows import FlowService
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.protocol import Store
from detent.workers.config import WorkerConfig
from detent.workers.worker import Worker

logger = logging.getLogger("detent.integrations")

Adopts: TypeAlias = Callable[[JsonObject], bool]
"""Says of a stored definition whether this process runs it."""

MakesTriggers: TypeAlias = Callable[[WorkflowService], TriggerService]
"""Makes the triggers' service over the running runtime: `lambda workflows: TriggerService(workflows, book, triggers)`."""


Placement: TypeAlias = Literal["asgi", "external"]
"""Where workers are: in every web process, or in processes of their own."""

DEFAULT_NAME = "workflows"
"""What a runtime is called that needs no name, because it is the only one."""


def _wrong_kind(store: object, flows: object, triggers: object, modules: Sequence[object]) -> str | None:
    if isinstance(store, str):
        # Not quoted: it may be a URL with a password in it.
        return '`store` is a text: say store=SqliteStore("shop.db"), or PgStore.from_url(...) for PostgreSQL'
    if not isinstance(flows, FlowBook | None):
        return "`flows` are a FlowBook(flows=[...], handlers=[...])"
    if triggers is not None and not callable(triggers):
        return "`triggers` makes the service: triggers=lambda workflows: TriggerService(workflows, book, triggers)"
    odd = next((module for module in modules if not isinstance(module, WorkflowModule)), None)
    if odd is not None:
        return f"`modules` holds {odd!r}, which is no WorkflowModule; `discover` takes the names of packages"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """The workflows of an application, and what of Detent it wants to run in its process."""

    name: str = DEFAULT_NAME
    """What this runtime is called, where an application has several."""
    store: Store | None = None
    """Where instances live. `None` takes the whole runtime from the container, which then starts and stops it."""
    definitions: Sequence[WorkflowDefinition] = ()
    """Every workflow, in as many versions as are still in use."""
    commands: Sequence[Any] = ()
    """What `@command` marked, or `Registry` objects."""
    flows: FlowBook | None = None
    """The flows and their handlers. What the runtime has to know of them is added to what stands above, flows that another
    process saves are run here too, and handlers of requests get a `FlowService`.
    """
    adopts: Adopts | None = None
    """Told a definition that another process stored, says whether this process runs it; flows need no word of it."""
    guards: Sequence[Any] = ()
    """What `@guard` marked: guards of events. Guards of routes stand with the routes."""
    observers: Sequence[WorkflowObserver] = ()
    """Told after each commit."""
    modules: Sequence[WorkflowModule] = ()
    """Parts of the application that bring what stands above and below by themselves."""
    discover: str | Sequence[str] = ()
    """A package, or several, that is imported with all its modules; what these declare is taken: `"myapp.workflows"`."""
    subscribers: Sequence[Any] = ()
    """What `@subscriber` marked: who hears of published messages; a process with a worker delivers."""
    retention: Sequence[RetentionPolicy] = ()
    """How long instances and their history are kept; a process with a worker sees to it, once an hour."""
    clock: Clock | None = None
    """`None` for the store's own clock."""
    settings: Settings = field(default_factory=Settings)
    """Limits and back-offs of the runtime."""
    container: AsyncContainer | None = None
    """The application's dishka container. `None` takes the one that `setup_dishka` gave the application, else a private one
    is made. A container that comes from outside is never closed here.
    """
    providers: Sequence[BaseProvider] = ()
    """What the private container provides to commands and guards."""
    triggers: MakesTriggers | None = None
    """Makes the service of triggers, once the runtime runs and before a worker does."""
    worker: Placement | WorkerConfig = "external"
    """Where runs are advanced, due timeouts fired, messages delivered and retention policies applied: `"asgi"` in this process,
    and so in every web process, `"external"` in processes of their own. `WorkerConfig(...)` is `"asgi"`, and says how. Any
    number of processes may.
    """
    setup_dishka: bool = False
    """Whether handlers of requests get their `FromDishka[...]` from this container too."""

    @property
    def fault(self) -> str | None:
        """What is of the wrong kind or contradicts itself, or `None`."""
        return _wrong_kind(self.store, self.flows, self.triggers, self.modules) or self._contradiction

    @property
    def _contradiction(self) -> str | None:
        parts = (
            *(self.definitions, self.commands, self.guards, self.observers, self.subscribers, self.retention),
            *(self.modules, self.discover),
        )
        if self.store is None and (any(parts) or self.flows is not None or self.adopts is not None):
            return (
                "without `store` the runtime comes from the container, whole; pass `store`, "
                "or give definitions, commands, flows, guards, observers, subscribers, retention, adopts, and what modules "
                "and discovery would bring, to the runtime that the container makes"
            )
        if self.container is not None and self.providers:
            return "`providers` are for the private container; give them to make_async_container() when passing `container`"
        if not isinstance(self.worker, WorkerConfig) and self.worker not in get_args(Placement):
            return (
                f'`worker` is {self.worker!r}: say worker="asgi" for a worker in every web process, worker="external" for '
                "processes of their own, or worker=WorkerConfig(...)"
            )
        return None

    def claims(self) -> Iterator[Claim]:
        """What no other runtime of the application may have, too."""
        yield Claim(("name", self.name), f"are called {self.name!r}", "WorkflowConfig(name=...) names one")
        if self.store is not None:
            yield Claim(("store", id(self.store)), "have the same store", "give each a store of its own")
        if self.setup_dishka:
            yield Claim(("requests",), "have setup_dishka=True", "one container can serve the requests, say it of one")

    def gathered(self) -> Self:
        """The same, with all that its modules bring, and that is discovered, listed in it.

        What is to be discovered is imported here. Raises `RegistrationInvalid` for what two bring differently.
        """
        if not self.modules and not self.discover:
            return self
        own = WorkflowModule("", **{name: getattr(self, name) for name in BROUGHT}, imports=self.modules)
        found = list(discovered(self.discover))
        if self.discover and not found:
            logger.warning("discover=%r found nothing: names that are only imported are left out", self.discover)
        every = united([Part(type(self).__name__, own), *found])
        brought = {name: getattr(every, name) for name in BROUGHT}
        if self.container is not None:
            # It was made with what they provide.
            brought["providers"] = ()
        return replace(self, modules=(), discover=(), **brought)

    @property
    def expects_flows(self) -> bool:
        """Whether there are flows, or there may be some that modules or discovery bring."""
        return self.flows is not None or bool(self.modules or self.discover)

    @property
    def worker_config(self) -> WorkerConfig | None:
        """How the worker of this process runs, or `None` where it has none."""
        if isinstance(self.worker, WorkerConfig):
            return self.worker
        return WorkerConfig() if self.worker == "asgi" else None

    @property
    def every_definition(self) -> list[WorkflowDefinition]:
        """The definitions, those of the flows among them."""
        return [*self.definitions, *(self.flows.definitions if self.flows else ())]

    @property
    def every_command(self) -> list[Any]:
        """The commands, those that run the flows among them."""
        return [*self.commands, *(self.flows.commands if self.flows else ())]

    @property
    def adopting(self) -> Adopts | None:
        """Whether a stored definition is run here, by what `adopts` or the flows say; `None` where neither says anything."""
        said = [adopts for adopts in (self.adopts, self.flows.adopts if self.flows else None) if adopts is not None]
        return (lambda definition: any(adopts(definition) for adopts in said)) if said else None


C = TypeVar("C", bound=RuntimeConfig)


@asynccontextmanager
async def container_for(
    config: RuntimeConfig, of_application: AsyncContainer | None, *further: BaseProvider
) -> AsyncIterator[AsyncContainer]:
    """The container that was given, else the one the application was set up with, else a private one.

    Only the private one is closed at the end, and has the `further` providers. The others belong to who made them.
    """
    given = config.container or of_application
    if given is not None:
        yield given
        return
    made = private_container(config, *further)
    try:
        yield made
    finally:
        await made.close()


def private_container(config: RuntimeConfig, *further: BaseProvider) -> AsyncContainer:
    """A container of the providers in `config`, of the classes among its commands and guards that those do not provide,
    of the flows' service, and of the workflows' own provider, which comes last, whoever brings it.
    """
    flows = [] if config.flows is None else [_flows_provider(config.flows)]
    providers = sorted([*flows, *config.providers, *further], key=lambda each: isinstance(each, WorkflowProvider))
    provided = {factory.provides.type_hint for provider in providers for factory in provider.factories}
    missing = [made for made in _classes(config) if made not in provided]
    if not any(isinstance(provider, WorkflowProvider) for provider in providers):
        return make_async_container(*providers, WorkflowProvider(*missing))
    made_here = Provider(scope=Scope.ACTION)
    made_here.provide_all(*missing)
    return make_async_container(made_here, *providers)


@asynccontextmanager
async def running(config: RuntimeConfig, container: AsyncContainer) -> AsyncIterator[WorkflowRuntime]:
    """The runtime that `config` describes, or without a store, the one that the container owns, starts and stops."""
    component = component_for(container, config.name)
    if config.store is None:
        yield await container.get(WorkflowRuntime, component)
        return
    runtime = WorkflowRuntime(
        store=config.store,
        definitions=config.every_definition,
        commands=config.every_command,
        guards=config.guards,
        observers=config.observers,
        retention=config.retention,
        subscribers=config.subscribers,
        adopts=config.adopting,
        clock=config.clock,
        injector=DishkaInjector(container),
        settings=config.settings,
    )
    bind_runtime(container, runtime, component=component)
    async with runtime:
        yield runtime


class Hosted(Generic[C]):
    """The workflows of one application while it runs: what the packages of web frameworks inherit their lifespan from."""

    def __init__(self, config: C) -> None:
        self._config = config.gathered()
        self._runtime: WorkflowRuntime | None = None
        self._container: AsyncContainer | None = None
        self._component: Component = DEFAULT_COMPONENT
        self._worker: Worker | None = None
        self._triggers: TriggerService | None = None

    @property
    def config(self) -> C:
        """What the application said, with what its modules and discovery bring."""
        return self._config

    @property
    def name(self) -> str:
        """What the runtime is called among those of the application."""
        return self._config.name

    @property
    def runtime(self) -> WorkflowRuntime:
        """The running runtime. Raises `NotStarted` outside the application's lifespan."""
        if self._runtime is None:
            raise NotStarted
        return self._runtime

    @property
    def worker(self) -> Worker | None:
        """The worker of this process, if one runs; its `health()` is for the application's `/healthz`."""
        return self._worker

    @property
    def triggers(self) -> TriggerService:
        """The service of triggers. Raises `NotStarted` outside the application's lifespan, and where the config makes none."""
        if self._triggers is None:
            raise NotStarted
        return self._triggers

    async def service_from(self, of_request: AsyncContainer) -> WorkflowService:
        """The service that the container of a request has, where that comes from the container of this runtime."""
        return await of_request.get(WorkflowService, self._component)

    @asynccontextmanager
    async def hosting(
        self, of_application: AsyncContainer | None, *further: BaseProvider, webhooks: bool, worked_for: bool | None
    ) -> AsyncIterator[AsyncContainer]:
        """Run the runtime, and the worker where it is wanted, until the end; answers the container that commands are served from.

        `webhooks` says whether triggers have their door, `worked_for` whether a worker fires them; `None` where nobody knows.
        """
        async with AsyncExitStack() as stack:
            container = await stack.enter_async_context(container_for(self._config, of_application, *further))
            runtime = await stack.enter_async_context(running(self._config, container))
            if self._config.triggers is not None:
                # Made before a worker fires them, and warned of where they cannot fire here.
                self._triggers = self._config.triggers(WorkflowService(runtime))
                if webhooks:
                    self._triggers.open_door("http")
                await self._triggers.check(worker=worked_for)
            if wanted := self._config.worker_config:
                self._worker = await stack.enter_async_context(wanted.worker(runtime))
            self._runtime, self._container = runtime, container
            self._component = component_for(container, self.name)
            try:
                yield container
            finally:
                self._runtime = self._container = self._worker = self._triggers = None


def _flows_provider(book: FlowBook) -> Provider:
    """Gives a `FlowService` over the `WorkflowService` of the same request or step."""

    def flows(service: WorkflowService) -> FlowService:
        return FlowService(service, book)

    provider = Provider(scope=Scope.REQUEST)
    provider.provide(flows)
    return provider


def _classes(config: RuntimeConfig) -> list[type]:
    """The commands and guards that a container has to make."""
    registry = Registry()
    registry.add(config.commands)
    registry.add(config.guards)
    targets = [spec.target for spec in registry.commands.values()] + [spec.target for spec in registry.guards.values()]
    return [target for target in targets if inspect.isclass(target)]
