"""The part of the SQLite store that keeps values beside instances."""

from collections.abc import Collection, Mapping
from functools import partial
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.sqlite_file import SqliteFile
from detent.store.sqlite_value_rows import clear_values, delete_values, put_value, read_sizes, read_values


class SqliteValueStore:
    """A `ValueStore` in a SQLite file. Writes raise `StoreUnavailable` when a long step keeps the writer."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, instance_id: UUID, ref: str, value: JsonValue, *, overwrite: bool = False) -> None:
        """Keep `value` under `ref`, unless something is there; with `overwrite` in its place."""
        now = self._file.now()
        await self._file.write(
            partial(put_value, instance_id=instance_id, ref=ref, value=value, now=now, overwrite=overwrite)
        )

    async def load(
        self, instance_id: UUID, refs: Collection[str], *, outside: object | None = None
    ) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there."""
        return await self._file.read(partial(read_values, instance_id=instance_id, refs=refs))

    async def delete(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        return await self._file.write(partial(delete_values, instance_id=instance_id, refs=refs))

    async def clear(self, instance_id: UUID) -> int:
        """Take out all values of an instance; answers how many there were."""
        return await self._file.write(partial(clear_values, instance_id=instance_id))

    async def sizes(self, instance_id: UUID) -> Mapping[str, int]:
        """How many bytes of JSON each value takes, as was counted when it was put."""
        return await self._file.read(partial(read_sizes, instance_id=instance_id))
