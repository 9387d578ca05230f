"""Group commit: what this process creates and applies while a commit is under way goes into the next one, all together.

One turn with the writer takes up to `BATCH` calls in two visits to its thread: BEGIN and read, then write and COMMIT. Between
them they are decided in the event loop. Where nothing has to be read, because callers know their records, one visit does it
all. Nobody is answered before the COMMIT. A store that is idle begins at once.
"""

import asyncio
import sqlite3
from collections.abc import Hashable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any

from detent.errors import StepRolledBack, StoreUnavailable
from detent.store.after_commit import AfterCommit
from detent.store.lanes import Lanes
from detent.store.sqlite_batch_rows import look, write
from detent.store.sqlite_calls import Call
from detent.store.sqlite_file import SqliteFile
from detent.store.sqlite_fold import Decision, decided, without_reading
from detent.store.sqlite_thread import SqliteThread, begin, is_busy, rollback, translated

BATCH = 256
"""How many calls are committed together at most. While they are decided the event loop does nothing else."""
LANE = 1024
"""How many calls of one workflow wait at most; further callers wait to get in."""


class SqliteBatch:
    """The calls that wait for the writer of `file`. `patience` is how many seconds one waits while others hold it."""

    def __init__(self, file: SqliteFile, patience: float) -> None:
        self._file = file
        self._patience = patience
        self._lanes: Lanes[Call] = Lanes(LANE)
        self._draining = False

    async def commit(self, call: Call, lane: Hashable) -> Any:
        """What the call is answered after its commit, or raises what it is to get."""
        writer = self._file.writer()
        await self._lanes.enter(lane, call)
        if not self._draining:
            self._draining = True
            # In a context of its own: it may go on for long after the caller who happened to start it.
            self._file.go_on(self._drain(writer), Context())
        answer, error = await call.answered
        if error is not None:
            raise error
        return answer

    async def _drain(self, writer: SqliteThread) -> None:
        try:
            while await self._turn():
                try:
                    await self._flush(writer, self._lanes.take(BATCH))
                finally:
                    self._file.release_turn()
        finally:
            self._draining = False
            # Nobody is left unless this was cut off; then nobody else would come for them.
            for call in self._lanes.remove(lambda _: True):
                call.answer(None, StoreUnavailable("it was cut off"))

    async def _turn(self) -> bool:
        """Wait for the writer; whether it is held now, and somebody still waits."""
        if not self._lanes:
            return False
        if self._file.take_turn():
            return True
        # A task, which keeps its place among others who wait, however often somebody here gives up.
        turn = asyncio.ensure_future(self._file.wait_turn())
        try:
            while self._lanes and not turn.done():
                await asyncio.wait({turn}, timeout=self._lanes.oldest() + self._patience - _time())
                if not turn.done():
                    self._give_up()
            return _came(turn)
        except BaseException:
            if _came(turn):
                self._file.release_turn()
            raise
        finally:
            turn.cancel()

    def _give_up(self) -> None:
        """Send those away who have waited long enough while others held the writer."""
        since = _time() - self._patience
        for call in self._lanes.remove(lambda call: call.since <= since):
            call.answer(None, call.busy())

    async def _flush(self, writer: SqliteThread, calls: Sequence[Call]) -> None:
        """Commit these calls and answer them; what fails as a whole, fails for each of them."""
        if not calls:
            return
        try:
            decisions = await self._committed(writer, calls)
        except Exception as error:
            for call in calls:
                call.answer(None, _failure(call, error))
            if _is_busy(error):
                self._give_up()
            await _undo(writer)
        except BaseException:
            # Cut off together with its event loop. Whether it was committed is not known here, and nobody is told so.
            for call in calls:
                call.answered.cancel()
            await _undo(writer)
            raise
        else:
            _answer(decisions)

    async def _committed(self, writer: SqliteThread, calls: Sequence[Call]) -> list[Decision]:
        clock, settled = self._file.now, list[Decision]()
        has_begun = any(call.reads for call in calls)
        if has_begun:
            seen = await writer.run(partial(begin, first=partial(look, calls=calls, clock=clock)))
        else:
            seen = without_reading(calls, clock())
        while True:
            # Whoever was cancelled before he was decided for has not begun.
            decisions = decided([one for one in seen if one.call.is_awaited])
            visit = partial(write, decisions=decisions, clock=clock)
            seen = await writer.run(visit if has_begun else partial(begin, first=visit))
            has_begun = True
            settled += [decision for decision in decisions if not decision.again]
            if not seen:
                return settled


def _answer(decisions: Sequence[Decision]) -> None:
    """Tell of what is committed, and let the callers go on."""
    callbacks = AfterCommit()
    for decision in decisions:
        told = decision.call.told(decision.answer) if decision.is_written else None
        if told is not None:
            callbacks.add(partial(decision.call.context.run, told))
    try:
        callbacks.run()
    finally:
        for decision in decisions:
            decision.call.answer(decision.answer, decision.error)


def _failure(call: Call, error: Exception) -> Exception:
    """What the caller gets whose commit failed because of `error`: an error of his own."""
    failure = call.busy() if _is_busy(error) else _ours(error)
    failure.__cause__ = error
    return failure


def _ours(error: Exception) -> Exception:
    if isinstance(error, sqlite3.Error):
        return translated(error)
    return StoreUnavailable(error.reason if isinstance(error, StepRolledBack | StoreUnavailable) else repr(error))


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and is_busy(error)


async def _undo(writer: SqliteThread) -> None:
    with suppress(sqlite3.Error, StoreUnavailable):
        await writer.run(rollback)


def _came(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled()


def _time() -> float:
    return asyncio.get_running_loop().time()
