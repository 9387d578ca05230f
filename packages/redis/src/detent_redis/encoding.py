"""Records as JSON in Redis, and back, each marked with the shape that its type had when it was written."""

import hashlib
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from detent.store.records import DefinitionSnapshot, WorkflowInstance

R = TypeVar("R")


class Encoding(Generic[R]):
    """How records of one type are written.

    What an older or a newer release has written has another mark and is not read: a field that one of them does not know would
    come back as its default.
    """

    def __init__(self, kind: type[R]) -> None:
        self._adapter: TypeAdapter[R] = TypeAdapter(kind)
        self.mark = f"v{_digest(self._adapter.json_schema())}:".encode()
        """What every text of this type and shape begins with."""

    def encode(self, record: R) -> bytes:
        """The record as text."""
        return self.mark + self._adapter.dump_json(record)

    def decode(self, text: bytes) -> R:
        """The record that `encode` wrote, with containers of its own. Raises `ValueError` for anything else."""
        if not text.startswith(self.mark):
            raise ValueError("was written in another shape")
        return self._adapter.validate_json(text[len(self.mark) :])


def _digest(schema: dict[str, Any]) -> str:
    return hashlib.sha256(to_json(schema)).hexdigest()[:8]


INSTANCES = Encoding(WorkflowInstance)
"""As they are written into the archive."""
DEFINITIONS = Encoding(DefinitionSnapshot)
