"""What the store says to PostgreSQL: records in, records out, one method for each statement.

A pen belongs to a store and is used on whatever line it is handed. Every failure leaves it as what it means for the
step (`faults`), or unchanged when it means nothing for it.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import ClauseElement

from detent.errors import StepRolledBack
from detent.store.change import Change, PutReceipt
from detent.store.messages import InboxMessage
from detent.store.protocol import Existing
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import Run
from detent_pg import rows
from detent_pg.archive import Archive
from detent_pg.definitions import Definitions
from detent_pg.effects import Instants, kinds_of, parameters_of
from detent_pg.faults import DUPLICATE, RECEIPT_TAKEN, RowHeld, translated
from detent_pg.fold import Fold, folded
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.message_rows import message_of
from detent_pg.refusals import EffectLost, IdTaken, KeyAnswered, KeyHeld, raise_refused
from detent_pg.rows import Row
from detent_pg.run_rows import run_of
from detent_pg.schema import Tables
from detent_pg.statements import evidence, finding, inbox, locking, reading, runs, writing
from detent_pg.statements.arrays import columns
from detent_pg.statements.effects import Kinds
from detent_pg.statements.writing import Rows
from detent_pg.time import LearntClock

logger = logging.getLogger("detent.store")

_NO_END = 2**31 - 1
_NO_KEY = (None, None, None)


class Look(Protocol):
    """What somebody wants to read."""

    @property
    def instance_id(self) -> UUID: ...

    @property
    def key(self) -> ReceiptKey | None: ...

    @property
    def now(self) -> datetime | None: ...


@dataclass(slots=True)
class Seen:
    """What a read found."""

    record: WorkflowInstance
    receipt: Receipt | None
    now: datetime
    """The given instant, else the database's."""
    clock: datetime
    """The database's, in any case."""


Found: TypeAlias = Seen | Exception | None
"""What became of one look among many."""


class Pen:
    """Reads and writes records on a line."""

    def __init__(self, tables: Tables, limits: Limits, clock: LearntClock) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._clock = clock
        self.archive = Archive(tables, limits)
        self.definitions = Definitions(tables)

    async def read(
        self, line: Line, instance_id: UUID, key: ReceiptKey | None = None, now: datetime | None = None
    ) -> Seen | None:
        """The committed record and the receipt under `key`."""
        statement = reading.read(self._tables, keyed=key is not None)
        row = await self._clocked(line, statement, {"id": instance_id} | _key(key, now), instance_id)
        return _seen(row, now) if row else None

    async def lock(
        self,
        line: Line,
        instance_id: UUID,
        key: ReceiptKey | None,
        now: datetime | None,
        *,
        wait: bool = True,
        lent: bool = False,
    ) -> Seen | None:
        """The same, holding the row until the end of the transaction; raises `InstanceBusy`."""
        statement = locking.lock(self._tables, keyed=key is not None, wait=wait, lent=lent)
        parameters = {"id": instance_id} | self._limits | _key(key, now)
        row = await self._clocked(line, statement, parameters, instance_id)
        if row is None:
            return None
        seen = _seen(row, now)
        if key is None or row["seen"] == row["version"]:
            return seen
        # It waited: the row is what the step before left, but the receipt beside it is from before the wait.
        return replace(seen, receipt=await self.receipt(line, key, now))

    async def read_all(self, line: Line, asked: Sequence[Look], *, timeout: float | None = None) -> list[Found]:
        """The committed record for each of `asked`, with the receipt under its key; `None` where there is no such instance, and
        an error for a row that cannot be read.
        """
        if any(look.key is not None for look in asked):
            return await self._read_keyed(line, asked, timeout)
        statement, wanted = self._unkeyed({look.instance_id for look in asked})
        found = await self._read_clocked(line, statement, wanted, timeout)
        by_id = {row["id"]: row for row in found}
        rows_found = (by_id.get(look.instance_id) for look in asked)
        return [None if row is None else _found(row, look.now) for row, look in zip(rows_found, asked, strict=True)]

    async def receipt(self, line: Line, key: ReceiptKey, now: datetime | None) -> Receipt | None:
        """The unexpired receipt under `key`."""
        return rows.receipt_of(await self._row(line, reading.receipt(self._tables), _key(key, now), None))

    async def write(
        self,
        line: Line,
        changes: Sequence[Change],
        rows_are: Rows,
        *,
        now: Instants = None,
        limits: Limits | None = None,
    ) -> set[UUID]:
        """Update the instances that still have the expected version; answers which. Raises `KeyAnswered` for a taken key, and
        `EffectLost` where a lease is lost (at `now`, else by the database's clock) or a message is gone.

        Changes of one instance that follow each other are written as one. Where none of them has entries only the effects are
        written, under the same condition.
        """
        folds = folded(changes)
        steps = [fold for fold in folds if fold.has_entries]
        others = [fold for fold in folds if not fold.has_entries]
        written: set[UUID] = set()
        if steps:
            written |= await self._fenced(line, writing.write, steps, rows_are, now, limits)
        if others:
            written |= await self._fenced(line, writing.put, others, rows_are, now, limits)
        return written

    async def create(self, line: Line, change: Change, *, lent: bool = False) -> bool:
        """Insert an instance; whether that was done, or its key is taken. Raises `IdTaken`, and `KeyHeld` when that
        would take long.
        """
        return bool(await self.create_all(line, [change], lent=lent))

    async def create_all(
        self, line: Line, changes: Sequence[Change], *, lent: bool = False, limits: Limits | None = None
    ) -> set[UUID]:
        """Insert instances, each under keys that no other one of them has; answers those whose keys were not taken.

        Raises as `create` does, when one of them is the reason.
        """
        kinds = kinds_of(changes)
        created = [(*rows.instance_values(c.instance), len(c.effects_of(PutReceipt))) for c in changes]
        one = len(created) == len(changes[0].entries) == 1
        parameters = columns("created", (*rows.INSTANCE, "asked"), created, shares=True, one=one)
        parameters |= self._beside(changes, kinds, None, limits, one=one)
        statement = writing.create(self._tables, lent=lent, kinds=kinds, one=one)
        try:
            with translated():
                found = await line.fetch(statement, parameters, timeout=_patience(limits))
        except RowHeld as error:
            raise KeyHeld from error
        except asyncpg.PostgresError as error:
            if error.sqlstate == DUPLICATE:
                raise IdTaken(changes[0].instance.id) from error
            raise_refused(error)
        return {row["id"] for row in found if row["id"] is not None}

    async def existing(self, line: Line, change: Change) -> Existing:
        """What holds the key of a creation that wrote nothing; raises `StepRolledBack` when it is gone by now."""
        [found] = await self.existing_all(line, [change])
        if found is None:
            raise StepRolledBack("its idempotency key was let go this very moment")
        return found

    async def existing_all(
        self, line: Line, changes: Sequence[Change], *, timeout: float | None = None
    ) -> list[Existing | None]:
        """The same for each of many creations, `None` for what is gone by now; `timeout` in seconds."""
        receipts = [rows.receipts_of([change]) for change in changes]
        asked = [(receipt.key, receipt.created_at) for own in receipts for receipt in own]
        found = iter(await self.recall_all(line, asked, timeout=timeout))
        return [next((one for one in list(islice(found, len(own))) if one), None) for own in receipts]

    async def recall(self, line: Line, key: ReceiptKey, now: datetime | None) -> Existing | None:
        """The unexpired receipt under `key` with its instance."""
        row = await self._row(line, reading.existing(self._tables), _key(key, now), None)
        return None if row is None else _existing(row)

    async def recall_all(
        self, line: Line, asked: Sequence[tuple[ReceiptKey, datetime | None]], *, timeout: float | None = None
    ) -> list[Existing | None]:
        """The same for each of many keys, at its instant or else the database's; `timeout` in seconds."""
        named = [(place, key.tenant, key.scope, key.key, now) for place, (key, now) in enumerate(asked)]
        parameters = columns("asked", ("place", "tenant", "scope", "key", "now"), named)
        with translated():
            found = await line.fetch(reading.existing_many(self._tables), parameters, timeout=timeout)
        answers: list[Existing | None] = [None] * len(asked)
        for row in found:
            answers[row["place"]] = _existing(row)
        return answers

    async def lock_run(self, line: Line, run_id: UUID, instance_id: UUID) -> Run | None:
        """A run of a locked instance, locked too. Nobody holds one for long but who holds its instance."""
        asked = {"id": run_id, "instance_id": instance_id}
        row = await self._row(line, runs.lock(self._tables), asked, instance_id)
        return None if row is None else run_of(row)

    async def messages(self, line: Line, instance_id: UUID, after: int) -> Sequence[InboxMessage]:
        """The messages to an instance that are not dead, by rising number: a page of those above `after`."""
        asked = {"instance_id": instance_id, "after": after}
        with translated(instance_id):
            return [message_of(row) for row in await line.fetch(inbox.of_instance(self._tables), asked)]

    async def find(
        self, line: Line, query: InstanceQuery, order: Order, limit: int, after: Position | None
    ) -> Sequence[WorkflowInstance]:
        """A page of what `query` asks for."""
        asked = finding.asked(query)
        statement = finding.find(self._tables, frozenset(asked), order, paged=after is not None)
        with translated():
            found = await line.fetch(statement, {**asked, **finding.behind(after), "limit": limit})
        return [rows.instance_of(row) for row in found]

    async def count(
        self, line: Line, query: InstanceQuery, group_by: Sequence[GroupKey]
    ) -> Mapping[tuple[str, ...], int]:
        """How many of each group."""
        asked = finding.asked(query)
        statement = finding.count(self._tables, frozenset(asked), tuple(group_by))
        with translated():
            found = [tuple(row.values()) for row in await line.fetch(statement, asked)]
        return {row[:-1]: row[-1] for row in found}

    async def claim(
        self,
        line: Line,
        limit: int,
        workflows: Collection[str] | None,
        tenant: str | None,
        now: datetime | None,
    ) -> tuple[Sequence[WorkflowInstance], datetime]:
        """Lock what is due and held by nobody, the earliest first; and the instant of it.

        A row that cannot be read loses its deadline, so that it does not stand in the way of the others again.
        """
        sent = self._clock.process_time()
        with translated():
            names = None if workflows is None else list(workflows)
            asked = {"limit": limit, "workflows": names, "tenant": tenant, "now": now}
            claimed = await line.fetch(locking.claim(self._tables), asked)
        if claimed:
            self._clock.learn(sent, claimed[-1]["clock"])
        found, broken = _readable(claimed)
        if broken:
            with translated():
                await line.fetch(writing.disarm(self._tables), {"ids": broken})
        return found, now or self._clock.now()

    async def applied(self, line: Line, change: Change) -> bool:
        """Whether this very change is in the history of its instance; without entries, whether its effects are there."""
        if not change.entries:
            return await self._is_evident(line, change)
        parameters = {
            "id": change.instance.id,
            "sequence": change.expected_version + 1,
            "transition_id": change.transition_id,
        }
        with translated(change.instance.id):
            return _said_yes(await line.fetch(reading.applied(self._tables), parameters))

    async def history(self, line: Line, instance_id: UUID, limit: int, before: int | None) -> Sequence[HistoryEntry]:
        """Entries below `before`, the newest first."""
        parameters = {"id": instance_id, "limit": limit, "before": _NO_END if before is None else before}
        with translated(instance_id):
            return [rows.entry_of(row) for row in await line.fetch(reading.history(self._tables), parameters)]

    async def _fenced(
        self,
        line: Line,
        statement: Callable[..., ClauseElement],
        folds: Sequence[Fold],
        rows_are: Rows,
        now: Instants,
        limits: Limits | None,
    ) -> set[UUID]:
        changes = [change for fold in folds for change in fold.changes]
        kinds = kinds_of(changes)
        one = len(changes) == len(changes[0].entries) == 1
        parameters = _changed(folds, one=one) | self._beside(changes, kinds, now, limits, one=one)
        variant = {"kinds": kinds, "one": True} if one else {"kinds": kinds}
        try:
            with translated(changes[0].instance.id):
                found = await line.fetch(
                    statement(self._tables, rows_are, **variant), parameters, timeout=_patience(limits)
                )
        except asyncpg.PostgresError as error:
            if error.sqlstate == RECEIPT_TAKEN:
                raise KeyAnswered from error
            if error.sqlstate == DUPLICATE and kinds:
                raise EffectLost("what it begins is there already") from error
            raise_refused(error)
        return {row["id"] for row in found}

    async def _is_evident(self, line: Line, change: Change) -> bool:
        """Whether the effects of a change without entries are there. It was written whole or not at all, so that the ones that
        only it can have written tell for all.
        """
        receipts = rows.receipts_of([change])
        if receipts:
            found = [await self.receipt(line, receipt.key, receipt.created_at) for receipt in receipts]
            return found == receipts
        statement, parameters = evidence.sought(self._tables, change)
        if statement is None:
            return False
        with translated(change.instance.id):
            return _said_yes(await line.fetch(statement, parameters))

    async def _read_keyed(self, line: Line, asked: Sequence[Look], timeout: float | None) -> list[Found]:
        named = [
            (place, look.instance_id, look.now, *((key.tenant, key.scope, key.key) if (key := look.key) else _NO_KEY))
            for place, look in enumerate(asked)
        ]
        parameters = columns("asked", ("place", "instance_id", "now", "tenant", "scope", "key"), named)
        found = await self._read_clocked(line, reading.read_keyed(self._tables), parameters, timeout)
        seen: list[Found] = [None] * len(asked)
        for row in found:
            seen[row["place"]] = _found(row, asked[row["place"]].now)
        return seen

    def _unkeyed(self, ids: Collection[UUID]) -> tuple[ClauseElement, dict[str, object]]:
        # One is told by itself: an array of one costs a seventh more than the id.
        if len(ids) == 1:
            return reading.read(self._tables, keyed=False), {"id": next(iter(ids))}
        return reading.read_many(self._tables), {"ids": list(ids)}

    async def _read_clocked(
        self, line: Line, statement: ClauseElement, parameters: Mapping[str, object], timeout: float | None
    ) -> Sequence[Row]:
        sent = self._clock.process_time()
        with translated():
            found = await line.fetch(statement, parameters, timeout=timeout)
        if found:
            self._clock.learn(sent, found[-1]["clock"])
        return found

    async def _clocked(
        self, line: Line, statement: ClauseElement, parameters: Mapping[str, object], instance_id: UUID
    ) -> Row | None:
        sent = self._clock.process_time()
        row = await self._row(line, statement, parameters, instance_id)
        if row is not None:
            self._clock.learn(sent, row["clock"])
        return row

    async def _row(
        self,
        line: Line,
        statement: ClauseElement,
        parameters: Mapping[str, object],
        instance_id: UUID | None,
    ) -> Row | None:
        with translated(instance_id):
            found = await line.fetch(statement, parameters)
        return found[0] if found else None

    def _beside(
        self, changes: Sequence[Change], kinds: Kinds, now: Instants, limits: Limits | None, *, one: bool
    ) -> dict[str, object]:
        """The parameters for what is written beside instances: one group for history, one for each type of effect."""
        entries = [rows.entry_values(entry) for change in changes for entry in change.entries]
        return {
            **(self._limits if limits is None else limits.parameters()),
            **columns("entries", rows.ENTRY, entries, shares=True, one=one),
            **parameters_of(changes, kinds, now),
        }


def _changed(folds: Sequence[Fold], *, one: bool) -> dict[str, object]:
    changed = [(fold.instance.id, *rows.updated_values(fold.instance), fold.expected_version) for fold in folds]
    return columns("changed", ("id", *rows.UPDATED, "expected"), changed, shares=True, one=one)


def _patience(limits: Limits | None) -> float | None:
    """How many seconds an answer may take; outside a transaction PostgreSQL's own timeout comes too late for its statement."""
    return None if limits is None else limits.statement or None


def _said_yes(found: Sequence[Row]) -> bool:
    return bool(next(iter(found[0].values())))


def _readable(claimed: Sequence[Row]) -> tuple[list[WorkflowInstance], list[UUID]]:
    """The instances in rows, and the ids of those that somebody wrote by hand, and wrongly."""
    found: list[WorkflowInstance] = []
    broken: list[UUID] = []
    for row in claimed:
        try:
            found.append(rows.instance_of(row))
        except Exception:
            logger.exception("instance %s is due and cannot be read; its deadline is taken away", row["id"])
            broken.append(row["id"])
    return found, broken


def _existing(row: Row) -> Existing | None:
    taken = rows.receipt_of(row)
    return None if taken is None else Existing(taken, rows.instance_of(row))


def _key(key: ReceiptKey | None, now: datetime | None) -> dict[str, Any]:
    return {**rows.key_row(key), "now": now} if key else {}


def _found(row: Row, now: datetime | None) -> Found:
    # Somebody wrote it by hand, and wrongly: that is not the others' affair.
    try:
        return _seen(row, now)
    except Exception as error:
        return error


def _seen(row: Row, now: datetime | None) -> Seen:
    receipt = rows.receipt_of(row) if "receipt_key" in row else None
    return Seen(rows.instance_of(row), receipt, now or row["clock"], row["clock"])
