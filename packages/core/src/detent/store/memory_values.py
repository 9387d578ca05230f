"""The values of the memory store: what is kept beside instances."""

from collections.abc import Collection, Mapping
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.json_values import JsonValue, copy_value
from detent.store.memory_database import MemoryDatabase
from detent.store.value_store import json_size


class MemoryValues:
    """A `ValueStore` in memory. Nothing is waited for: each call is done before anybody else gets a turn."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def put(self, instance_id: UUID, ref: str, value: JsonValue, *, overwrite: bool = False) -> None:
        """Keep `value` under `ref`, unless something is there; with `overwrite` in its place."""
        rows = self._database.committed
        if instance_id not in rows.instances:
            raise InstanceNotFound(instance_id)
        kept = rows.instance_values.setdefault(instance_id, {})
        if overwrite or ref not in kept:
            kept[ref] = copy_value(value)

    async def load(
        self, instance_id: UUID, refs: Collection[str], *, outside: object | None = None
    ) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there."""
        kept = self._kept(instance_id)
        return {ref: copy_value(kept[ref]) for ref in refs if ref in kept}

    async def delete(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        kept = self._kept(instance_id)
        gone = set(refs) & kept.keys()
        for ref in gone:
            del kept[ref]
        return len(gone)

    async def clear(self, instance_id: UUID) -> int:
        """Take out all values of an instance; answers how many there were."""
        return len(self._database.committed.instance_values.pop(instance_id, {}))

    async def sizes(self, instance_id: UUID) -> Mapping[str, int]:
        """How many bytes of JSON each value takes, counted now."""
        return {ref: json_size(value) for ref, value in self._kept(instance_id).items()}

    def _kept(self, instance_id: UUID) -> dict[str, JsonValue]:
        return self._database.committed.instance_values.get(instance_id, {})
