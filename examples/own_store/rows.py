"""The rows of a store, and the operations that change them: a commit is a list of operations, and a line of the journal."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Field, TypeAdapter

from detent.json_values import JsonValue
from detent.store.copies import copy_entry, copy_instance, copy_receipt
from detent.store.protocol import Existing
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    ReceiptKey,
    WorkflowInstance,
)


@dataclass(slots=True)
class Rows:
    """Rows by table. Rows themselves are never edited, and what leaves the store is a copy."""

    instances: dict[UUID, WorkflowInstance] = field(default_factory=dict)
    history: dict[UUID, list[HistoryEntry]] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    archive: dict[UUID, ArchiveEntry] = field(default_factory=dict)
    definitions: dict[tuple[str, str], DefinitionSnapshot] = field(default_factory=dict)
    values: dict[str, JsonValue] = field(default_factory=dict)
    """What commands put."""

    def copy(self) -> "Rows":
        """The same rows in dicts and lists of their own."""
        return Rows(
            dict(self.instances),
            {instance_id: list(entries) for instance_id, entries in self.history.items()},
            dict(self.receipts),
            dict(self.archive),
            dict(self.definitions),
            dict(self.values),
        )

    def instance(self, instance_id: UUID) -> WorkflowInstance | None:
        """The record of an instance."""
        found = self.instances.get(instance_id)
        return copy_instance(found) if found else None

    def page(self, instance_id: UUID, before: int | None, limit: int) -> list[HistoryEntry]:
        """Up to `limit` history entries with a sequence below `before`, the newest first."""
        newest_first = reversed(self.history.get(instance_id, []))
        return [copy_entry(entry) for entry in newest_first if before is None or entry.sequence < before][:limit]

    def receipt(self, key: ReceiptKey | None, now: datetime) -> Receipt | None:
        """The receipt under `key` that has not expired at `now`."""
        found = self.receipts.get(key) if key else None
        return copy_receipt(found) if found and found.expires_at > now else None

    def recall(self, key: ReceiptKey, now: datetime) -> Existing | None:
        """The receipt under `key` that has not expired at `now`, with its instance."""
        receipt = self.receipt(key, now)
        return Existing(receipt, copy_instance(self.instances[receipt.instance_id])) if receipt else None


@dataclass(frozen=True, slots=True)
class Step:
    """A change was written."""

    instance: WorkflowInstance
    entries: tuple[HistoryEntry, ...]
    receipts: tuple[Receipt, ...]
    kind: Literal["step"] = "step"

    def apply_to(self, rows: Rows) -> None:
        # A change without entries only brings receipts.
        if self.entries:
            rows.instances[self.instance.id] = self.instance
            rows.history.setdefault(self.instance.id, []).extend(self.entries)
        rows.receipts.update((receipt.key, receipt) for receipt in self.receipts)


@dataclass(frozen=True, slots=True)
class Remove:
    """An instance was taken out, with its history and receipts; this is kept of it."""

    entry: ArchiveEntry
    kind: Literal["remove"] = "remove"

    def apply_to(self, rows: Rows) -> None:
        removed = self.entry.instance_id
        del rows.instances[removed], rows.history[removed]
        rows.receipts = {key: receipt for key, receipt in rows.receipts.items() if receipt.instance_id != removed}
        rows.archive[removed] = self.entry


@dataclass(frozen=True, slots=True)
class PruneHistory:
    """The entries of an instance below a sequence were taken out."""

    instance_id: UUID
    first_kept: int
    kind: Literal["prune_history"] = "prune_history"

    def apply_to(self, rows: Rows) -> None:
        entries = rows.history[self.instance_id]
        rows.history[self.instance_id] = [entry for entry in entries if entry.sequence >= self.first_kept]


@dataclass(frozen=True, slots=True)
class PruneReceipts:
    """Receipts that had expired were taken out."""

    keys: tuple[ReceiptKey, ...]
    kind: Literal["prune_receipts"] = "prune_receipts"

    def apply_to(self, rows: Rows) -> None:
        for key in self.keys:
            del rows.receipts[key]


@dataclass(frozen=True, slots=True)
class Define:
    """A version of a workflow was stored for the first time."""

    snapshot: DefinitionSnapshot
    kind: Literal["define"] = "define"

    def apply_to(self, rows: Rows) -> None:
        rows.definitions[self.snapshot.workflow, self.snapshot.version] = self.snapshot


@dataclass(frozen=True, slots=True)
class Put:
    """A command, or the application, kept a value."""

    key: str
    value: JsonValue
    kind: Literal["put"] = "put"

    def apply_to(self, rows: Rows) -> None:
        rows.values[self.key] = self.value


Operation: TypeAlias = Step | Remove | PruneHistory | PruneReceipts | Define | Put
"""Something that happened to the rows, told so that doing it again to the same rows leads to the same rows."""

_COMMIT = TypeAdapter[list[Operation]](list[Annotated[Operation, Field(discriminator="kind")]])


def to_line(commit: list[Operation]) -> bytes:
    """A commit as one line of JSON."""
    return _COMMIT.dump_json(commit) + b"\n"


def from_line(line: bytes) -> list[Operation]:
    """The commit of a line; raises `ValueError` for what is none."""
    return _COMMIT.validate_json(line)
