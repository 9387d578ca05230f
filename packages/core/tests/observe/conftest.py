"""Runtimes over one memory store, and the spans they leave."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from detent import MemoryStore, WorkflowDefinition
from detent.runtime.runtime import WorkflowRuntime
from detent.testing.clock import FakeClock
from packages.core.tests.observe.spans import Spans

Starting = Callable[..., Awaitable[WorkflowRuntime]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lock_timeout=0.2)


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def starting(store: MemoryStore, clock: FakeClock) -> AsyncIterator[Starting]:
    """Starts runtimes over the same store; they are left when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            definition: WorkflowDefinition, *, commands: Iterable[Any] = (), guards: Iterable[Any] = (), **options: Any
        ) -> WorkflowRuntime:
            runtime = WorkflowRuntime(
                store=options.pop("store", store),
                definitions=[definition],
                commands=commands,
                guards=guards,
                clock=clock,
                **options,
            )
            return await stack.enter_async_context(runtime)

        yield start
