"""Diagrams made into classes, and a runtime in memory for them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from detent import MemoryStore, WorkflowRuntime
from detent.testing import FakeClock
from tests.drawn import drawn as drawn

Started = Callable[..., Awaitable[WorkflowRuntime]]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    """Starts a runtime that runs these classes; it is left when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(*classes: type[Any], **options: Any) -> WorkflowRuntime:
            runtime = WorkflowRuntime(store=MemoryStore(), clock=FakeClock(), **options)
            runtime.register(*classes)
            return await stack.enter_async_context(runtime)

        yield start
