"""The values of the journal store: what is kept beside instances."""

from collections.abc import Collection, Mapping
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.json_values import JsonValue, copy_value
from detent.store.value_store import json_size
from examples.own_store.database import JournalDatabase


class JournalValues:
    """A `ValueStore`. Its writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, database: JournalDatabase) -> None:
        self._database = database

    async def put(self, instance_id: UUID, ref: str, value: JsonValue, *, overwrite: bool = False) -> None:
        """Keep `value` under `ref`, unless something is there; with `overwrite` in its place."""
        async with self._database.begin() as transaction:
            if instance_id not in transaction.rows.instances:
                raise InstanceNotFound(instance_id)
            if overwrite or ref not in transaction.rows.beside(instance_id):
                transaction.put_value(instance_id, ref, value)

    async def load(
        self, instance_id: UUID, refs: Collection[str], *, outside: object | None = None
    ) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there."""
        kept = self._database.seen().beside(instance_id)
        return {ref: copy_value(kept[ref]) for ref in refs if ref in kept}

    async def delete(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        async with self._database.begin() as transaction:
            return transaction.drop_values(instance_id, set(refs) & transaction.rows.beside(instance_id).keys())

    async def clear(self, instance_id: UUID) -> int:
        """Take out all values of an instance; answers how many there were."""
        async with self._database.begin() as transaction:
            return transaction.drop_values(instance_id, transaction.rows.beside(instance_id).keys())

    async def sizes(self, instance_id: UUID) -> Mapping[str, int]:
        """How many bytes of JSON each value takes, counted now."""
        return {ref: json_size(value) for ref, value in self._database.seen().beside(instance_id).items()}
