"""One transaction of the journal store: what it wrote so far, and who is told when it commits."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from detent.json_values import JsonValue, copy_value, json_value
from detent.store.after_commit import AfterCommit
from detent.store.change import Change, PutReceipt, Removal
from detent.store.copies import (
    copy_archive_entry,
    copy_delivery,
    copy_entry,
    copy_instance,
    copy_message,
    copy_receipt,
    copy_run,
    copy_snapshot,
)
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import DefinitionSnapshot
from detent.store.run_records import Run
from examples.own_store.ledger import Ledger, apply
from examples.own_store.operations import (
    Define,
    Drop,
    DropValues,
    Operation,
    PruneHistory,
    PruneReceipts,
    Put,
    PutClaims,
    PutDelivery,
    PutMessage,
    PutRun,
    PutValue,
    Remove,
    Step,
)
from examples.own_store.rows import Rows


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

    def put_step(self, change: Change) -> None:
        """Write the instance, the history entries and the receipts of a change."""
        entries = tuple(copy_entry(entry) for entry in change.entries)
        receipts = tuple(copy_receipt(effect.receipt) for effect in change.effects_of(PutReceipt))
        if entries or receipts:
            self._do(Step(copy_instance(change.instance), entries, receipts))

    def put_run(self, run: Run) -> Run:
        """Begin a run, or write what it is now; answers it."""
        self._do(PutRun(copy_run(run)))
        return run

    def put_message(self, message: InboxMessage) -> None:
        """Keep a message behind all others, or write what it is now, in its place."""
        kept = self.rows.messages.get(message.id)
        self._do(PutMessage(replace(copy_message(message), number=kept.number if kept else self._next_number())))

    def put_delivery(self, delivery: Delivery) -> Delivery:
        """Keep a delivery behind all others, or write what it is now, in its place; answers it."""
        kept = self.rows.deliveries.get(delivery.id)
        stored = replace(copy_delivery(delivery), number=kept.number if kept else self._next_number())
        self._do(PutDelivery(stored))
        return copy_delivery(stored)

    def drop(self, table: Literal["runs", "messages", "deliveries"], ids: Sequence[UUID]) -> int:
        """Take out rows that are there; answers how many."""
        if ids:
            self._do(Drop(table, tuple(ids)))
        return len(ids)

    def put_value(self, instance_id: UUID, ref: str, value: JsonValue) -> None:
        """Keep a value beside an instance, in the place of what is there."""
        self._do(PutValue(instance_id, ref, copy_value(value)))

    def drop_values(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out values that are there; answers how many."""
        # Listed first: the keys of what is there are fewer afterwards.
        gone = tuple(refs)
        if gone:
            self._do(DropValues(instance_id, gone))
        return len(gone)

    def put_claims(self, queue: str, instants: tuple[datetime, ...]) -> None:
        """Remember when runs of a queue were claimed."""
        self._do(PutClaims(queue, instants))

    def remove(self, removal: Removal) -> bool:
        """Take an instance out, if it is there and has the expected version; says whether."""
        expected = self.rows.version(removal.entry.instance_id) == removal.expected_version
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
            apply(self._operations, self._ledger.draft)

    def _next_number(self) -> int:
        return self.rows.last_number + 1
