"""The store that a database's URL names: SQLite here, and what other packages offer by entry points in `detent.stores`."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import rich_click as click

from detent.cli.modules import failure
from detent.cli.terminal import one_line
from detent.errors import DetentError
from detent.store.protocol import Store
from detent.store.sqlite import SqliteStore

ENTRY_POINT_GROUP = "detent.stores"
"""The entry point group in which packages say what makes a store of a URL, under the URL's scheme.

It is called with the URL, and with `schema` and `prefix` by name where the user said these.
"""

_INSTANCES = "detent_instances"
_ALSO = {"postgres": "postgresql"}
_PACKAGES = {"postgresql": "detent-pg"}


def store_at(url: str, *, schema: str | None = None, prefix: str | None = None) -> Store:
    """A store in the database at `url`, not yet opened: `sqlite:///file`, or `postgresql://…` with `detent-pg` installed.

    `schema` and `prefix` say where its tables are, unless they have their usual names. Raises `ClickException` for anything
    else, and for a SQLite file that is not there: looking at it would make it. What it says never quotes the URL, which may
    hold a password.
    """
    places = {name: said for name, said in (("schema", schema), ("prefix", prefix)) if said is not None}
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise click.ClickException(
            "the database is no URL, such as postgresql://user:password@host/database or sqlite:///file.db"
        )
    scheme = scheme.partition("+")[0]
    if scheme != "sqlite":
        offered: Store = _offered(_ALSO.get(scheme, scheme), url, places)
        return offered
    if places:
        raise click.ClickException(f"the tables of a SQLite file have one name: leave --{' and --'.join(places)} away")
    return _sqlite(rest)


def _sqlite(rest: str) -> SqliteStore:
    path = Path(rest.removeprefix("/"))
    if not rest.startswith("/") or not path.is_file():
        hint = "write sqlite:///file.db, or sqlite:////var/lib/file.db with its full path"
        raise click.ClickException(one_line(f"there is no SQLite file {str(path)!r} ({hint})"))
    if not _is_ours(path):
        raise click.ClickException(one_line(f"the file {str(path)!r} holds no tables of Detent (is it the right one?)"))
    return SqliteStore(path)


def _is_ours(path: Path) -> bool:
    """Whether a file has the table of instances; opening a store would make it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_INSTANCES,))
            return found.fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def _offered(scheme: str, url: str, places: Mapping[str, str]) -> Any:
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}.get(scheme)
    if found is None:
        package = _PACKAGES.get(scheme)
        hint = f"install {package}" if package else "postgresql:// and sqlite:/// are known"
        raise click.ClickException(one_line(f"no installed package opens {scheme}:// databases ({hint})"))
    try:
        made = found.load()
    except Exception as error:  # a package may fail in any way while it is imported
        raise click.ClickException(failure(f"{found.value} cannot be loaded", error)) from error
    try:
        return made(url, **places)
    except DetentError:
        raise
    except Exception as error:  # whatever reads the URL may quote it
        raise click.ClickException(f"the URL of the database cannot be read: {type(error).__name__}") from None
