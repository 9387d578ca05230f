"""Which dishka container commands, guards and handlers get their objects from, and who closes it."""

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from dishka import AsyncContainer, Provider, Scope, make_async_container
from dishka.integrations.litestar import LitestarProvider, setup_dishka
from litestar import Litestar

from detent.flows.book import FlowBook
from detent.integrations.dishka import WorkflowProvider
from detent.registry.registry import Registry
from detent.service.flows import FlowService
from detent.service.service import WorkflowService
from detent_litestar.config import WorkflowConfig

CONTAINER = "dishka_container"
"""Under this name dishka's `setup_dishka` keeps containers in the state of applications and of requests."""


@asynccontextmanager
async def container_for(app: Litestar, config: WorkflowConfig) -> AsyncIterator[AsyncContainer]:
    """The container that was given, else the one the application was set up with, else a private one.

    Only the private one is closed at the end. The others belong to who made them.
    """
    given = config.container or app.state.get(CONTAINER)
    if given is not None:
        yield given
        return
    made = private_container(config)
    try:
        yield made
    finally:
        await made.close()


def private_container(config: WorkflowConfig) -> AsyncContainer:
    """A container of the providers in `config`, of the classes among its commands and guards that those do not provide,
    of the flows' service, and of the workflows' own provider, which comes last unless it is among them.
    """
    flows = [] if config.flows is None else [_flows_provider(config.flows)]
    providers = [*flows, *config.providers, *([LitestarProvider()] if config.setup_dishka else [])]
    provided = {factory.provides.type_hint for provider in providers for factory in provider.factories}
    missing = [made for made in _classes(config) if made not in provided]
    if not any(isinstance(provider, WorkflowProvider) for provider in providers):
        return make_async_container(*providers, WorkflowProvider(*missing))
    made_here = Provider(scope=Scope.ACTION)
    made_here.provide_all(*missing)
    return make_async_container(made_here, *providers)


def _flows_provider(book: FlowBook) -> Provider:
    """Gives a `FlowService` over the `WorkflowService` of the same request or step."""

    def flows(service: WorkflowService) -> FlowService:
        return FlowService(service, book)

    provider = Provider(scope=Scope.REQUEST)
    provider.provide(flows)
    return provider


def _classes(config: WorkflowConfig) -> list[type]:
    """The commands and guards that a container has to make."""
    registry = Registry()
    registry.add(config.commands)
    registry.add(config.guards)
    targets = [spec.target for spec in registry.commands.values()] + [spec.target for spec in registry.guards.values()]
    return [target for target in targets if inspect.isclass(target)]


@contextmanager
def injected_requests(app: Litestar, container: AsyncContainer) -> Iterator[None]:
    """Let handlers get their `FromDishka[...]` from `container`, as after dishka's `setup_dishka`, until the end."""
    if CONTAINER in app.state:
        yield
        return
    handler = app.asgi_handler
    setup_dishka(container, app)
    try:
        yield
    finally:
        app.asgi_handler = handler
        del app.state[CONTAINER]
