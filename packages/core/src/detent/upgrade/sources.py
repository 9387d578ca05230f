"""The versions that instances come from: read from what the store keeps, whether or not they can still run."""

from collections.abc import Iterable, Mapping
from typing import Self

from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid
from detent.store.protocol import Store
from detent.store.records import DefinitionSnapshot


class Sources:
    """The stored versions of one workflow."""

    def __init__(self, versions: Mapping[str, WorkflowDefinition | None]) -> None:
        self._versions = versions

    @classmethod
    async def stored(cls, store: Store, workflow: str) -> Self:
        """Those that the store knows, the registered ones among them."""
        return cls.read(await store.list_definitions([workflow]))

    @classmethod
    def read(cls, snapshots: Iterable[DefinitionSnapshot]) -> Self:
        """Those in `snapshots`. Nothing is compiled, so that commands which are gone do not matter."""
        return cls({snapshot.version: _readable(snapshot) for snapshot in snapshots})

    def definition(self, version: str) -> WorkflowDefinition | None:
        """What that version says; `None` when it is not stored, or not in words of this release."""
        return self._versions.get(version)

    def knows(self, version: str) -> bool:
        """Whether that version is stored."""
        return version in self._versions

    def states(self, *, other_than: str, only: str | None = None) -> set[str] | None:
        """The states of these versions; `None` when one of them cannot be read, so that nobody knows its states."""
        versions = [only] if only is not None else [version for version in self._versions if version != other_than]
        read = [self.definition(version) for version in versions]
        if not read or None in read:
            return None
        return {state for definition in read if definition is not None for state in definition.states}


def _readable(snapshot: DefinitionSnapshot) -> WorkflowDefinition | None:
    try:
        return WorkflowDefinition.from_dict(snapshot.definition)
    except DefinitionInvalid:
        return None
