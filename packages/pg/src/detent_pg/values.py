"""The values of the store: what is kept beside instances."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ClauseElement

from detent.errors import InstanceNotFound
from detent.json_values import JsonValue
from detent_pg.errands import Errands
from detent_pg.faults import translated
from detent_pg.limits import Limits
from detent_pg.line import Line
from detent_pg.rows import Row, decode
from detent_pg.schema import Tables
from detent_pg.statements import values
from detent_pg.statements.arrays import columns


class PgValues:
    """A `ValueStore` in PostgreSQL; each verb is one statement and one round trip.

    One whose answer is lost is done again: what is deleted then was there the second time. Writes raise `InstanceBusy` where
    somebody removes the instance and does not commit.
    """

    def __init__(self, tables: Tables, limits: Limits, errands: Errands) -> None:
        self._tables = tables
        self._limits = limits.parameters()
        self._errands = errands

    async def put(self, instance_id: UUID, ref: str, value: JsonValue, *, overwrite: bool = False) -> None:
        """Keep `value` under `ref`, unless something is there; with `overwrite` in its place."""
        data = to_json(value)
        sent = columns("sent", values.SENT, [(instance_id, ref, data.decode(), len(data))], one=True)
        statement = values.put(self._tables, overwrite=overwrite)
        if not await self._alone(instance_id, statement, {**sent, **self._limits}):
            raise InstanceNotFound(instance_id)

    async def load(
        self, instance_id: UUID, refs: Collection[str], *, outside: object | None = None
    ) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there."""
        asked = {"instance_id": instance_id, "refs": list(refs)}
        found = await self._fetched(instance_id, values.load(self._tables), asked, outside=outside)
        return {row["ref"]: decode(row["data"]) for row in found}

    async def delete(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        return await self._remove(instance_id, list(refs))

    async def clear(self, instance_id: UUID) -> int:
        """Take out all values of an instance; answers how many there were."""
        return await self._remove(instance_id, None)

    async def sizes(self, instance_id: UUID) -> Mapping[str, int]:
        """How many bytes of JSON each value takes, as was counted when it was put."""
        found = await self._alone(instance_id, values.sizes(self._tables), {"instance_id": instance_id})
        return {row["ref"]: row["size"] for row in found}

    async def _remove(self, instance_id: UUID, refs: list[str] | None) -> int:
        asked = {"instance_id": instance_id, "refs": refs, **self._limits}
        return len(await self._alone(instance_id, values.remove(self._tables), asked))

    async def _alone(self, instance_id: UUID, statement: ClauseElement, parameters: Row) -> Sequence[Row]:
        return await self._fetched(instance_id, statement, parameters, outside=None)

    async def _fetched(
        self, instance_id: UUID, statement: ClauseElement, parameters: Row, *, outside: object | None
    ) -> Sequence[Row]:
        async def fetch(line: Line) -> Sequence[Row]:
            with translated(instance_id):
                return await line.fetch(statement, parameters)

        return await self._errands.read(outside, fetch)
