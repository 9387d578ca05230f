"""An agency on a SQLite file of the test, with a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from detent import SqliteStore, WorkflowRuntime
from detent.testing import FakeClock
from examples.travel.agency import Agency


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def agency(tmp_path: Path, clock: FakeClock) -> Agency:
    return Agency(SqliteStore(tmp_path / "travel.db"), clock=clock)


@pytest.fixture
async def runtime(agency: Agency) -> AsyncIterator[WorkflowRuntime]:
    async with agency.open() as opened:
        yield opened
