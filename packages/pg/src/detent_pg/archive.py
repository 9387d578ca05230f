"""What the store forgets, and what it keeps of that: instances that are removed, old history and expired receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from detent.store.change import Removal
from detent.store.records import ArchiveEntry
from detent_pg import rows
from detent_pg.faults import translated
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.statements import archive
from detent_pg.statements.arrays import arrays


class Archive:
    """Takes rows out on a line, and reads what is kept of them."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits.parameters()

    async def remove(self, line: Line, removals: Sequence[Removal], *, lent: bool = False) -> frozenset[UUID]:
        """Delete the instances that still have the expected version; answers which. Raises `InstanceBusy`."""
        # In one order, so that two who remove the same do not deadlock.
        leaving = sorted(map(rows.removal_row, removals), key=_instance_of)
        if not leaving:
            return frozenset()
        parameters = arrays("removed", leaving, leaving[0]) | self._limits
        with translated(removals[0].entry.instance_id):
            gone = await line.fetch(archive.remove(self._tables, lent=lent), parameters)
        return frozenset(row["instance_id"] for row in gone if row["instance_id"] is not None)

    async def load(self, line: Line, instance_ids: Sequence[UUID]) -> Mapping[UUID, ArchiveEntry]:
        """What is kept of instances that were removed."""
        with translated():
            found = await line.fetch(archive.load(self._tables), {"ids": list(instance_ids)})
        return {row["instance_id"]: rows.archived_of(row) for row in found}

    async def prune_history(self, line: Line, instance_ids: Sequence[UUID], before: datetime) -> int:
        """Delete old entries; answers how many. Raises `InstanceBusy` for an instance that is just being removed."""
        parameters = {"ids": list(instance_ids), "before": before, **self._limits}
        with translated(next(iter(instance_ids), None)):
            return _counted(await line.fetch(archive.prune_history(self._tables), parameters))

    async def prune_receipts(self, line: Line, limit: int, now: datetime | None) -> int:
        """Delete expired receipts; answers how many."""
        with translated():
            return _counted(await line.fetch(archive.prune_receipts(self._tables), {"limit": limit, "now": now}))


def _counted(found: Sequence[Row]) -> int:
    return int(next(iter(found[0].values())))


def _instance_of(row: Row) -> UUID:
    instance_id: UUID = row["instance_id"]
    return instance_id
