"""One SQLite connection and the only thread that ever touches it.

What is submitted runs, in the order it was submitted, whether its caller still waits or was cancelled. So whoever has
submitted BEGIN and is cut off only has to submit ROLLBACK.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeAlias, TypeVar

from detent.errors import StepRolledBack, StoreError, StoreUnavailable
from detent.store.sqlite_query import teach_containment

R = TypeVar("R")

Synchronous: TypeAlias = Literal["OFF", "NORMAL", "FULL", "EXTRA"]
"""How far SQLite waits for the disk: with `FULL` a commit survives a power cut, with `NORMAL` a killed process."""

_SYNCHRONOUS = {
    "OFF": "PRAGMA synchronous = OFF",
    "NORMAL": "PRAGMA synchronous = NORMAL",
    "FULL": "PRAGMA synchronous = FULL",
    "EXTRA": "PRAGMA synchronous = EXTRA",
}

# What comes again however often it is tried.
_HOPELESS: Mapping[int | None, str] = {
    sqlite3.SQLITE_CANTOPEN: "see whether its folder exists, and whether this process may write there",
    sqlite3.SQLITE_READONLY: "let this process write the file and its folder",
    sqlite3.SQLITE_PERM: "let this process write the file and its folder",
    sqlite3.SQLITE_NOTADB: "give the path of a SQLite file, or of one that is not there yet",
    sqlite3.SQLITE_CORRUPT: "restore the file from a backup",
}


class SqliteThread:
    """A connection that is used by awaiting `run`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="detent-sqlite")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Connect, in the thread."""
        await self._submit(self._open)

    async def close(self) -> None:
        """Disconnect after everything that was submitted, and end the thread."""
        await self._submit(self._close)
        self._executor.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` answers, called in the thread. Once submitted it runs, even if the caller is cancelled."""
        return await self._submit(lambda: work(self._connected()))

    async def _submit(self, work: Callable[[], R]) -> R:
        try:
            submitted = asyncio.get_running_loop().run_in_executor(self._executor, work)
        except RuntimeError:
            raise StoreUnavailable("it is closed") from None
        return await asyncio.shield(submitted)

    def _open(self) -> None:
        self._connection = self._connect()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable("it is closed")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def connect_writer(path: str, synchronous: Synchronous, busy_timeout: float) -> sqlite3.Connection:
    """A connection that writes, in WAL mode, with every BEGIN and COMMIT left to us."""
    connection = _connect(path, busy_timeout)
    try:
        [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailable(
                f"{path} cannot be kept in WAL mode, as on a network disk", hint="keep it on a local disk"
            )
        connection.execute(_SYNCHRONOUS[synchronous])
        # For tables of the application that commands write to.
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: str, busy_timeout: float) -> sqlite3.Connection:
    """A connection that sees what is committed, while the writer writes, and cannot write itself."""
    connection = _connect(path, busy_timeout)
    connection.execute("PRAGMA query_only = ON")
    return connection


def begin(connection: sqlite3.Connection, first: Callable[[sqlite3.Connection], R]) -> R:
    """Start a transaction that writes, as soon as no other process does; do `first`.

    IMMEDIATE, because a transaction that starts with reading and finds another writer when it writes fails at once,
    without waiting for `busy_timeout`.
    """
    connection.execute("BEGIN IMMEDIATE")
    return first(connection)


def begin_now(connection: sqlite3.Connection, first: Callable[[sqlite3.Connection], R], busy_timeout: float) -> R:
    """The same, or an error if another process writes now; `busy_timeout` is what the others wait."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")
    return first(connection)


def commit(connection: sqlite3.Connection) -> None:
    """Commit, or roll back and say so."""
    if not connection.in_transaction:
        raise StepRolledBack("SQLite ended the transaction before")
    try:
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise


def rollback(connection: sqlite3.Connection) -> None:
    """Undo everything, if there is anything to undo."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Whatever SQLite raises inside becomes one of ours, told apart by its error code."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the database."""
    return _primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: sqlite3.Error) -> StoreError:
    """The error as one of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    if is_busy(error) or code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return StepRolledBack(str(error))
    if _primary_code(error) == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"the database refused a row: {error}")
    return StoreUnavailable(str(error))


def not_opened(path: str, error: sqlite3.Error) -> StoreUnavailable:
    """The error of opening the file at `path` as one of ours, with advice that fits."""
    reason = f"{path} could not be opened: {error}"
    hint = _HOPELESS.get(_primary_code(error))
    return StoreUnavailable(reason) if hint is None else StoreUnavailable(reason, hint=hint)


def _primary_code(error: sqlite3.Error) -> int | None:
    # The low byte is the kind of error, what lies above tells it more exactly.
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _connect(path: str, busy_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
    connection.row_factory = sqlite3.Row
    teach_containment(connection)
    return connection
