"""What the store says to PostgreSQL: records in, records out, one method for each statement.

A pen belongs to a store and is used on whatever connection it is handed. Every failure leaves it as what it means for the
step (`faults`), or unchanged when it means nothing for it.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import Executable
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from detent.errors import StepRolledBack, StoreError
from detent.store.change import Change, SaveStep
from detent.store.messages import InboxMessage
from detent.store.protocol import Existing
from detent.store.query import GroupKey, InstanceQuery, Order, Position
from detent.store.records import HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import Run
from detent_pg import rows
from detent_pg.archive import Archive
from detent_pg.definitions import Definitions
from detent_pg.effects import kinds_of, parameters_of
from detent_pg.faults import DUPLICATE, EFFECT_LOST, RECEIPT_TAKEN, RowHeld, sqlstate, translated
from detent_pg.limits import Limits
from detent_pg.message_rows import message_of
from detent_pg.rows import Row
from detent_pg.run_rows import run_of
from detent_pg.schema import Tables
from detent_pg.statements import evidence, finding, inbox, locking, reading, runs, writing
from detent_pg.statements.arrays import arrays
from detent_pg.statements.effects import Kinds
from detent_pg.time import LearntClock

logger = logging.getLogger("detent.store")

_NO_END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What a read found."""

    record: WorkflowInstance
    receipt: Receipt | None
    now: datetime
    """The given instant, else the database's."""


class Pen:
    """Reads and writes records on a connection."""

    def __init__(self, tables: Tables, limits: Limits, clock: LearntClock) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._clock = clock
        self.archive = Archive(tables, limits)
        self.definitions = Definitions(tables)

    async def read(
        self, connection: AsyncConnection, instance_id: UUID, key: ReceiptKey | None = None, now: datetime | None = None
    ) -> Seen | None:
        """The committed record and the receipt under `key`."""
        statement = reading.read(self._tables, keyed=key is not None)
        row = await self._clocked(connection, statement, {"id": instance_id} | _key(key, now), instance_id)
        return _seen(row, now) if row else None

    async def lock(
        self,
        connection: AsyncConnection,
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
        row = await self._clocked(connection, statement, parameters, instance_id)
        if row is None:
            return None
        seen = _seen(row, now)
        if key is None or row["seen"] == row["version"]:
            return seen
        # It waited: the row is what the step before left, but the receipt beside it is from before the wait.
        return Seen(seen.record, await self.receipt(connection, key, now), seen.now)

    async def receipt(self, connection: AsyncConnection, key: ReceiptKey, now: datetime | None) -> Receipt | None:
        """The unexpired receipt under `key`."""
        return rows.receipt_of(await self._row(connection, reading.receipt(self._tables), _key(key, now), None))

    async def write(
        self, connection: AsyncConnection, changes: Sequence[Change], *, limited: bool, now: datetime | None = None
    ) -> set[UUID]:
        """Update the instances that still have the expected version; answers which. Raises `KeyAnswered` for a taken key, and
        `EffectLost` where a lease is lost (at `now`, else by the database's clock) or a message is gone.

        Of a change without entries only the effects are written, under the same condition.
        """
        steps = [change for change in changes if change.entries]
        others = [change for change in changes if not change.entries]
        written: set[UUID] = set()
        if steps:
            kinds = kinds_of(steps)
            statement = writing.write(self._tables, limited=limited, kinds=kinds)
            written |= await self._fenced(connection, statement, ("id", *writing.UPDATED), steps, kinds, now)
        if others:
            kinds = kinds_of(others)
            statement = writing.put(self._tables, limited=limited, kinds=kinds)
            written |= await self._fenced(connection, statement, ("id",), others, kinds, now)
        return written

    async def create(self, connection: AsyncConnection, change: Change, *, lent: bool = False) -> bool:
        """Insert an instance; whether that was done, or its key is taken. Raises `IdTaken`, and `KeyHeld` when another
        creation with that key takes long.
        """
        created = {**rows.instance_row(change.instance), "asked": len(rows.receipts_of([change]))}
        kinds = kinds_of([change])
        parameters = arrays("created", [created], created) | self._beside([change], kinds, None)
        statement = writing.create(self._tables, lent=lent, kinds=kinds)
        try:
            with translated():
                row = (await connection.execute(statement, parameters)).first()
        except RowHeld as error:
            raise KeyHeld from error
        except IntegrityError as error:
            if sqlstate(error) == DUPLICATE:
                raise IdTaken(change.instance.id) from error
            raise Unstorable(error) from error
        except DBAPIError as error:
            _raise_lost(error)
        return row is not None and row[0] is not None

    async def existing(self, connection: AsyncConnection, change: Change) -> Existing:
        """What holds the key of a creation that wrote nothing; raises `StepRolledBack` when it is gone by now."""
        for receipt in rows.receipts_of([change]):
            found = await self.recall(connection, receipt.key, receipt.created_at)
            if found is not None:
                return found
        raise StepRolledBack("its idempotency key was let go this very moment")

    async def recall(self, connection: AsyncConnection, key: ReceiptKey, now: datetime | None) -> Existing | None:
        """The unexpired receipt under `key` with its instance."""
        row = await self._row(connection, reading.existing(self._tables), _key(key, now), None)
        taken = rows.receipt_of(row)
        return Existing(taken, rows.instance_of(row)) if row is not None and taken is not None else None

    async def lock_run(self, connection: AsyncConnection, run_id: UUID, instance_id: UUID) -> Run | None:
        """A run of a locked instance, locked too. Nobody holds one for long but who holds its instance."""
        asked = {"id": run_id, "instance_id": instance_id}
        row = await self._row(connection, runs.lock(self._tables), asked, instance_id)
        return None if row is None else run_of(row)

    async def messages(self, connection: AsyncConnection, instance_id: UUID, after: int) -> Sequence[InboxMessage]:
        """The messages to an instance that are not dead, by rising number: a page of those above `after`."""
        asked = {"instance_id": instance_id, "after": after}
        with translated(instance_id):
            found = await connection.execute(inbox.of_instance(self._tables), asked)
        return [message_of(row) for row in found.mappings()]

    async def find(
        self, connection: AsyncConnection, query: InstanceQuery, order: Order, limit: int, after: Position | None
    ) -> Sequence[WorkflowInstance]:
        """A page of what `query` asks for."""
        asked = finding.asked(query)
        statement = finding.find(self._tables, frozenset(asked), order, paged=after is not None)
        with translated():
            found = await connection.execute(statement, {**asked, **finding.behind(after), "limit": limit})
        return [rows.instance_of(row) for row in found.mappings()]

    async def count(
        self, connection: AsyncConnection, query: InstanceQuery, group_by: Sequence[GroupKey]
    ) -> Mapping[tuple[str, ...], int]:
        """How many of each group."""
        asked = finding.asked(query)
        statement = finding.count(self._tables, frozenset(asked), tuple(group_by))
        with translated():
            found = (await connection.execute(statement, asked)).all()
        return {tuple(row[:-1]): row[-1] for row in found}

    async def claim(
        self,
        connection: AsyncConnection,
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
            claimed = (await connection.execute(locking.claim(self._tables), asked)).mappings().all()
        if claimed:
            self._clock.learn(sent, claimed[-1]["clock"])
        found, broken = _readable(claimed)
        if broken:
            with translated():
                await connection.execute(writing.disarm(self._tables), {"ids": broken})
        return found, now or self._clock.now()

    async def applied(self, connection: AsyncConnection, change: Change) -> bool:
        """Whether this very change is in the history of its instance; without entries, whether its effects are there."""
        if not change.entries:
            return await self._is_evident(connection, change)
        parameters = {
            "id": change.instance.id,
            "sequence": change.expected_version + 1,
            "transition_id": change.transition_id,
        }
        with translated(change.instance.id):
            return bool((await connection.execute(reading.applied(self._tables), parameters)).scalar_one())

    async def history(
        self, connection: AsyncConnection, instance_id: UUID, limit: int, before: int | None
    ) -> Sequence[HistoryEntry]:
        """Entries below `before`, the newest first."""
        parameters = {"id": instance_id, "limit": limit, "before": _NO_END if before is None else before}
        with translated(instance_id):
            found = await connection.execute(reading.history(self._tables), parameters)
        return [rows.entry_of(row) for row in found.mappings()]

    async def _fenced(
        self,
        connection: AsyncConnection,
        statement: Executable,
        columns: Sequence[str],
        changes: Sequence[Change],
        kinds: Kinds,
        now: datetime | None,
    ) -> set[UUID]:
        changed = [{**rows.instance_row(c.instance), "expected": c.expected_version} for c in changes]
        beside = self._beside(changes, kinds, now)
        try:
            with translated(changes[0].instance.id):
                parameters = arrays("changed", changed, (*columns, "expected")) | beside
                return set((await connection.execute(statement, parameters)).scalars())
        except IntegrityError as error:
            if sqlstate(error) == RECEIPT_TAKEN:
                raise KeyAnswered from error
            if sqlstate(error) == DUPLICATE and kinds:
                raise EffectLost("what it begins is there already") from error
            raise Unstorable(error) from error
        except DBAPIError as error:
            _raise_lost(error)

    async def _is_evident(self, connection: AsyncConnection, change: Change) -> bool:
        """Whether the effects of a change without entries are there. It was written whole or not at all, so that the ones that
        only it can have written tell for all.
        """
        receipts = rows.receipts_of([change])
        if receipts:
            found = [await self.receipt(connection, receipt.key, receipt.created_at) for receipt in receipts]
            return found == receipts
        statement, parameters = evidence.sought(self._tables, change)
        if statement is None:
            return False
        with translated(change.instance.id):
            return bool((await connection.execute(statement, parameters)).scalar_one())

    async def _clocked(
        self, connection: AsyncConnection, statement: Executable, parameters: Mapping[str, object], instance_id: UUID
    ) -> Row | None:
        sent = self._clock.process_time()
        row = await self._row(connection, statement, parameters, instance_id)
        if row is not None:
            self._clock.learn(sent, row["clock"])
        return row

    async def _row(
        self,
        connection: AsyncConnection,
        statement: Executable,
        parameters: Mapping[str, object],
        instance_id: UUID | None,
    ) -> Row | None:
        with translated(instance_id):
            row = (await connection.execute(statement, parameters)).first()
        return None if row is None else dict(row._mapping)

    def _beside(self, changes: Sequence[Change], kinds: Kinds, now: datetime | None) -> dict[str, object]:
        """The parameters for what is written beside instances: one group for history, one for each type of effect."""
        entries = [rows.entry_row(entry) for change in changes for entry in change.entries]
        receipts = [rows.receipt_row(receipt) for receipt in rows.receipts_of(changes)]
        return {
            **self._limits,
            **arrays("entries", entries, [column.name for column in self._tables.history.c]),
            **arrays("receipts", receipts, [column.name for column in self._tables.receipts.c]),
            **parameters_of(changes, kinds),
            **({"now": now} if SaveStep in kinds else {}),
        }


class IdTaken(StepRolledBack):
    """There is an instance with the id of a creation: another one's, or the very same written by an attempt that was cut off."""

    def __init__(self, instance_id: UUID) -> None:
        super().__init__(f"there is an instance {instance_id} already")


class KeyAnswered(StepRolledBack):
    """An update found an unexpired receipt under its key, which somebody else put after it looked."""

    def __init__(self) -> None:
        super().__init__("its idempotency key was answered meanwhile")


class EffectLost(StepRolledBack):
    """What a change rests on is gone: a lease was lost, a message taken by somebody else. Trying again would not help."""

    def __init__(self, reason: str = "a lease was lost, or a message is gone") -> None:
        super().__init__(reason)


class KeyHeld(StepRolledBack):
    """A creation waited too long for another one; there is no instance yet that could be called busy."""

    def __init__(self) -> None:
        super().__init__("another creation with the same idempotency key is under way")


class Unstorable(StoreError):
    """A change breaks a constraint of the tables: a key that is too long, a receipt of an instance that is not there."""

    def __init__(self, error: IntegrityError) -> None:
        super().__init__(f"the database refuses the change with {sqlstate(error)}")


def _raise_lost(error: DBAPIError) -> NoReturn:
    if sqlstate(error) == EFFECT_LOST:
        raise EffectLost from error
    raise error


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


def _key(key: ReceiptKey | None, now: datetime | None) -> dict[str, Any]:
    return {**rows.key_row(key), "now": now} if key else {}


def _seen(row: Row, now: datetime | None) -> Seen:
    receipt = rows.receipt_of(row) if "receipt_key" in row else None
    return Seen(rows.instance_of(row), receipt, now or row["clock"])
