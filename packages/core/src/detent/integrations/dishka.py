"""Connects a dishka container: commands and guards get the application's objects, the application gets the runtime.

    APP      WorkflowRuntime, stores, engines          the process
    REQUEST  one unit of work: a web request OR a step  `Transition` is in its context for a step
    ACTION   one command                                `CommandContext` is in its context

Each step opens a REQUEST scope inside its transaction, so that whatever the application registers in REQUEST exists once
per step, and each command an ACTION scope in that. Finalisers run before COMMIT: one that fails rolls the step back.
They must not commit themselves, and what they still write is part of the step.

A factory with `when=Has(Transition)` replaces another only inside a step; that is how `detent_pg.dishka` makes the
application's `AsyncSession` the step's. The last active factory wins, so list `WorkflowProvider` last:

    container = make_async_container(AppProvider(), WorkflowProvider(ChargeCard))
    runtime = WorkflowRuntime(store=store, definitions=[order], commands=[ChargeCard], injector=DishkaInjector(container))
    bind_runtime(container, runtime)

From then on the container gives `WorkflowRuntime` and `WorkflowService`. Or let the container own the runtime; closing
the container then ends it:

    class Workflows(WorkflowProvider):
        @provide(scope=Scope.APP)
        async def runtime(self, container: AsyncContainer, store: Store) -> AsyncIterator[WorkflowRuntime]:
            async with WorkflowRuntime(store=store, ..., injector=DishkaInjector(container)) as runtime:
                yield runtime

Observers are called after the commit and outside any scope. One that needs objects opens a scope of its own,
`async with container() as request:`, and finds the application's normal session there, since no step is under way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from inspect import Parameter, isclass
from typing import Any, TypeVar

from dishka import (
    DEFAULT_COMPONENT,
    AsyncContainer,
    DependencyKey,
    Has,
    Provider,
    Scope,
    from_context,
    provide,
)
from dishka.entities.component import Component
from dishka.exceptions import ExitError, NoFactoryError
from dishka.integrations.base import default_parse_dependency

from detent.errors import DetentError
from detent.integrations.dishka_graph import Graph
from detent.registry.context import CommandContext
from detent.runtime.injection import CannotInject, InjectionScope, Resolve, Transition
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.store.memory_transaction import MemoryTransaction
from detent.store.sqlite_connection import SqliteConnection

C = TypeVar("C")


class DishkaInjector:
    """The `injector=` of a runtime whose commands and guards get their objects from `container`.

    `container` is what `make_async_container` answered. Raises `ValueError` for one that is inside REQUEST already.
    """

    def __init__(self, container: AsyncContainer) -> None:
        self._container = container
        self._graph = Graph(container, {Scope.REQUEST: Transition, Scope.ACTION: CommandContext})

    def claim(self, annotation: Any) -> DependencyKey | None:
        """The key behind `FromDishka[...]`, behind `Annotated[..., FromComponent(...)]`, or of a class that a provider has."""
        key = _marked_key(annotation) or self._class_key(annotation)
        if key is not None and (reason := self._graph.why_not(key)):
            raise CannotInject(reason)
        return key

    def _class_key(self, annotation: Any) -> DependencyKey | None:
        key = DependencyKey(annotation, DEFAULT_COMPONENT)
        return key if isclass(annotation) and self._graph.mentions(key) else None

    @asynccontextmanager
    async def open(self, transition: Transition | None) -> AsyncIterator[InjectionScope]:
        """A REQUEST scope, with the `Transition` in its context if there is one."""
        context = {} if transition is None else {Transition: transition}
        async with (
            _entered(self._container(context, scope=Scope.REQUEST)) as request,
            # Guards are resolved where commands are, so that both kinds of classes are registered alike.
            _entered(request(scope=Scope.ACTION)) as guards,
        ):
            yield _StepScope(request, guards)


@dataclass(frozen=True, slots=True)
class _StepScope:
    """The containers of one step."""

    request: AsyncContainer
    guards: AsyncContainer

    async def get(self, key: DependencyKey) -> Any:
        return await self.guards.get(key.type_hint, component=key.component)

    @asynccontextmanager
    async def command(self, context: CommandContext) -> AsyncIterator[Resolve]:
        async with _entered(self.request({CommandContext: context}, scope=Scope.ACTION)) as container:
            yield lambda key: container.get(key.type_hint, component=key.component)


class RuntimeSlot:
    """Holds the runtime of a container, which is made after it because it needs it."""

    def __init__(self) -> None:
        self.runtime: WorkflowRuntime | None = None


def bind_runtime(
    container: AsyncContainer, runtime: WorkflowRuntime, *, component: Component = DEFAULT_COMPONENT
) -> None:
    """Let `container`, and all scopes inside it, give this runtime and services over it.

    A container serves one runtime, or several in a `component` each, with a provider in each:
    `WorkflowProvider().to_component("billing")`. Raises `DetentError` when no provider of the component is a
    `WorkflowProvider`, or when it gives another runtime, which is still running: half of the application would work on the
    wrong store.
    """
    try:
        slot = container.get_sync(RuntimeSlot, component)
    except NoFactoryError as error:
        raise DetentError(
            "the container has no WorkflowProvider",
            hint="make it so: make_async_container(YourProvider(), ..., WorkflowProvider(...)), with ours last",
        ) from error
    if slot.runtime is not None and slot.runtime is not runtime and slot.runtime.is_running:
        hint = (
            "one container serves one runtime, or each that has a name in a component of that name: "
            'WorkflowProvider().to_component("billing")'
        )
        raise DetentError("the container gives another runtime already", hint=hint)
    slot.runtime = runtime


def component_for(container: AsyncContainer, name: str) -> Component:
    """The component in which a container keeps the runtime of that name: one of that name where it has it, else the usual one."""
    try:
        container.get_sync(RuntimeSlot, name)
    except NoFactoryError:
        return DEFAULT_COMPONENT
    return name


class WorkflowProvider(Provider):
    """Gives the runtime and services to the application, and what is known of a step to its factories. List it last.

    `classes` are command and guard classes; they are made in ACTION. In REQUEST there is a `WorkflowService`: outside a
    step its calls commit by themselves, inside they are part of the step. Inside a step there is also the store's own
    `MemoryTransaction` or `SqliteConnection`, for commands that write with it.
    """

    transition = from_context(Transition, scope=Scope.REQUEST)
    command_context = from_context(CommandContext, scope=Scope.ACTION)

    def __init__(self, *classes: type) -> None:
        super().__init__()
        for made in classes:
            if not isclass(made):
                raise TypeError(f"{made!r} is no class; functions need no provider, name them in commands= or guards=")
            self.provide(made, scope=Scope.ACTION)

    @provide(scope=Scope.APP)
    def slot(self) -> RuntimeSlot:
        """Where `bind_runtime` puts the runtime, once per container."""
        return RuntimeSlot()

    # Not cached: an application that is started again binds another one.
    @provide(scope=Scope.APP, cache=False)
    def runtime(self, slot: RuntimeSlot) -> WorkflowRuntime:
        """The runtime that was bound. Override it to let the container own the runtime."""
        if slot.runtime is None:
            raise DetentError("the container has no runtime yet", hint="call bind_runtime(container, runtime)")
        return slot.runtime

    @provide(scope=Scope.REQUEST)
    def service(self, runtime: WorkflowRuntime) -> WorkflowService:
        """A service whose every call commits before it returns; `service.within(session)` joins a transaction."""
        return WorkflowService(runtime)

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    def service_of_step(self, runtime: WorkflowRuntime, transition: Transition) -> WorkflowService:
        """A service inside the step: what a command does with it is committed with the step, or not at all."""
        return WorkflowService(runtime, connection=transition.connection)

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    def memory_transaction(self, transition: Transition) -> MemoryTransaction:
        """The step's transaction in a `MemoryStore`."""
        return connection_of(transition, MemoryTransaction)

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    def sqlite_connection(self, transition: Transition) -> SqliteConnection:
        """The step's transaction in a `SqliteStore`."""
        return connection_of(transition, SqliteConnection)


def connection_of(transition: Transition, kind: type[C]) -> C:
    """The connection of the step. Raises `CannotInject` when the runtime's store lends another kind."""
    if not isinstance(transition.connection, kind):
        lent = type(transition.connection).__name__
        raise CannotInject(f"a command asks for {kind.__name__}, and the runtime's store lends {lent}")
    return transition.connection


def _marked_key(annotation: Any) -> DependencyKey | None:
    return default_parse_dependency(Parameter("_", Parameter.KEYWORD_ONLY), annotation)


@asynccontextmanager
async def _entered(container: AsyncContainer) -> AsyncIterator[AsyncContainer]:
    """Closes the container at the end, whatever happens. An error of the body is not replaced by one of a finaliser."""
    try:
        yield container
    except BaseException as error:
        await _close_after(error, container)
        raise
    try:
        await container.close()
    except asyncio.CancelledError as cancelled:
        await _close_after(cancelled, container)
        raise
    except ExitError as failed:
        raise _alone(failed) from None


async def _close_after(error: BaseException, container: AsyncContainer) -> None:
    """Run the finalisers that have not run, and note on `error` what they raise.

    A cancellation cuts the finaliser it meets and makes dishka leave out the others; under anyio it comes again at every
    await. So after one they run in a task of their own. Otherwise they run in the caller's, as those that reset a
    context variable need it.
    """
    try:
        if isinstance(error, asyncio.CancelledError):
            await _to_its_end(asyncio.create_task(container.close(error)))
        else:
            await container.close(error)
    except asyncio.CancelledError as cancelled:
        await _close_after(cancelled, container)
        raise
    except ExitError as failed:
        error.add_note(f"and then its scope could not be closed: {_alone(failed)!r}")


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for a task however often the waiting is cancelled; who calls this has a cancellation to pass on already."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()


def _alone(failed: BaseException) -> BaseException:
    """The error itself where dishka's group holds only one, so that the store can tell what it means."""
    while isinstance(failed, ExitError) and len(failed.exceptions) == 1:
        failed = failed.exceptions[0]
    return failed
