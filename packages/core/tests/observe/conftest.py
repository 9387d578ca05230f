"""Runtimes over one memory store, and the spans they leave."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from detent import MemoryStore, WorkflowDefinition
from detent.runtime.runtime import WorkflowRuntime
from detent.testing.clock import FakeClock

Starting = Callable[..., Awaitable[WorkflowRuntime]]


class Spans:
    """Everything that ended so far."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        """In the order they began."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        """The one of this name."""
        [span] = [span for span in self.all if span.name == name]
        return span

    def tree(self) -> list[str]:
        """Names, each indented under its parent."""
        spans = {span.context.span_id: span for span in self.all if span.context}

        def depth(span: ReadableSpan) -> int:
            return 0 if span.parent is None else 1 + depth(spans[span.parent.span_id])

        return ["  " * depth(span) + span.name for span in self.all]

    def forget(self) -> None:
        self._exporter.clear()


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
