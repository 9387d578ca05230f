"""Finding out what became of a write that was cut off.

A connection that breaks tells nothing: the write may have been applied, may never have arrived, or may still be running on
a backend that has not noticed. So the row is locked before anybody looks: what is absent while holding the lock stays absent.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from detent.errors import InstanceBusy, OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.store.change import Change, Removal
from detent.store.protocol import Existing
from detent_pg.engine import Connections
from detent_pg.faults import ConnectionLost, translated
from detent_pg.line import BorrowedLine, Line
from detent_pg.pen import Pen
from detent_pg.persistence import ATTEMPTS
from detent_pg.refusals import EffectLost, IdTaken, KeyAnswered
from detent_pg.statements.writing import Rows

_CANNOT_ASK = (StoreUnavailable, InstanceBusy, StepRolledBack)
"""What leaves the question open: no connection, a row still held (by the very backend, perhaps), a connection that broke."""


class Verdict:
    """Asks on fresh connections; raises `OutcomeUnknown` when nobody answers."""

    def __init__(self, connections: Connections, pen: Pen) -> None:
        self._connections = connections
        self._pen = pen

    async def of_commit(self, changes: Sequence[Change]) -> None:
        """Return when the transaction that wrote `changes` was committed; raises `StepRolledBack` when it was not."""
        first = _surest(changes)
        async for _ in _attempts(first.instance.id, first.expected_version):
            try:
                committed = await self._committed(first)
            except _CANNOT_ASK:
                continue
            if committed:
                return
            raise ConnectionLost

    async def of_write(self, changes: Sequence[Change], now: datetime | None = None) -> bool:
        """Whether a write that was cut off is applied now: it is repeated, which its expected version makes safe, or without
        entries looking for its effects while the row is held. `changes` are of one instance, and follow each other.
        """
        first = _surest(changes)
        again = self._write_again if first.entries else self._write_effects_again
        async for _ in _attempts(first.instance.id, changes[0].expected_version):
            try:
                return await again(changes, now)
            except EffectLost:
                raise
            except _CANNOT_ASK:
                continue
        raise AssertionError("the attempts end in OutcomeUnknown")

    async def of_create(self, change: Change) -> Existing | None:
        """What `Store.create` answers, for a creation that was cut off: it is repeated, which its id makes safe."""
        async for _ in _attempts(change.instance.id, change.expected_version):
            try:
                return await self._create_again(change)
            except IdTaken:
                raise
            except _CANNOT_ASK:
                continue
        raise AssertionError("the attempts end in OutcomeUnknown")

    async def of_remove(self, removals: Sequence[Removal]) -> frozenset[UUID]:
        """What `Store.remove` answers, for a removal that was cut off: it is repeated, and what is gone already was removed by
        the first attempt if its archive entry is there.
        """
        async for _ in _attempts(removals[0].entry.instance_id, removals[0].expected_version):
            try:
                return await self._remove_again(removals)
            except _CANNOT_ASK:
                continue
        raise AssertionError("the attempts end in OutcomeUnknown")

    async def _remove_again(self, removals: Sequence[Removal]) -> frozenset[UUID]:
        entries = {removal.entry.instance_id: removal.entry for removal in removals}
        async with self._connections.line() as line:
            await self._pen.archive.remove(line, removals)
            kept = await self._pen.archive.load(line, list(entries))
        return frozenset(instance_id for instance_id, entry in entries.items() if kept.get(instance_id) == entry)

    async def _write_again(self, changes: Sequence[Change], now: datetime | None) -> bool:
        async with self._connections.line() as line:
            with suppress(KeyAnswered):
                if await self._pen.write(line, changes, Rows.AWAITED, now=now):
                    return True
            return await self._pen.applied(line, _surest(changes))

    async def _write_effects_again(self, changes: Sequence[Change], now: datetime | None) -> bool:
        """The same for changes that leave the version as it was, and which the version therefore does not keep from being
        written twice.
        """
        async with self._connections.transaction() as connection:
            line = BorrowedLine(connection, begins=True)
            seen = await self._pen.lock(line, changes[0].instance.id, key=None, now=None)
            if seen is None or await self._pen.applied(line, changes[0]):
                return seen is not None
            written = await self._pen.write(line, changes, Rows.HELD, now=now)
            with translated():
                await connection.commit()
            return bool(written)

    async def _create_again(self, change: Change) -> Existing | None:
        async with self._connections.line() as line:
            try:
                if await self._pen.create(line, change):
                    return None
            except IdTaken:
                if await self._pen.applied(line, change):
                    return None
                raise
            existing = await self._pen.existing(line, change)
        return None if existing.receipt.instance_id == change.instance.id else existing

    async def _committed(self, change: Change) -> bool:
        async with self._connections.transaction() as connection:
            line = BorrowedLine(connection, begins=True)
            if change.expected_version:
                await self._pen.lock(line, change.instance.id, key=None, now=None)
                return await self._pen.applied(line, change)
            if await self._free(line, change):
                return False
        async with self._connections.line() as line:
            return await self._pen.applied(line, change)

    async def _free(self, line: Line, change: Change) -> bool:
        """Whether nobody has, or is about to commit, the id of a creation.

        A row that is not committed cannot be locked. Inserting it waits for whoever inserted it before, and is then undone.
        """
        try:
            return await self._pen.create(line, replace(change, effects=()))
        except IdTaken:
            return False


def _surest(changes: Sequence[Change]) -> Change:
    """The change that tells for all that was written with it: history tells more surely than effects."""
    return next((change for change in changes if change.entries), changes[0])


async def _attempts(instance_id: UUID, version_before: int) -> AsyncIterator[int]:
    for attempt in range(1, ATTEMPTS.attempts + 1):
        yield attempt
        await asyncio.sleep(ATTEMPTS.delay(attempt).total_seconds())
    raise OutcomeUnknown(instance_id, version_before)
