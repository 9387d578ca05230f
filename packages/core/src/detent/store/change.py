"""Everything one step wants written, as one value, and the removal of an instance: the only things a store writes."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from detent.store.records import ArchiveEntry, HistoryEntry, Receipt, WorkflowInstance


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """Remember what an idempotency key was answered; an expired receipt under the same key is replaced."""

    receipt: Receipt


Effect: TypeAlias = PutReceipt
"""A row to write beside the instance and its history. A later part adds a type here, not a verb to the store."""


@dataclass(frozen=True, slots=True)
class Change:
    """The instance after a step, its new history entries, and the rows that go with them. Written whole or not at all."""

    instance: WorkflowInstance
    """The instance after: `version` is the sequence of the last entry."""
    expected_version: int
    """The version before; 0 inserts the instance, anything else updates it and only from that version."""
    transition_id: UUID
    """The id shared by all entries, by which a store can later find out whether this very change was applied."""
    entries: tuple[HistoryEntry, ...]
    """The entries from `expected_version + 1` up to `instance.version`, without gaps; none where only effects are written."""
    effects: tuple[Effect, ...] = ()

    def __post_init__(self) -> None:
        expected = list(range(self.expected_version + 1, self.instance.version + 1))
        if [entry.sequence for entry in self.entries] != expected:
            raise ValueError(f"the entries of a change from version {self.expected_version} must be {expected}")


@dataclass(frozen=True, slots=True)
class Removal:
    """The end of an instance's row: it goes with its history and receipts, and only from `expected_version`."""

    expected_version: int
    entry: ArchiveEntry
    """What is kept instead."""
