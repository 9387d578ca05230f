"""The rows of a store, by table, and what is read from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.copies import copy_entry, copy_instance, copy_message, copy_receipt, copy_run
from detent.store.messages import Delivery, InboxMessage
from detent.store.protocol import Existing
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    ReceiptKey,
    WorkflowInstance,
)
from detent.store.run_records import Run


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
    runs: dict[UUID, Run] = field(default_factory=dict)
    messages: dict[UUID, InboxMessage] = field(default_factory=dict)
    """By rising number: a new one comes last, and one that is put again keeps its place. So do deliveries."""
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    last_number: int = 0
    """The highest number that a message or a delivery was given."""
    claims: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    """When runs of a queue with a rate were claimed, as far back as the rate asks for."""
    instance_values: dict[UUID, dict[str, JsonValue]] = field(default_factory=dict)
    """What is kept beside instances, by ref."""

    def copy(self) -> "Rows":
        """The same rows in dicts and lists of their own."""
        return Rows(
            dict(self.instances),
            {instance_id: list(entries) for instance_id, entries in self.history.items()},
            dict(self.receipts),
            dict(self.archive),
            dict(self.definitions),
            dict(self.values),
            dict(self.runs),
            dict(self.messages),
            dict(self.deliveries),
            self.last_number,
            dict(self.claims),
            {instance_id: dict(kept) for instance_id, kept in self.instance_values.items()},
        )

    def instance(self, instance_id: UUID) -> WorkflowInstance | None:
        """The record of an instance."""
        found = self.instances.get(instance_id)
        return copy_instance(found) if found else None

    def version(self, instance_id: UUID) -> int:
        """The version of an instance; 0 while there is none."""
        found = self.instances.get(instance_id)
        return found.version if found else 0

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

    def run(self, run_id: UUID) -> Run | None:
        """The run."""
        found = self.runs.get(run_id)
        return copy_run(found) if found else None

    def has_active_run(self, instance_id: UUID) -> bool:
        """Whether a run of the instance has not ended."""
        return any(run.instance_id == instance_id and run.is_active for run in self.runs.values())

    def beside(self, instance_id: UUID) -> Mapping[str, JsonValue]:
        """What is kept beside an instance, by ref; the values themselves."""
        return self.instance_values.get(instance_id, {})

    def waiting(self, instance_id: UUID, after: int) -> Iterator[InboxMessage]:
        """The messages to an instance that are not dead, by rising number and above `after`."""
        for message in self.messages.values():
            if message.instance_id == instance_id and message.dead_at is None and message.number > after:
                yield copy_message(message)
