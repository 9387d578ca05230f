"""Reading and writing for many calls in one visit to the thread of the writer."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

from detent.errors import StepRolledBack
from detent.store.change import Change
from detent.store.records import WorkflowInstance
from detent.store.sqlite_calls import Call
from detent.store.sqlite_fold import Decision, Seen
from detent.store.sqlite_rows import has_version, read_instance, read_receipt, write_change
from detent.store.sqlite_thread import commit, translated


def look(connection: sqlite3.Connection, calls: Sequence[Call], clock: Callable[[], datetime]) -> list[Seen]:
    """What each call is decided over. What cannot be read is the matter of its own call alone."""
    # The clock is read after the wait for the writer, and the receipts by that clock.
    now = clock()
    return [_look(connection, call, call.now or now) for call in calls]


def write(connection: sqlite3.Connection, decisions: Sequence[Decision], clock: Callable[[], datetime]) -> list[Seen]:
    """Write what was decided, each change whole or not at all, and commit; or answer what has to be decided again before."""
    for decision in decisions:
        if not _is_right(connection, decision):
            decision.stands, decision.again = False, True
        elif decision.change is not None:
            _write(connection, decision, decision.change)
    again = [decision.call for decision in decisions if decision.again]
    if again:
        return look(connection, again, clock)
    commit(connection)
    return []


def _look(connection: sqlite3.Connection, call: Call, now: datetime) -> Seen:
    try:
        return Seen(call, _read(connection, call), read_receipt(connection, call.key, now), now)
    except Exception as error:
        return Seen(call, None, None, now, _ours(error))


def _read(connection: sqlite3.Connection, call: Call) -> WorkflowInstance | None:
    if not call.takes_record:
        return None
    if call.known is not None and _is_stored(connection, call.known):
        return call.known
    return read_instance(connection, call.instance_id)


def _is_right(connection: sqlite3.Connection, decision: Decision) -> bool:
    if decision.assumes is not None and not _is_stored(connection, decision.assumes):
        return False
    return all(earlier.stands for earlier in decision.leans_on)


def _is_stored(connection: sqlite3.Connection, record: WorkflowInstance) -> bool:
    # Nobody writes a record and leaves its version as it was.
    return has_version(connection, record.id, record.version)


def _write(connection: sqlite3.Connection, decision: Decision, change: Change) -> None:
    try:
        existing = write_change(connection, change, decision.now)
    except Exception as error:
        if not connection.in_transaction:
            # A full disk, for one, makes SQLite roll back by itself, and what was written before is gone as well.
            raise StepRolledBack(f"SQLite ended the transaction: {error}") from error
        decision.fail(_ours(error))
    else:
        if existing is not None:
            decision.answer, decision.stands = existing, False


def _ours(error: Exception) -> Exception:
    return translated(error) if isinstance(error, sqlite3.Error) else error
