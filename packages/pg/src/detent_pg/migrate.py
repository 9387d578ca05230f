"""Bringing the schema up to date: numbered steps of plain SQL, and a table that remembers which were applied.

A step is a file `NNNN_name.up.sql` with its `.down.sql`. In them `{schema}` stands for the quoted schema and its dot, or for
nothing, and `{prefix}` for the prefix of every name; both come from `Names`, which lets only plain identifiers through.
Each step is applied in a transaction of its own, under an advisory lock, so that processes that start together take turns.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.errors import StoreError, StoreOutdated
from detent_pg.engine import Connections
from detent_pg.faults import said, translated
from detent_pg.names import Names
from detent_pg.schema import schema_version, tables


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step, with its placeholders."""

    number: int
    name: str
    up: str
    down: str

    def up_sql(self, names: Names) -> str:
        """The step, and the row that remembers it."""
        remember = f"INSERT INTO {names.quoted('schema_version')} (version) VALUES ({self.number});\n"  # noqa: S608 - checked by Names
        return f"{_schema_sql(names)}{_filled(self.up, names)}\n{remember}"

    def down_sql(self, names: Names) -> str:
        """The way back, after forgetting the step."""
        forget = f"DELETE FROM {names.quoted('schema_version')} WHERE version = {self.number};\n"  # noqa: S608 - checked by Names
        return f"{forget}\n{_filled(self.down, names)}"


@cache
def migrations() -> tuple[Migration, ...]:
    """All steps, the first one first."""
    folder = files("detent_pg") / "migrations"
    ups = sorted(file.name for file in folder.iterdir() if file.name.endswith(".up.sql"))
    return tuple(
        Migration(
            number=int(up.partition("_")[0]),
            name=up.removesuffix(".up.sql"),
            up=(folder / up).read_text(encoding="utf-8"),
            down=(folder / up.replace(".up.sql", ".down.sql")).read_text(encoding="utf-8"),
        )
        for up in ups
    )


def schema_sql(*, prefix: str = "detent_", schema: str | None = None, since: int = 0, down: bool = False) -> str:
    """The SQL that brings a database from version `since` to the newest, or (`down`) from the newest back to it.

    For migration tools of your own. Running it again fails at once, and changes nothing inside a transaction.
    """
    names = Names(prefix, schema)
    steps = [step for step in migrations() if step.number > since]
    if down:
        return "\n".join(_titled(step, step.down_sql(names)) for step in reversed(steps))
    return "\n".join(_titled(step, step.up_sql(names)) for step in steps)


async def current_version(connection: AsyncConnection, names: Names) -> int:
    """The number of the last step that was applied; 0 for an empty database."""
    table = tables(names).schema_version
    with _refused("to tell the version of the schema"):
        if await connection.scalar(select(func.to_regclass(names.quoted("schema_version")))) is None:
            return 0
        return await connection.scalar(select(func.coalesce(func.max(table.c.version), 0))) or 0


async def upgrade(connections: Connections, names: Names) -> Sequence[int]:
    """Apply what is missing and answer the numbers; raises `StoreOutdated` for a database that is ahead of this code."""
    applied = []
    while (number := await _step(connections, names)) is not None:
        applied.append(number)
    return applied


async def downgrade(connections: Connections, names: Names, *, to: int) -> Sequence[int]:
    """Undo the steps after `to`, with all that is stored in what they made; answers their numbers."""
    undone = []
    for step in reversed(migrations()):
        async with connections.transaction() as connection:
            if await _locked_version(connection, names) != step.number or step.number <= to:
                continue
            await _run(connection, step.down_sql(names))
            await connection.commit()
            undone.append(step.number)
    return undone


async def _step(connections: Connections, names: Names) -> int | None:
    """Apply the next step; `None` when there is none."""
    async with connections.transaction() as connection:
        version = await _locked_version(connection, names)
        if version > schema_version:
            raise StoreOutdated(version, schema_version, upgrade=names.upgrade)
        following = next((step for step in migrations() if step.number > version), None)
        if following is None:
            return None
        await _run(connection, following.up_sql(names))
        await connection.commit()
        return following.number


async def _locked_version(connection: AsyncConnection, names: Names) -> int:
    """The version, while nobody else may change it. The lock is the first statement, which also sends BEGIN."""
    # Of the schema alone: whoever comes first with any prefix creates it.
    digest = hashlib.blake2b((names.schema or "").encode(), digest_size=8, person=b"detent_pg").digest()
    lock = int.from_bytes(digest, "big", signed=True)
    with _refused("to take turns"):
        await connection.execute(select(func.pg_advisory_xact_lock(lock)))
    return await current_version(connection, names)


async def _run(connection: AsyncConnection, script: str) -> None:
    """Run several statements, which only the driver's simple protocol takes."""
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    with _refused("the migration"):
        await driver.execute(script)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Raise `StoreError` with PostgreSQL's own words, and without the SQL, for what it refuses."""
    try:
        with translated():
            yield
    except (DBAPIError, asyncpg.PostgresError) as error:
        raise StoreError(f"PostgreSQL refused {what}: {said(error)}") from error


def _filled(text: str, names: Names) -> str:
    place = f'"{names.schema}".' if names.schema else ""
    return text.replace("{schema}", place).replace("{prefix}", names.prefix)


def _schema_sql(names: Names) -> str:
    return f'CREATE SCHEMA IF NOT EXISTS "{names.schema}";\n\n' if names.schema else ""


def _titled(step: Migration, sql: str) -> str:
    return f"-- {step.name}\n\n{sql}"
