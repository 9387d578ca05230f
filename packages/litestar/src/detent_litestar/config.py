"""What an application says about its workflows; nothing is mounted and no loop runs unless it is said here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, TypeAlias

from dishka import AsyncContainer
from dishka.provider import BaseProvider
from litestar import Request
from litestar.exceptions import ImproperlyConfiguredException
from litestar.types import Guard, Middleware

from detent.clock import Clock
from detent.definition.model import WorkflowDefinition
from detent.flows.book import FlowBook
from detent.json_values import JsonObject, JsonValue
from detent.runtime.observers import WorkflowObserver
from detent.runtime.parts import Settings
from detent.runtime.retention_policy import RetentionPolicy
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.service.triggers import TriggerService
from detent.store.protocol import Store
from detent.workers.queues import Queue
from detent.workers.worker import Worker

Acting: TypeAlias = Callable[[Request[Any, Any, Any]], Mapping[str, JsonValue]]
"""Says who sends a request, as trigger metadata for history."""
TenantOf: TypeAlias = Callable[[Request[Any, Any, Any]], str | None]
"""Says whose instances a request may see and touch; `None` for nobody's."""

Adopts: TypeAlias = Callable[[JsonObject], bool]
"""Says of a stored definition whether this process runs it."""

MakesTriggers: TypeAlias = Callable[[WorkflowService], TriggerService]
"""Makes the triggers' service over the running runtime: `lambda workflows: TriggerService(workflows, book, triggers)`."""

ONE_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AllowAll:
    """The policy that lets everybody use the routes whom the application's own guards and middleware let through.

    It has to be written out, and each start logs a warning.
    """


@dataclass(frozen=True, slots=True)
class Controllers:
    """The REST routes. They are mounted only with `guards`, or with the policy `AllowAll()`.

    A guard can tell what is asked for from `route_handler.opt["workflow_action"]`: `read`, `start` or `event`.
    """

    guards: Sequence[Guard] = ()
    """Who may use the routes; each must let a request pass, before its body is read."""
    policy: AllowAll | None = None
    """`AllowAll()` in place of guards."""
    path: str = "/workflows"
    """The prefix of the routes."""
    acting: Acting | None = None
    """What history is told about the sender of a request; it wins over what the body says."""
    tenant: TenantOf | None = None
    """Which tenant a request is bound to, taken from what the guards or the middleware know of it: it sees, touches and makes
    that one's instances, and any other is not there. A request of which it says `None` gets a 403, so that a forgotten header
    opens nothing. Without it the routes reach the instances of every tenant.
    """
    tags: Sequence[str] = ("workflows",)
    """The tags of the operations in OpenAPI."""
    include_in_schema: bool = True
    """Whether OpenAPI describes the routes."""
    operation_id_prefix: str = "workflows"
    """What every operation id begins with; two sets of routes need two."""
    max_body_size: int = ONE_MEBIBYTE
    """How many bytes the body of a request may have."""

    def __post_init__(self) -> None:
        if bool(self.guards) == (self.policy is not None):
            raise ImproperlyConfiguredException(
                "the workflow routes need a policy: Controllers(guards=[...]), "
                "or Controllers(policy=AllowAll()) to let everybody in, and not both"
            )


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The door of HTTP triggers: `POST {path}/{trigger}`. It is mounted only with `guards`, or with the policy `AllowAll()`.

    A trigger's own signature is verified behind them. `AllowAll()` is what webhooks from outside need, that have nothing else to
    show; a trigger without a signature is then open to whoever knows its name.
    """

    guards: Sequence[Guard] = ()
    """Who may call; each must let a request pass, before its body is read."""
    policy: AllowAll | None = None
    """`AllowAll()` in place of guards."""
    path: str = "/webhooks"
    """The prefix of the routes."""
    middleware: Sequence[Middleware] = ()
    """What stands around these routes alone, such as a rate limit."""
    tenant: TenantOf | None = None
    """Which tenant's triggers a request reaches; one of which it says `None` gets a 403. Without it triggers are reached by their
    id, and by their name those of nobody.
    """
    info: bool = False
    """Whether `GET {path}/{trigger}` tells what the trigger is called, whether it is enabled and what body it takes."""
    tags: Sequence[str] = ("webhooks",)
    """The tags of the operations in OpenAPI."""
    include_in_schema: bool = True
    """Whether OpenAPI describes the routes."""
    operation_id_prefix: str = "webhooks"
    """What every operation id begins with."""
    max_body_size: int = ONE_MEBIBYTE
    """How many bytes a body may have."""

    def __post_init__(self) -> None:
        if bool(self.guards) == (self.policy is not None):
            raise ImproperlyConfiguredException(
                "the webhooks need a policy: Webhooks(guards=[...]), or Webhooks(policy=AllowAll()) where the signatures of "
                "the triggers are all that callers show, and not both"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """How the worker runs in this process; see `detent.workers.Worker`."""

    queues: Sequence[str | Queue] | None = None
    """Whose durable commands it runs; `None` for all."""
    concurrency: int = 10
    """How many runs it works on at once."""
    poll: timedelta = timedelta(seconds=1)
    """How often it looks for work of which no signal told."""
    drain: timedelta = timedelta(seconds=30)
    """How long shutting down lets work under way go on."""
    timeouts: bool = True
    """Whether it fires due timeouts."""
    inbox: bool = True
    """Whether it lets instances take the events that were sent to them."""
    outbox: bool = True
    """Whether it delivers published messages to subscribers."""
    retention: bool = True
    """Whether it applies retention policies and forgets expired idempotency keys."""
    name: str | None = None
    """What it is called in the runs it holds; host and process id by default."""

    def worker(self, runtime: WorkflowRuntime) -> Worker:
        """Such a worker. Raises `InvalidValue`."""
        return Worker(runtime, **{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowConfig:
    """The workflows of an application, and what of Detent it wants to run in its process."""

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
    """What `@guard` marked: guards of events. Guards of routes stand in `controllers`."""
    observers: Sequence[WorkflowObserver] = ()
    """Told after each commit."""
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
    setup_dishka: bool = False
    """Whether handlers of requests get their `FromDishka[...]` from this container too."""
    controllers: Controllers | None = None
    """The REST routes; `None` mounts none."""
    triggers: MakesTriggers | None = None
    """Makes the service of triggers, once the runtime runs and before a worker does; `plugin.triggers` is it."""
    webhooks: Webhooks | None = None
    """The door of HTTP triggers; `None` mounts none."""
    worker: bool | WorkerConfig = False
    """Whether this process works: advances runs, fires due timeouts, delivers messages, applies retention policies. Without,
    another must: `litestar workflows worker`, or a process with a worker. Any number of processes may.
    """
    dependency_key: str = "workflows"
    """The name under which handlers get the `WorkflowService`."""
    flows_dependency_key: str = "flows"
    """The name under which handlers get the `FlowService`, where there are `flows`."""

    def __post_init__(self) -> None:
        if self.controllers is not None and not isinstance(self.controllers, Controllers):
            raise ImproperlyConfiguredException(
                "`controllers` are described by Controllers(guards=[...]), or Controllers(policy=AllowAll())"
            )
        if self.webhooks is not None and self.triggers is None:
            raise ImproperlyConfiguredException(
                "webhooks call triggers: say triggers=lambda workflows: TriggerService(workflows, book, triggers)"
            )
        parts = (self.definitions, self.commands, self.guards, self.observers, self.subscribers, self.retention)
        if self.store is None and (any(parts) or self.flows is not None or self.adopts is not None):
            raise ImproperlyConfiguredException(
                "without `store` the runtime comes from the container, whole; pass `store`, "
                "or give definitions, commands, flows, guards, observers, subscribers, retention and adopts to the runtime "
                "that the container makes"
            )
        if self.container is not None and self.providers:
            raise ImproperlyConfiguredException(
                "`providers` are for the private container; give them to make_async_container() when passing `container`"
            )

    @property
    def worker_config(self) -> WorkerConfig | None:
        """How the worker runs, or `None` when none does."""
        if isinstance(self.worker, WorkerConfig):
            return self.worker
        return WorkerConfig() if self.worker else None

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
