"""Services that know one or both versions of a workflow, over one store."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from detent import (
    MemoryStore,
    SqliteStore,
    Store,
    WorkflowDefinition,
    WorkflowObserver,
    WorkflowRuntime,
    WorkflowService,
)
from detent.testing.clock import FakeClock
from packages.core.tests.upgrade.claims import NEW, OLD, Serving


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store that is open for the whole test, so that processes may come and go."""
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "claims.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def serving(store: Store, clock: FakeClock) -> AsyncIterator[Serving]:
    """Starts a process that registers these definitions; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(
            *definitions: dict[str, Any],
            commands: tuple[Any, ...] = (),
            observers: tuple[WorkflowObserver, ...] = (),
            **options: Any,
        ) -> WorkflowService:
            runtime = WorkflowRuntime(
                store=store,
                definitions=[WorkflowDefinition.from_dict(definition) for definition in definitions],
                commands=commands,
                observers=observers,
                clock=clock,
                **options,
            )
            return WorkflowService(await stack.enter_async_context(runtime))

        yield start


@pytest.fixture
async def old(serving: Serving) -> WorkflowService:
    """A process of yesterday, which makes instances of version 1."""
    return await serving(OLD)


@pytest.fixture
async def service(old: WorkflowService, serving: Serving) -> WorkflowService:
    """A process of today, which knows both versions."""
    return await serving(OLD, NEW)
