"""One transaction of the journal store, and the ledger that it commits into."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from detent.errors import OutcomeUnknown, StepRolledBack, StoreError, StoreUnavailable
from detent.json_values import JsonValue, json_value
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, Removal
from detent.store.copies import copy_archive_entry, copy_entry, copy_instance, copy_receipt, copy_snapshot, copy_value
from detent.store.local_unit import LocalUnit
from detent.store.protocol import Existing
from detent.store.records import DefinitionSnapshot
from examples.own_store.journal import Journal, TornWrite
from examples.own_store.rows import (
    Define,
    Operation,
    PruneHistory,
    PruneReceipts,
    Put,
    Remove,
    Rows,
    Step,
    from_line,
    to_line,
)


class Ledger:
    """An open journal, the rows it tells of, and a draft of them: the same rows and what the one transaction wrote."""

    def __init__(self, path: Path) -> None:
        """Read the journal; raises `OSError` and `ValueError`."""
        self.journal = Journal(path)
        self.committed = Rows()
        try:
            for line in self.journal.read():
                _apply(from_line(line), self.committed)
        except BaseException:
            self.journal.close()
            raise
        self.draft = self.committed.copy()

    async def commit(self, operations: list[Operation]) -> None:
        """Write the journal first, and only then let others see it."""
        if operations:
            try:
                await asyncio.to_thread(self.journal.append, to_line(operations))
            except TornWrite as error:
                raise _unknown(operations) from error
            except (OSError, ValueError) as error:  # ValueError: the file was closed
                raise StoreUnavailable(str(error)) from error
        _apply(operations, self.committed)


class JournalTransaction:
    """What a command writes with, and what `JournalStore.begin()` lends. There is one at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._operations: list[Operation] = []
        self._after_commit = AfterCommit()
        self._open = True

    def put(self, key: str, value: JsonValue) -> None:
        """Keep a value under `key`: committed or undone with the step."""
        self._do(Put(key, json_value(value, key)))

    def get(self, key: str) -> JsonValue:
        """What is kept under `key`, as this transaction sees it; `None` when there is nothing."""
        return copy_value(self.rows.values.get(key))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that is undone by itself when its body raises: what was written, and what waited for the commit."""
        written, mark = len(self._operations), self._after_commit.mark()
        try:
            yield
        except BaseException:
            self._undo_since(written)
            self._after_commit.forget_since(mark)
            raise

    @property
    def rows(self) -> Rows:
        """The rows as this transaction sees them."""
        if not self._open:
            raise RuntimeError("this transaction has ended")
        return self._ledger.draft

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back yet."""
        return self._open

    def belongs_to(self, ledger: Ledger) -> bool:
        """Whether it would commit into this ledger."""
        return self._ledger is ledger

    def write(self, change: Change) -> Existing | None:
        """Write a change; raises `StepRolledBack`, with nothing written, where it lost a race."""
        for effect in change.effects:
            # The instant of the step is the new receipt's own: a creation carries no other.
            taken = self.rows.recall(effect.receipt.key, effect.receipt.created_at)
            if taken and change.expected_version == 0:
                return taken
            if taken:
                raise StepRolledBack(f"the idempotency key {effect.receipt.key.key!r} was answered meanwhile")
        version = self._version(change.instance.id)
        if version != change.expected_version:
            raise StepRolledBack(f"instance {change.instance.id} has version {version}, not {change.expected_version}")
        entries = tuple(copy_entry(entry) for entry in change.entries)
        receipts = tuple(copy_receipt(effect.receipt) for effect in change.effects)
        self._do(Step(copy_instance(change.instance), entries, receipts))
        return None

    def remove(self, removal: Removal) -> bool:
        """Take an instance out, if it is there and has the expected version; says whether."""
        expected = self._version(removal.entry.instance_id) == removal.expected_version
        if expected:
            self._do(Remove(copy_archive_entry(removal.entry)))
        return expected

    def prune_history(self, instance_id: UUID, before: datetime) -> int:
        """Take out entries from before an instant, up to the first that is not, and never the last; answers how many."""
        entries = self.rows.history.get(instance_id, [])
        old = next((index for index, entry in enumerate(entries) if entry.created_at >= before), len(entries) - 1)
        if old > 0:
            self._do(PruneHistory(instance_id, entries[old].sequence))
        return max(0, old)

    def prune_receipts(self, now: datetime, limit: int) -> int:
        """Take out up to `limit` receipts that have expired at `now`; answers how many."""
        expired = [key for key, receipt in self.rows.receipts.items() if receipt.expires_at <= now][:limit]
        if expired:
            self._do(PruneReceipts(tuple(expired)))
        return len(expired)

    def define(self, snapshot: DefinitionSnapshot) -> DefinitionSnapshot:
        """Store a version unless it is stored; answers what is."""
        name = snapshot.workflow, snapshot.version
        if name not in self.rows.definitions:
            self._do(Define(copy_snapshot(snapshot)))
        return copy_snapshot(self.rows.definitions[name])

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after the commit, unless a savepoint around this moment is undone."""
        self._after_commit.add(callback)

    async def commit(self) -> None:
        """Take nothing more, and make it durable and visible; or raise, and it is as if nothing had been written."""
        self._open = False
        try:
            await self._ledger.commit(self._operations)
        except BaseException:
            self._undo_since(0)
            raise
        # A savepoint that is still open around this has nothing left to undo.
        self._operations = []

    def report(self) -> None:
        """Call what waited for the commit."""
        self._after_commit.run()

    def rollback(self) -> None:
        """Take nothing more, and forget everything."""
        self._open = False
        self._undo_since(0)

    def _do(self, operation: Operation) -> None:
        operation.apply_to(self.rows)
        self._operations.append(operation)

    def _undo_since(self, written: int) -> None:
        # Undoing is rare: it makes the draft anew, so that no operation has to know its opposite.
        if len(self._operations) > written:
            del self._operations[written:]
            self._ledger.draft = self._ledger.committed.copy()
            _apply(self._operations, self._ledger.draft)

    def _version(self, instance_id: UUID) -> int:
        found = self.rows.instances.get(instance_id)
        return found.version if found else 0


class JournalUnit(LocalUnit[JournalTransaction]):
    """One step inside a transaction; see `Unit`."""

    async def _write(self, change: Change) -> Existing | None:
        return self.connection.write(change)


def _apply(operations: list[Operation], rows: Rows) -> None:
    for operation in operations:
        operation.apply_to(rows)


def _unknown(operations: list[Operation]) -> StoreError:
    for operation in operations:
        if isinstance(operation, Step):
            return OutcomeUnknown(operation.instance.id, operation.instance.version - len(operation.entries))
    return StoreError("it is not known whether the commit was written", hint="open the store again")
