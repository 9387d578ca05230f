"""What the store forgets, and what it keeps of that: instances that are removed, old history and expired receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from detent.store.change import Removal
from detent.store.records import ArchiveEntry
from detent_pg import rows
from detent_pg.faults import translated
from detent_pg.limits import Limits
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.statements import archive
from detent_pg.statements.arrays import arrays


class Archive:
    """Takes rows out on a connection, and reads what is kept of them."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits.parameters()

    async def remove(
        self, connection: AsyncConnection, removals: Sequence[Removal], *, lent: bool = False
    ) -> frozenset[UUID]:
        """Delete the instances that still have the expected version; answers which. Raises `InstanceBusy`."""
        # In one order, so that two who remove the same do not deadlock.
        leaving = sorted(map(rows.removal_row, removals), key=_instance_of)
        if not leaving:
            return frozenset()
        parameters = arrays("removed", leaving, leaving[0]) | self._limits
        with translated(removals[0].entry.instance_id):
            gone = await connection.execute(archive.remove(self._tables, lent=lent), parameters)
        return frozenset(instance_id for instance_id in gone.scalars() if instance_id is not None)

    async def load(self, connection: AsyncConnection, instance_ids: Sequence[UUID]) -> Mapping[UUID, ArchiveEntry]:
        """What is kept of instances that were removed."""
        with translated():
            found = await connection.execute(archive.load(self._tables), {"ids": list(instance_ids)})
        return {row["instance_id"]: rows.archived_of(row) for row in found.mappings()}

    async def prune_history(self, connection: AsyncConnection, instance_ids: Sequence[UUID], before: datetime) -> int:
        """Delete old entries; answers how many. Raises `InstanceBusy` for an instance that is just being removed."""
        parameters = {"ids": list(instance_ids), "before": before, **self._limits}
        with translated(next(iter(instance_ids), None)):
            return int((await connection.execute(archive.prune_history(self._tables), parameters)).scalar_one())

    async def prune_receipts(self, connection: AsyncConnection, limit: int, now: datetime | None) -> int:
        """Delete expired receipts; answers how many."""
        with translated():
            pruned = await connection.execute(archive.prune_receipts(self._tables), {"limit": limit, "now": now})
        return int(pruned.scalar_one())


def _instance_of(row: Row) -> UUID:
    instance_id: UUID = row["instance_id"]
    return instance_id
