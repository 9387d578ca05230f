"""A running runtime over a memory store, with a clock that stands still and an observer that remembers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from detent import CommandRecord, MemoryStore, Observation, WorkflowDefinition, WorkflowInstance, WorkflowObserver
from detent.runtime.runtime import WorkflowRuntime
from detent.testing.clock import FakeClock

Running = Callable[..., Awaitable[WorkflowRuntime]]


class Recorder(WorkflowObserver):
    """Remembers what it was told, as short texts."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_created(self, seen: Observation) -> None:
        self.heard.append(f"created {seen.entry.to_state}")

    async def on_transition(self, seen: Observation) -> None:
        self.heard.append(f"{seen.entry.event} {seen.entry.from_state}>{seen.entry.to_state} {seen.entry.outcome}")

    async def on_refused(self, seen: Observation) -> None:
        self.heard.append(f"refused {seen.entry.event}: {seen.entry.reason}")

    async def on_failed(self, seen: Observation) -> None:
        self.heard.append(f"failed {seen.entry.event}: {(seen.entry.error or {})['code']}")

    async def on_completed(self, seen: Observation) -> None:
        self.heard.append(f"ended {seen.instance.status}")

    async def on_command(self, seen: Observation, command: CommandRecord) -> None:
        self.heard.append(f"command {command.name} {'ok' if command.ok else command.code}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lock_timeout=0.2)


@pytest.fixture
async def running(store: MemoryStore, clock: FakeClock, recorder: Recorder) -> AsyncIterator[Running]:
    """Starts a runtime for a definition given as a dict; it is left when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            *definitions: Mapping[str, Any], commands: Iterable[Any] = (), guards: Iterable[Any] = (), **options: Any
        ) -> WorkflowRuntime:
            runtime = WorkflowRuntime(
                store=options.pop("store", store),
                definitions=[WorkflowDefinition.from_dict(definition) for definition in definitions],
                commands=commands,
                guards=guards,
                observers=[recorder],
                clock=clock,
                **options,
            )
            return await stack.enter_async_context(runtime)

        yield start


async def story(runtime: WorkflowRuntime, instance: WorkflowInstance) -> list[str]:
    """The history as `sequence event from>to outcome`, in the order it happened."""
    entries = await runtime.get_history(instance.id)
    return [f"{e.sequence} {e.event} {e.from_state}>{e.to_state} {e.outcome}" for e in reversed(entries)]


@pytest.fixture(name="story")
def story_fixture() -> Callable[[WorkflowRuntime, WorkflowInstance], Awaitable[list[str]]]:
    return story
