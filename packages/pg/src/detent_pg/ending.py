"""How transactions end: who may end them, whether they still can, and who is told afterwards.

SQLAlchemy tells engines and sessions about savepoints, commits and errors. What is noted about a transaction under way is
kept by SQLAlchemy's `Connection`, which one borrower has for himself, so that units, lent connections and events find the same
thing. `Connection.info` would not do: it belongs to the pool's slot, and is handed on while the one who lost his connection
still holds it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias
from weakref import ReferenceType, WeakKeyDictionary, ref

from sqlalchemy import Connection, Engine, ExceptionContext, NestedTransaction, RootTransaction, event, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Session, SessionTransaction

from detent.errors import StoreError
from detent.store.after_commit import AfterCommit
from detent.store.change import Change

Extent: TypeAlias = RootTransaction | NestedTransaction
"""What of a transaction ends together."""

_SAVEPOINT = "SAVEPOINT "


class TransactionEnded(StoreError):
    """A command committed, rolled back or closed what belongs to the whole step; the step was undone."""

    def __init__(self) -> None:
        super().__init__(
            "a command ended the transaction of its step",
            hint="the step commits after its commands; use session.begin_nested() for a part that may fail",
        )


class Ending:
    """What hangs on the commit of one transaction that we commit ourselves."""

    def __init__(self) -> None:
        self.after_commit = AfterCommit()
        """Who is told, savepoint by savepoint."""
        self.changes: list[Change] = []
        """What joined steps wrote; some of it may have been undone with a savepoint since."""
        self._savepoints: list[tuple[str, int]] = []

    @contextmanager
    def noted_on(self, connection: AsyncConnection) -> Iterator[None]:
        """Be found by the events of `connection` inside the block."""
        notes = _notes(connection)
        around, notes.ending = notes.ending, self
        try:
            yield
        finally:
            notes.ending = around

    def savepoint(self, name: str) -> None:
        """A savepoint was set."""
        self._savepoints.append((name, self.after_commit.mark()))

    def released(self, name: str) -> None:
        """A savepoint was released, with those inside it: its callbacks now hang on what is around it."""
        self._close(name)

    def rolled_back(self, name: str) -> None:
        """A savepoint was undone, and so were the reasons to tell anybody."""
        self.after_commit.forget_since(self._close(name))

    def undone(self) -> None:
        """The transaction was rolled back as a whole."""
        self._savepoints.clear()
        self.changes.clear()
        self.after_commit.forget_since(0)

    def committed(self) -> None:
        """The transaction was committed for good."""
        self._savepoints.clear()
        self.changes.clear()
        self.after_commit.run()

    def _close(self, name: str) -> int:
        """Forget a savepoint and those inside it; where its callbacks begin."""
        for index, (found, mark) in enumerate(self._savepoints):
            if found == name:
                del self._savepoints[index:]
                return mark
        return self.after_commit.mark()


@dataclass(slots=True)
class _Notes:
    """What is known about the transaction of one connection."""

    ending: Ending | None = None
    steps: int = 0
    """How many steps are under way."""
    errors: int = 0
    """How many statements have failed."""
    left_open: "ReferenceType[Extent] | None" = None
    """The transaction or savepoint in which one of our savepoints was left open."""


_noted: WeakKeyDictionary[Connection, _Notes] = WeakKeyDictionary()


def ending_of(connection: AsyncConnection) -> Ending | None:
    """The ending noted on `connection`: that of a step of ours, or of `Store.lend`."""
    return _notes(connection).ending


@contextmanager
def step_under_way(connection: AsyncConnection) -> Iterator[None]:
    """Refuse every COMMIT on `connection` inside the block, before it is sent."""
    notes = _notes(connection)
    notes.steps += 1
    try:
        yield
    finally:
        notes.steps -= 1


def errors_on(connection: AsyncConnection) -> int:
    """How many statements have failed on `connection`.

    Where the number grew inside a transaction and no savepoint was undone, PostgreSQL answers COMMIT with a rollback, and the
    driver does not say so.
    """
    return _notes(connection).errors


def note_error(connection: AsyncConnection) -> None:
    """A statement of ours has failed on `connection`, of which SQLAlchemy does not know."""
    _notes(connection).errors += 1


def may_leave_open(connection: AsyncConnection, extent: Extent) -> bool:
    """Whether a savepoint in `extent` may be left to be released with it: the first one. More of them would lie in each other,
    and PostgreSQL looks through all of them for every row.
    """
    notes = _notes(connection)
    if notes.left_open is not None and notes.left_open() is extent:
        return False
    notes.left_open = ref(extent)
    return True


def innermost(connection: AsyncConnection) -> NestedTransaction:
    """The savepoint that `connection` is in."""
    found = connection.sync_connection.get_nested_transaction() if connection.sync_connection else None
    if found is None:
        raise TransactionEnded
    return found


@contextmanager
def session_kept_open(session: Session) -> Iterator[None]:
    """Refuse that a command commits the savepoint a lent session is in now; its own savepoints are its own affair."""
    ending = ending_of_session(session)
    around, ending.kept_open = ending.kept_open, session.get_nested_transaction()
    try:
        yield
    finally:
        ending.kept_open = around


def watch(engine: Engine) -> None:
    """Have the events of `engine` noted; once is enough."""
    for name, listener in _LISTENERS.items():
        if not event.contains(engine, name, listener):
            event.listen(engine, name, listener)


def _refuse_commit(connection: Connection) -> None:
    if _notes_of(connection).steps:
        # After an error here SQLAlchemy takes the transaction for ended and would give the connection back with it open.
        connection.invalidate()
        raise TransactionEnded


def _note_undone(connection: Connection) -> None:
    if ending := _notes_of(connection).ending:
        ending.undone()


def _note_error(context: ExceptionContext) -> None:
    if context.connection is not None:
        _notes_of(context.connection).errors += 1


def _note_savepoint(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    # The event "savepoint" comes before the savepoint has a name.
    if statement.startswith(_SAVEPOINT) and (ending := _notes_of(connection).ending):
        ending.savepoint(statement.removeprefix(_SAVEPOINT))


def _note_release(connection: Connection, name: str, context: object) -> None:  # noqa: ARG001 - the event's signature
    if ending := _notes_of(connection).ending:
        ending.released(name)


def _note_rollback(connection: Connection, name: str, context: object) -> None:  # noqa: ARG001 - the event's signature
    if ending := _notes_of(connection).ending:
        ending.rolled_back(name)


_LISTENERS: dict[str, Callable[..., None]] = {
    "commit": _refuse_commit,
    "rollback": _note_undone,
    "handle_error": _note_error,
    "before_cursor_execute": _note_savepoint,
    "release_savepoint": _note_release,
    "rollback_savepoint": _note_rollback,
}


class SessionEnding:
    """Callbacks that wait for the commit of a session that the application commits."""

    def __init__(self) -> None:
        self.kept_open: SessionTransaction | None = None
        """The savepoint of a step under way, which is not the command's to commit."""
        self._waiting: dict[SessionTransaction, AfterCommit] = {}
        self._committed: set[SessionTransaction] = set()
        self._notes: _Notes | None = None
        self._errors = 0

    def add(self, session: Session, connection: AsyncConnection, callback: Callable[[], None]) -> None:
        """Call `callback` once the session commits on `connection`, unless the savepoint it is in now is undone."""
        self._notes = _notes(connection)
        self._errors = self._notes.errors
        self._waiting.setdefault(_innermost(session), AfterCommit()).add(callback)

    def expect_commit(self, session: Session) -> None:
        """Raise where a command commits what is not its own, and where the application swallowed an error, so that PostgreSQL
        would roll back and say nothing.
        """
        if self.kept_open is not None and session.get_nested_transaction() in (self.kept_open, None):
            raise TransactionEnded
        swallowed = self._notes is not None and self._notes.errors != self._errors
        if swallowed and self._waiting and session.get_nested_transaction() is None:
            session.execute(select(1))

    def note_commit(self, session: Session) -> None:
        """It comes before the transaction closes: of a savepoint after its release, of the root after COMMIT."""
        if self._waiting:
            self._committed.add(_innermost(session))

    def note_end(self, transaction: SessionTransaction) -> None:
        """A transaction or savepoint is over, one way or the other."""
        waiting = self._waiting.pop(transaction, None)
        committed = transaction in self._committed
        self._committed.discard(transaction)
        if waiting is None or not committed:
            return
        if transaction.parent is None:
            waiting.run()
        else:
            self._waiting.setdefault(transaction.parent, AfterCommit()).add(waiting.run)


_sessions: WeakKeyDictionary[Session, SessionEnding] = WeakKeyDictionary()


def ending_of_session(session: Session) -> SessionEnding:
    """The callbacks of `session`."""
    _listen_to_sessions()
    found = _sessions.get(session)
    if found is None:
        found = _sessions[session] = SessionEnding()
    return found


@cache
def _listen_to_sessions() -> None:
    # Once for all of them, from the first one on that is lent: to listen to one costs more than its savepoint.
    for name, listener in _SESSION_LISTENERS.items():
        event.listen(Session, name, listener)


def _expect_session_commit(session: Session) -> None:
    if ending := _sessions.get(session):
        ending.expect_commit(session)


def _note_session_commit(session: Session) -> None:
    if ending := _sessions.get(session):
        ending.note_commit(session)


def _note_session_end(session: Session, transaction: SessionTransaction) -> None:
    if ending := _sessions.get(session):
        ending.note_end(transaction)


_SESSION_LISTENERS: dict[str, Callable[..., None]] = {
    "before_commit": _expect_session_commit,
    "after_commit": _note_session_commit,
    "after_transaction_end": _note_session_end,
}


def _innermost(session: Session) -> SessionTransaction:
    found = session.get_nested_transaction() or session.get_transaction()
    if found is None:
        raise TransactionEnded
    return found


def _notes(connection: AsyncConnection) -> _Notes:
    if connection.sync_connection is None:
        raise TransactionEnded
    return _notes_of(connection.sync_connection)


def _notes_of(connection: Connection) -> _Notes:
    found = _noted.get(connection)
    if found is None:
        found = _noted[connection] = _Notes()
    return found
