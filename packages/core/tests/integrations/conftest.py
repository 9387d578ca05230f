"""Runtimes over a memory store, with commands, guards and a dishka container that the test gives."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from dishka import AsyncContainer, make_async_container
from dishka.provider import BaseProvider

from detent import MemoryStore, WorkflowDefinition, WorkflowRuntime
from detent.integrations.dishka import DishkaInjector, bind_runtime

Started = Callable[..., Awaitable[WorkflowRuntime]]
Containers = Callable[..., AsyncContainer]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lock_timeout=0.2)


@pytest.fixture
async def containers() -> AsyncIterator[Containers]:
    """Makes containers, which are closed when the test ends."""
    async with AsyncExitStack() as stack:

        def make(*providers: BaseProvider, **options: Any) -> AsyncContainer:
            container = make_async_container(*providers, **options)
            stack.push_async_callback(container.close)
            return container

        yield make


@pytest.fixture
async def started(store: MemoryStore) -> AsyncIterator[Started]:
    """Starts a runtime whose workflow `order` runs `commands` when it is paid, if `guards` let it."""
    async with AsyncExitStack() as stack:

        async def start(
            container: AsyncContainer, commands: Iterable[Any] = (), guards: Iterable[Any] = (), **options: Any
        ) -> WorkflowRuntime:
            runtime = WorkflowRuntime(
                store=store,
                definitions=[_order(commands, guards)],
                commands=commands,
                guards=guards,
                injector=DishkaInjector(container),
                **options,
            )
            await stack.enter_async_context(runtime)
            return runtime

        yield start


@pytest.fixture
def bound(started: Started) -> Started:
    """The same, bound to its container."""

    async def start(container: AsyncContainer, *arguments: Any, **options: Any) -> WorkflowRuntime:
        runtime = await started(container, *arguments, **options)
        bind_runtime(container, runtime)
        return runtime

    return start


def _order(commands: Iterable[Any], guards: Iterable[Any]) -> WorkflowDefinition:
    def name(target: Any) -> str:
        return str(target.__detent_declared__.name)

    pay = {"target": "paid", "error": "broke", "commands": [name(command) for command in commands]}
    asked = [name(guard) for guard in guards]
    return WorkflowDefinition.from_dict(
        {
            "name": "order",
            "initial_state": "new",
            "states": {
                "new": {"events": {"pay": pay | ({"guard": {"all_of": asked}} if asked else {})}},
                "paid": {},
                "broke": {},
            },
        }
    )
