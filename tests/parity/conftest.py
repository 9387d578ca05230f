"""Every parity test runs on each store, with a clock that stands still and an observer that remembers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from detent import Store, WorkflowDefinition, WorkflowInstance, WorkflowRuntime
from detent.testing import FakeClock
from detent.testing.store_contract import StoreKit
from packages.pg.tests.wire import Wire
from tests.databases import database_beside
from tests.mermaid.oracle import mermaid as mermaid
from tests.parity.flows import flowing as flowing
from tests.parity.ground import Backend, Heard, Memory, Postgresql, Sqlite, prepared
from tests.postgres import Postgres

Running = Callable[..., Awaitable[WorkflowRuntime]]


@pytest.fixture(scope="session")
async def parity_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield await prepared(url)


@pytest.fixture(scope="session")
async def elsewhere_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield await prepared(url)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Of the two databases, where the store is PostgreSQL's; in a fixture that is not async, because it asks for others."""
    if request.param != "postgresql":
        return (request.param,)
    return request.param, request.getfixturevalue("parity_url"), request.getfixturevalue("elsewhere_url")


@pytest.fixture
async def backend(urls: tuple[str, ...], tmp_path: Path) -> AsyncIterator[Backend]:
    """The kind of store that a test runs on."""
    async with AsyncExitStack() as stack:
        match urls:
            case ("postgresql", url, other_url):
                yield Postgresql(url, other_url, stack)
            case ("sqlite",):
                yield Sqlite(tmp_path, stack)
            case _:
                yield Memory()


@pytest.fixture
async def store(backend: Backend) -> Store:
    """An open, empty store: one in memory, one in a SQLite file, one in PostgreSQL."""
    opened: Store = await backend.store()
    return opened


@pytest.fixture
def kit(backend: Backend, store: Store) -> StoreKit:
    return backend.kit(store)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def running(store: Store, clock: FakeClock, heard: Heard) -> AsyncIterator[Running]:
    """Starts a runtime for definitions given as dicts; it is left when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(
            *definitions: Mapping[str, Any], commands: Iterable[Any] = (), guards: Iterable[Any] = (), **options: Any
        ) -> WorkflowRuntime:
            runtime = WorkflowRuntime(
                store=options.pop("store", store),
                definitions=[WorkflowDefinition.from_dict(definition) for definition in definitions],
                commands=commands,
                guards=guards,
                observers=options.pop("observers", [heard]),
                clock=options.pop("clock", clock),
                **options,
            )
            return await stack.enter_async_context(runtime)

        yield start


@pytest.fixture
async def wire(postgres_server: Postgres) -> AsyncIterator[Wire]:
    async with Wire(postgres_server.address) as wire:
        yield wire


async def story(runtime: WorkflowRuntime, instance: WorkflowInstance) -> list[str]:
    """The history as `sequence event from>to outcome`, in the order it happened."""
    entries = await runtime.get_history(instance.id)
    return [f"{e.sequence} {e.event} {e.from_state}>{e.to_state} {e.outcome}" for e in reversed(entries)]


@pytest.fixture(name="story")
def story_fixture() -> Callable[[WorkflowRuntime, WorkflowInstance], Awaitable[list[str]]]:
    return story
