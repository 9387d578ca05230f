"""The tables of the memory store: all that is committed, or what one transaction wrote so far."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.change import Change
from detent.store.copies import copy_entry, copy_instance
from detent.store.messages import Delivery, DeliveryStatus, InboxMessage
from detent.store.records import ArchiveEntry, HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import ENDED_RUNS, Run


@dataclass(slots=True)
class Rows:
    """Rows by table. Rows themselves are never edited, only replaced."""

    instances: dict[UUID, WorkflowInstance] = field(default_factory=dict)
    history: dict[UUID, list[HistoryEntry]] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    archive: dict[UUID, ArchiveEntry] = field(default_factory=dict)
    runs: dict[UUID, Run] = field(default_factory=dict)
    messages: dict[UUID, InboxMessage] = field(default_factory=dict)
    deliveries: dict[UUID, Delivery] = field(default_factory=dict)
    removed: set[UUID] = field(default_factory=set)
    """Instances whose older rows go at the commit; an id may be used again, so newer ones may stand beside it."""
    taken: set[UUID] = field(default_factory=set)
    """Messages that go at the commit; so for ids that are used again."""
    values: dict[tuple[str, str], JsonValue] = field(default_factory=dict)
    """What commands put, by table and key."""
    instance_values: dict[UUID, dict[str, JsonValue]] = field(default_factory=dict)
    """What is kept beside instances, by instance and ref; only the committed rows have any."""
    last_number: int = 0
    """The highest number that a message or a delivery was given; only the committed rows count."""

    def copy(self) -> "Rows":
        """The same rows in dicts, lists and sets of their own."""
        return replace(
            self,
            instances=dict(self.instances),
            history={instance_id: list(entries) for instance_id, entries in self.history.items()},
            receipts=dict(self.receipts),
            archive=dict(self.archive),
            runs=dict(self.runs),
            messages=dict(self.messages),
            deliveries=dict(self.deliveries),
            removed=set(self.removed),
            taken=set(self.taken),
            values=dict(self.values),
            instance_values={instance_id: dict(kept) for instance_id, kept in self.instance_values.items()},
        )

    def put_step(self, change: Change) -> None:
        """Keep copies of the instance of `change`, and of its entries behind those that are there."""
        instance_id = change.instance.id
        # Copied before anything is written: whatever cannot be copied leaves no half of a step.
        instance, entries = copy_instance(change.instance), [copy_entry(entry) for entry in change.entries]
        self.instances[instance_id] = instance
        self.history.setdefault(instance_id, []).extend(entries)

    def next_number(self) -> int:
        """A number above all that were given before; it is not given again when the one who asked for it rolls back."""
        self.last_number += 1
        return self.last_number

    def absorb(self, newer: "Rows") -> None:
        """Take over the rows of a transaction."""
        if newer.removed:
            self.forget(newer.removed)
        self.instances.update(newer.instances)
        for instance_id, entries in newer.history.items():
            self.history.setdefault(instance_id, []).extend(entries)
        self.receipts.update(newer.receipts)
        self.archive.update(newer.archive)
        for message_id in newer.taken:
            self.messages.pop(message_id, None)
        # Who writes to an instance that is not his own does not hold it: it may be gone by now.
        self.runs.update({run.id: run for run in newer.runs.values() if run.instance_id in self.instances})
        self.messages.update(
            {message.id: message for message in newer.messages.values() if message.instance_id in self.instances}
        )
        self.deliveries.update(newer.deliveries)
        self.values.update(newer.values)

    def forget(self, instance_ids: set[UUID]) -> None:
        """Drop the rows of these instances, except what is archived of them and what is on its way to subscribers."""
        for instance_id in instance_ids:
            self.instances.pop(instance_id, None)
            self.history.pop(instance_id, None)
            self.instance_values.pop(instance_id, None)
        self.receipts = {key: kept for key, kept in self.receipts.items() if kept.instance_id not in instance_ids}
        self.runs = {run.id: run for run in self.runs.values() if run.instance_id not in instance_ids}
        self.messages = {each.id: each for each in self.messages.values() if each.instance_id not in instance_ids}

    def prune_history(self, instance_id: UUID, before: datetime) -> int:
        """Drop entries from before an instant, up to the first one that is not, and never the last; answers how many."""
        entries = self.history.get(instance_id, [])
        kept = next((index for index, entry in enumerate(entries) if entry.created_at >= before), len(entries) - 1)
        dropped = max(0, kept)
        if dropped:
            self.history[instance_id] = entries[dropped:]
        return dropped

    def prune_receipts(self, now: datetime, limit: int) -> int:
        """Drop up to `limit` receipts that have expired at `now`; answers how many."""
        expired = [key for key, receipt in self.receipts.items() if receipt.expires_at <= now][:limit]
        for key in expired:
            del self.receipts[key]
        return len(expired)

    def prune_runs(self, before: datetime, limit: int, tenant: str | None) -> int:
        """Drop up to `limit` runs that ended before an instant, the oldest first; answers how many."""
        ended = [
            (run.finished_at, run.id)
            for run in self.runs.values()
            if run.status in ENDED_RUNS
            and run.finished_at is not None
            and run.finished_at < before
            and tenant in (None, run.tenant)
        ]
        for _, run_id in sorted(ended)[:limit]:
            del self.runs[run_id]
        return min(limit, len(ended))

    def prune_deliveries(self, before: datetime, limit: int) -> int:
        """Drop up to `limit` deliveries that were made before an instant, the oldest first; answers how many."""
        made = [
            (delivery.finished_at, delivery.id)
            for delivery in self.deliveries.values()
            if delivery.status is DeliveryStatus.DELIVERED
            and delivery.finished_at is not None
            and delivery.finished_at < before
        ]
        for _, delivery_id in sorted(made)[:limit]:
            del self.deliveries[delivery_id]
        return min(limit, len(made))
