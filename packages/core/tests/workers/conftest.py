"""Runtimes over one store, each as if it were a process of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from detent import MemoryStore, SqliteStore, WorkflowDefinition, WorkflowRuntime
from detent.testing.clock import FakeClock

Started = Callable[..., Awaitable[WorkflowRuntime]]


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def started(store, clock) -> AsyncIterator[Started]:
    """Starts runtimes over one store, each as if it were a process of its own."""
    async with AsyncExitStack() as stack:

        async def start(*definitions: WorkflowDefinition, **options: Any) -> WorkflowRuntime:
            options = {"store": store, "clock": clock, "definitions": definitions} | options
            return await stack.enter_async_context(WorkflowRuntime(**options))

        yield start
