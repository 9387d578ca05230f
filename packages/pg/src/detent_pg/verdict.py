"""Finding out what became of a write that was cut off.

A connection that breaks tells nothing: the write may have been applied, may never have arrived, or may still be running on
a backend that has not noticed. So the row is locked before anybody looks: what is absent while holding the lock stays absent.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from detent.errors import InstanceBusy, OutcomeUnknown, StepRolledBack, StoreUnavailable
from detent.retry import Retry
from detent.store.change import Change
from detent.store.protocol import Existing
from detent_pg.engine import Connections
from detent_pg.faults import ConnectionLost
from detent_pg.pen import IdTaken, Pen

ATTEMPTS = Retry(attempts=5, initial=timedelta(milliseconds=50), maximum=timedelta(seconds=1), jitter=0.5)
"""How often a step is repeated, and how often it is asked what became of one."""

_CANNOT_ASK = (StoreUnavailable, InstanceBusy, StepRolledBack)
"""What leaves the question open: no connection, a row still held (by the very backend, perhaps), a connection that broke."""


class Verdict:
    """Asks on fresh connections; raises `OutcomeUnknown` when nobody answers."""

    def __init__(self, connections: Connections, pen: Pen) -> None:
        self._connections = connections
        self._pen = pen

    async def of_commit(self, changes: Sequence[Change]) -> None:
        """Return when the transaction that wrote `changes` was committed; raises `StepRolledBack` when it was not."""
        first = changes[0]
        async for _ in _attempts(first.instance.id, first.expected_version):
            try:
                committed = await self._committed(first)
            except _CANNOT_ASK:
                continue
            if committed:
                return
            raise ConnectionLost

    async def of_write(self, change: Change) -> bool:
        """Whether a write that was cut off is applied now: it is repeated, which its expected version makes safe."""
        async for _ in _attempts(change.instance.id, change.expected_version):
            try:
                async with self._connections.autocommit() as connection:
                    written = await self._pen.write(connection, [change], limited=True)
                    return bool(written) or await self._pen.applied(connection, change)
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

    async def _create_again(self, change: Change) -> Existing | None:
        async with self._connections.autocommit() as connection:
            try:
                if await self._pen.create(connection, change):
                    return None
            except IdTaken:
                if await self._pen.applied(connection, change):
                    return None
                raise
            existing = await self._pen.existing(connection, change)
        return None if existing.receipt.instance_id == change.instance.id else existing

    async def _committed(self, change: Change) -> bool:
        async with self._connections.transaction() as connection:
            if change.expected_version:
                await self._pen.lock(connection, change.instance.id, key=None, now=None)
                return await self._pen.applied(connection, change)
            if await self._free(connection, change):
                return False
        async with self._connections.autocommit() as connection:
            return await self._pen.applied(connection, change)

    async def _free(self, connection: AsyncConnection, change: Change) -> bool:
        """Whether nobody has, or is about to commit, the id of a creation.

        A row that is not committed cannot be locked. Inserting it waits for whoever inserted it before, and is then undone.
        """
        try:
            return await self._pen.create(connection, replace(change, effects=()))
        except IdTaken:
            return False


async def _attempts(instance_id: UUID, version_before: int) -> AsyncIterator[int]:
    for attempt in range(1, ATTEMPTS.attempts + 1):
        yield attempt
        await asyncio.sleep(ATTEMPTS.delay(attempt).total_seconds())
    raise OutcomeUnknown(instance_id, version_before)
