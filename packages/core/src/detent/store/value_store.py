"""The part of a store that keeps values beside instances: what is too large for a context, and what an application sets by a key.

A value belongs to one instance, is found under its *ref*, and goes with the instance when that is removed. Each call is its own
commit: none takes part in a step, none locks an instance, and a step that holds the instance does not make it wait where the
store has rows to lock. So whoever refers to a value puts it first and writes the reference afterwards; what was put and never
referred to is harmless.
"""

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from pydantic_core import to_json

from detent.json_values import JsonValue

MAX_REF_BYTES = 512
"""The longest ref, in UTF-8."""


class ValueStore(Protocol):
    """Values by instance and ref. A ref is a text that is not empty, of at most `MAX_REF_BYTES`."""

    async def put(self, instance_id: UUID, ref: str, value: JsonValue, *, overwrite: bool = False) -> None:
        """Keep `value` under `ref`; raises `InstanceNotFound` where the instance is not there.

        What is there under `ref` stays as it is: callers who make a ref of what the value says may put it again, as often as
        they like. With `overwrite` the value takes its place, in one write that nobody sees half of.
        """
        ...

    async def load(
        self, instance_id: UUID, refs: Collection[str], *, outside: object | None = None
    ) -> Mapping[str, JsonValue]:
        """The values under `refs` that are there; in a transaction lent as `outside`, with no other connection."""
        ...

    async def delete(self, instance_id: UUID, refs: Collection[str]) -> int:
        """Take out the values under `refs`; answers how many there were."""
        ...

    async def clear(self, instance_id: UUID) -> int:
        """Take out all values of an instance; answers how many there were."""
        ...

    async def sizes(self, instance_id: UUID) -> Mapping[str, int]:
        """How many bytes of JSON each value of an instance takes, by ref; without reading the values."""
        ...


def json_size(value: JsonValue) -> int:
    """How many bytes of UTF-8 `value` takes as JSON without white space."""
    return len(to_json(value))
