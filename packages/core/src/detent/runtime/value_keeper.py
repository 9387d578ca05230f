"""What a durable command keeps beside its instance: values under refs, apart from the keys that applications set."""

from collections.abc import Collection, Mapping
from uuid import UUID

from detent.errors import InvalidValue
from detent.json_values import JsonValue, json_value
from detent.store.value_store import MAX_REF_BYTES, ValueStore

KEY_PREFIX = "key:"
"""What the refs of keys start with that applications set; no other ref does."""


class InstanceKeeper:
    """A `ValueKeeper` over a store. The keys of applications are not there for it, so that neither can hit the other's."""

    def __init__(self, values: ValueStore, instance_id: UUID) -> None:
        self._values = values
        self._instance_id = instance_id

    async def put(self, ref: str, value: JsonValue) -> None:
        """Keep `value` under `ref`, unless something is there. Raises `InvalidValue` and `InstanceNotFound`."""
        await self._values.put(self._instance_id, checked_ref(ref), json_value(value, f"value {ref!r}"))

    async def load(self, refs: Collection[str], *, outside: object | None = None) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there, read in the transaction `outside` where one is lent."""
        wanted = _own(refs)
        return await self._values.load(self._instance_id, wanted, outside=outside) if wanted else {}

    async def delete(self, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        unwanted = _own(refs)
        return await self._values.delete(self._instance_id, unwanted) if unwanted else 0

    async def clear(self) -> int:
        """Take out all but what applications set; answers how many there were."""
        return await self.delete(await self._values.sizes(self._instance_id))


def checked_ref(ref: object, path: str = "ref") -> str:
    """`ref` as a command may use it. Raises `InvalidValue`."""
    checked = checked_text(ref, path, most=MAX_REF_BYTES)
    if checked.startswith(KEY_PREFIX):
        raise InvalidValue(
            path, f"starts with {KEY_PREFIX!r}", hint="such refs are those of keys that applications set"
        )
    return checked


def checked_text(text: object, path: str, *, most: int) -> str:
    """`text` as it may be stored in at most that many bytes. Raises `InvalidValue`."""
    if not isinstance(text, str) or not text:
        raise InvalidValue(path, "must be a text that is not empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidValue(path, "contains a lone surrogate, which is not valid Unicode") from None
    if "\0" in text or size > most:
        raise InvalidValue(path, f"must be at most {most} bytes without NUL characters")
    return text


def _own(refs: Collection[str]) -> list[str]:
    return [ref for ref in refs if _is_own(ref)]


def _is_own(ref: str) -> bool:
    # What nobody can have put is not there. A database would refuse some of it.
    try:
        checked_ref(ref)
    except InvalidValue:
        return False
    return True
