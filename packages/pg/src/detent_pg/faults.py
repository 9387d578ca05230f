"""What a database error means for a step: retried, refused, or none of our business.

Errors are told apart by the state of the connection and by SQLSTATE, never by class name or text: with asyncpg a deadlock, a
lock timeout and a lost connection all arrive as plain `DBAPIError`, and none as `OperationalError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from detent.errors import DetentError, InstanceBusy, StepRolledBack, StoreError, StoreUnavailable

RECEIPT_TAKEN = "23502"
"""What the write statement makes of an unexpired receipt in its way: a null where none may be."""
EFFECT_LOST = "22012"
"""What it makes of a lease that is lost, or of a message that is gone: a division by zero."""
DUPLICATE = "23505"
LOCK_TIMEOUT = "55P03"

_ROLLED_BACK = {"40001": "it conflicted with another transaction", "40P01": "it was the victim of a deadlock"}
_ABORTED = "25P02"
_CANCELLED = "57014"
# 08: connection exceptions; 57P01/02: the backend was terminated; 25P03: it idled in a transaction for too long.
_LOST_CLASSES = ("08", "57P01", "57P02", "25P03")
# 57P03: starting or shutting down; 53: out of connections, memory or disk.
_UNAVAILABLE_CLASSES = ("57P03", "53")
_NO_DATABASE = "3D000"
_NOT_LET_IN = ("28000", "28P01")
_CHECK_URL = "check the URL of the database"


class ConnectionLost(StepRolledBack):
    """The connection broke. Before COMMIT, and outside autocommit, that is a step rolled back like any other."""

    def __init__(self) -> None:
        super().__init__("the connection to the database was lost")


class RowHeld(StepRolledBack):
    """A statement waited too long for a row that is not the step's instance."""

    def __init__(self) -> None:
        super().__init__("a row it needed was held by another transaction")


class TransactionAborted(StoreError):
    """A statement failed inside the step and its error was swallowed, so that nothing of the step can be committed."""

    def __init__(self) -> None:
        super().__init__(
            "a database error inside the step was swallowed, and PostgreSQL will not commit after it",
            hint="let the error rise, or put the statement into a savepoint (session.begin_nested())",
        )


def sqlstate(error: BaseException) -> str | None:
    """The five characters by which PostgreSQL names the error, where it is one of its own."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(driver, "sqlstate", None) or getattr(driver.__cause__ if driver else None, "sqlstate", None)
    return str(found) if found else None


def said(error: BaseException) -> str:
    """What PostgreSQL says of the error, in its own words and one line: no SQL, no parameters."""
    driver = error.orig if isinstance(error, DBAPIError) else error
    for source in (driver, driver.__cause__ if driver else None):
        if isinstance(source, asyncpg.PostgresError):
            return str(getattr(source, "message", None) or source).partition("\n")[0]
    return sqlstate(error) or type(error).__name__


def translate(error: BaseException, instance_id: UUID | None = None) -> DetentError | None:
    """What `error`, raised by a statement, means for the step; `None` when it is not about the step (a constraint, a typo)."""
    if isinstance(error, DBAPIError | asyncpg.PostgresError):
        return _translate_state(error, instance_id)
    # What asyncpg raises without PostgreSQL's word: a statement that exceeded `command_timeout`, a socket that broke, also while
    # it was preparing a statement.
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return ConnectionLost()
    return None


def _translate_state(error: Exception, instance_id: UUID | None) -> DetentError | None:
    state = sqlstate(error) or ""
    if getattr(error, "connection_invalidated", False) or state.startswith(_LOST_CLASSES):
        return ConnectionLost()
    if state in _ROLLED_BACK:
        return StepRolledBack(_ROLLED_BACK[state])
    if _plan_changed(error):
        return StepRolledBack("the tables were altered under a prepared statement")
    if state == LOCK_TIMEOUT:
        return RowHeld() if instance_id is None else InstanceBusy(instance_id)
    if state.startswith(_UNAVAILABLE_CLASSES):
        return StoreUnavailable(f"PostgreSQL refused with {state}")
    return TransactionAborted() if state == _ABORTED else None


def _plan_changed(error: Exception) -> bool:
    # The dialect drops the SQLSTATE of this one, which PostgreSQL shares with every unsupported feature (0A000).
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None and not isinstance(cause, asyncpg.InvalidCachedStatementError):
        cause = cause.__cause__
    return cause is not None


@contextmanager
def translated(instance_id: UUID | None = None) -> Iterator[None]:
    """Around one of our own statements: raises what its failure means for the step on `instance_id`."""
    try:
        yield
    except DetentError:
        raise
    except Exception as error:
        meaning = translate(error, instance_id)
        if meaning is None and sqlstate(error) == _CANCELLED:
            meaning = StoreUnavailable("PostgreSQL cancelled the statement, which took too long")
        if meaning is None:
            raise
        raise meaning from error


@contextmanager
def unreachable(url: URL) -> Iterator[None]:
    """Around taking a connection to `url`: raises `StoreUnavailable` for whatever stood in the way, without the password."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("no connection of the pool became free in time") from error
    except OSError as error:
        raise StoreUnavailable(f"no connection to PostgreSQL: {str(error) or type(error).__name__}") from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        raise _refusal(sqlstate(error) or "no reason", url) from error
    except (TypeError, ValueError, OverflowError, asyncpg.InterfaceError) as error:
        # A parameter that asyncpg does not know, a host name that cannot be one, a port beyond 65535.
        raise StoreUnavailable(f"the URL cannot be used: {error}", hint=_CHECK_URL) from error
    except Exception as error:
        raise StoreUnavailable(f"no connection to PostgreSQL: {type(error).__name__}") from error


def _refusal(state: str, url: URL) -> StoreUnavailable:
    """In words, where it is no use to try again."""
    if state == _NO_DATABASE:
        return StoreUnavailable(f"there is no database {url.database or url.username!r}", hint=_CHECK_URL)
    if state in _NOT_LET_IN:
        user = f"user {url.username!r}" if url.username else "the user"
        return StoreUnavailable(f"PostgreSQL does not let {user} in", hint=_CHECK_URL)
    return StoreUnavailable(f"PostgreSQL refused the connection with {state}")
