"""`detent db`: bring the tables up to date, look at them, or print their SQL for another tool."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, TypeVar

import rich_click as click
from click.exceptions import Exit
from sqlalchemy.exc import SQLAlchemyError

from detent.errors import DetentError
from detent_pg import migrate
from detent_pg.engine import Connections, make_engine
from detent_pg.faults import sqlstate
from detent_pg.names import Names
from detent_pg.schema import schema_version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """How far a database is."""

    version: int
    """The last migration that was applied."""
    needed: int
    """The one this code needs."""
    pending: tuple[str, ...]
    """The names of those in between."""


def _placed(command: Callable[..., None]) -> Callable[..., None]:
    """With the options that say where the tables are."""
    for option in (
        click.option(
            "--schema",
            envvar="DETENT_DATABASE_SCHEMA",
            show_envvar=True,
            metavar="NAME",
            help="Schema of their own; by default the first of the search path.",
        ),
        click.option(
            "--prefix",
            envvar="DETENT_DATABASE_PREFIX",
            show_envvar=True,
            default="detent_",
            show_default=True,
            metavar="TEXT",
            help="What the names of the tables start with.",
        ),
    ):
        command = option(command)
    return command


def _connected(command: Callable[..., None]) -> Callable[..., None]:
    """With the options that say which database."""
    url = click.option(
        "--database",
        "--url",
        "url",
        envvar="DETENT_DATABASE_URL",
        required=True,
        show_envvar=True,
        metavar="URL",
        help="postgresql://user:password@host/database",
    )
    return url(_placed(click.option("--json", "as_json", is_flag=True, help="Answer JSON.")(command)))


def _plain_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what goes wrong into one line and exit code 1."""

    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except DetentError as error:
            raise click.ClickException(str(error)) from error
        except SQLAlchemyError as error:
            # Its text may quote the URL or parameters.
            raise click.ClickException(f"{type(error).__name__} {sqlstate(error) or ''}".strip()) from error

    return update_wrapper(guarded, command)


@click.group()
def db() -> None:
    """The tables of Detent in PostgreSQL."""


@db.command()
@_connected
@_plain_errors
def upgrade(url: str, prefix: str, schema: str | None, as_json: bool) -> None:
    """Apply the migrations that are missing."""
    names = Names(prefix, schema)
    applied = _run(url, lambda connections: migrate.upgrade(connections, names))
    if as_json:
        click.echo(json.dumps({"applied": list(applied), "version": schema_version}))
    elif applied:
        click.echo(f"applied {', '.join(map(str, applied))}; the schema has version {schema_version}")
    else:
        click.echo(f"nothing to do; the schema has version {schema_version}")


@db.command()
@_connected
@_plain_errors
def status(url: str, prefix: str, schema: str | None, as_json: bool) -> None:
    """Say which version the tables have; exit code 1 when it is not the one this code needs."""
    names = Names(prefix, schema)
    found = _run(url, lambda connections: _status(connections, names))
    if as_json:
        click.echo(json.dumps({"version": found.version, "needed": found.needed, "pending": found.pending}))
    else:
        click.echo(f"the schema has version {found.version}; this code needs {found.needed}")
        for name in found.pending:
            click.echo(f"pending: {name}")
    if found.version != found.needed:
        raise Exit(1)


@db.command()
@_placed
@click.option("--down", is_flag=True, help="Print the way back.")
@click.option("--from", "since", default=0, show_default=True, help="The version to start from.")
@click.option("--format", "style", type=click.Choice(["plain", "dbmate"]), default="plain", show_default=True)
@_plain_errors
def sql(prefix: str, schema: str | None, down: bool, since: int, style: str) -> None:
    """Print the SQL of the migrations, for a tool of your own."""
    if down and style == "dbmate":
        raise click.UsageError("--format dbmate prints both ways; leave --down away")
    up_sql = migrate.schema_sql(prefix=prefix, schema=schema, since=since)
    down_sql = migrate.schema_sql(prefix=prefix, schema=schema, since=since, down=True)
    if style == "dbmate":
        click.echo(f"-- migrate:up\n\n{up_sql}\n-- migrate:down\n\n{down_sql}")
    else:
        click.echo(down_sql if down else up_sql)


async def _status(connections: Connections, names: Names) -> SchemaStatus:
    async with connections.autocommit() as connection:
        version = await migrate.current_version(connection, names)
    pending = tuple(step.name for step in migrate.migrations() if step.number > version)
    return SchemaStatus(version=version, needed=schema_version, pending=pending)


def _run(url: str, work: Callable[[Connections], Awaitable[T]]) -> T:
    return asyncio.run(_with_engine(url, work))


async def _with_engine(url: str, work: Callable[[Connections], Awaitable[T]]) -> T:
    engine = make_engine(url, pool_size=1, max_overflow=0)
    try:
        return await work(Connections(engine))
    finally:
        await engine.dispose()
