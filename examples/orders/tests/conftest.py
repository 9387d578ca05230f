"""The shop's database in both kinds, and the things a test turns."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar import Litestar
from sqlalchemy import URL

from detent.testing.clock import FakeClock
from examples.orders.app import Partners, create_app
from examples.orders.gateway import RecordingGateway
from examples.orders.storage import Storage, open_storage
from tests.databases import database_beside


@pytest.fixture(scope="session")
async def orders_url(postgres_url: URL) -> AsyncIterator[str]:
    async with database_beside(postgres_url) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "orders.db")
    return str(request.getfixturevalue("orders_url"))


@pytest.fixture
async def storage(database: str) -> AsyncIterator[Storage]:
    async with open_storage(database) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gateway() -> RecordingGateway:
    return RecordingGateway()


@pytest.fixture
def app(storage: Storage, clock: FakeClock, gateway: RecordingGateway) -> Litestar:
    return create_app(storage, partners=Partners(gateway=gateway), clock=clock, sweep_every=None)
