"""The verbs on values that an application keeps beside an instance."""

from collections.abc import Sequence
from uuid import UUID

from detent.json_values import JsonValue, json_value
from detent.runtime.arguments import id_of
from detent.runtime.instance_verbs import InstanceVerbs
from detent.runtime.value_keeper import KEY_PREFIX, checked_text
from detent.store.records import WorkflowInstance
from detent.store.value_store import MAX_REF_BYTES, ValueStore

MAX_KEY_BYTES = MAX_REF_BYTES - len(KEY_PREFIX)
"""The longest key, in UTF-8."""


class ValueVerbs(InstanceVerbs):
    """Values beside instances."""

    def values(self, instance_id: UUID | str | WorkflowInstance) -> "InstanceValues":
        """What the application keeps beside an instance, by keys of its own: `await runtime.values(id).set("invoice", pdf)`."""
        return InstanceValues(self, id_of(instance_id))


class InstanceValues:
    """Values beside one instance, of any size that the database takes. They are no part of its context, and go with it.

    Each call is its own commit, for a service inside a lent transaction too: with a store that has one writer, as SQLite has,
    set nothing while a transaction is open. All of them raise `InstanceNotFound`, for another tenant's instance too.
    """

    def __init__(self, verbs: ValueVerbs, instance_id: UUID) -> None:
        self._verbs = verbs
        self._instance_id = instance_id

    async def set(self, key: str, value: JsonValue) -> None:
        """Keep `value` under `key`, in the place of what is there. Raises `InvalidValue` for what is not JSON, and for a key
        that is empty or longer than 508 bytes.
        """
        ref, kept = _ref(key), json_value(value, f"value {key!r}")
        await (await self._store()).put(self._instance_id, ref, kept, overwrite=True)

    async def get(self, key: str, default: JsonValue = None) -> JsonValue:
        """The value under `key`; `default` when there is none."""
        ref = _ref(key)
        found = await (await self._store()).load(self._instance_id, [ref])
        return found.get(ref, default)

    async def delete(self, key: str) -> bool:
        """Take out the value under `key`; whether there was one."""
        ref = _ref(key)
        return bool(await (await self._store()).delete(self._instance_id, [ref]))

    async def clear(self) -> int:
        """Take out all values that were set, and leave what commands keep; answers how many there were."""
        store = await self._store()
        refs = [KEY_PREFIX + key for key in await self._keys(store)]
        return await store.delete(self._instance_id, refs) if refs else 0

    async def keys(self) -> Sequence[str]:
        """The keys that were set, in order, without reading the values."""
        return await self._keys(await self._store())

    async def _store(self) -> ValueStore:
        """Where the values are, once it is known that this caller sees the instance."""
        await self._verbs.get_instance(self._instance_id)
        return self._verbs.running().parts.store.values

    async def _keys(self, store: ValueStore) -> Sequence[str]:
        sizes = await store.sizes(self._instance_id)
        return sorted(ref.removeprefix(KEY_PREFIX) for ref in sizes if ref.startswith(KEY_PREFIX))


def _ref(key: object) -> str:
    return KEY_PREFIX + checked_text(key, "key", most=MAX_KEY_BYTES)
