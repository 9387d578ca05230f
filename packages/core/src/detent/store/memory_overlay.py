"""The rows as one transaction of the memory store sees them: its own ones over the committed ones."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from detent.json_values import JsonValue
from detent.store.change import Change, Removal
from detent.store.copies import (
    copy_archive_entry,
    copy_delivery,
    copy_instance,
    copy_message,
    copy_receipt,
    copy_run,
)
from detent.store.memory_rows import Rows
from detent.store.messages import Delivery, InboxMessage
from detent.store.protocol import Existing
from detent.store.records import HistoryEntry, Receipt, ReceiptKey, WorkflowInstance
from detent.store.run_records import Run


class Overlay:
    """What a transaction sees and writes. What is asked for by id is a copy; what is listed are the rows themselves."""

    def __init__(self, committed: Rows) -> None:
        self.committed = committed
        self._written = Rows()

    def mark(self) -> Rows:
        """What was written so far, for `restore`."""
        return self._written.copy()

    def restore(self, mark: Rows) -> None:
        """Undo what was written since `mark`."""
        self._written = mark

    def commit(self) -> None:
        """Make everything visible at once."""
        self.committed.absorb(self._written)

    def instance(self, instance_id: UUID) -> WorkflowInstance | None:
        """The record."""
        found = self._written.instances.get(instance_id)
        if found is None and instance_id not in self._written.removed:
            found = self.committed.instances.get(instance_id)
        return copy_instance(found) if found else None

    def instances(self) -> Iterator[WorkflowInstance]:
        """All records, in no order."""
        written = self._written
        yield from written.instances.values()
        for instance_id, instance in self.committed.instances.items():
            if instance_id not in written.instances and instance_id not in written.removed:
                yield instance

    def history(self, instance_id: UUID) -> list[HistoryEntry]:
        """The entries of an instance, the oldest first."""
        gone = instance_id in self._written.removed
        committed = [] if gone else self.committed.history.get(instance_id, [])
        return committed + self._written.history.get(instance_id, [])

    def receipt(self, key: ReceiptKey | None, now: datetime) -> Receipt | None:
        """The receipt under `key` that has not expired at `now`."""
        if key is None:
            return None
        found = self._written.receipts.get(key)
        if found is None:
            found = self.committed.receipts.get(key)
            if found and found.instance_id in self._written.removed:
                return None
        return copy_receipt(found) if found and found.expires_at > now else None

    def recall(self, key: ReceiptKey, now: datetime) -> Existing | None:
        """The receipt under `key` that has not expired at `now`, with its instance."""
        receipt = self.receipt(key, now)
        return Existing(receipt, self._instance_of(receipt)) if receipt else None

    def run(self, run_id: UUID) -> Run | None:
        """The run."""
        found = self._written.runs.get(run_id)
        if found is None:
            found = self.committed.runs.get(run_id)
            if found and found.instance_id in self._written.removed:
                return None
        return copy_run(found) if found else None

    def runs(self) -> Iterator[Run]:
        """All runs, in no order."""
        written = self._written
        yield from written.runs.values()
        for run in self.committed.runs.values():
            if run.id not in written.runs and run.instance_id not in written.removed:
                yield run

    def message(self, message_id: UUID) -> InboxMessage | None:
        """The message."""
        found = self._written.messages.get(message_id)
        if found is None and message_id not in self._written.taken:
            found = self.committed.messages.get(message_id)
            if found and found.instance_id in self._written.removed:
                return None
        return copy_message(found) if found else None

    def messages(self) -> list[InboxMessage]:
        """All messages, by rising number."""
        return sorted(self._messages(), key=lambda message: message.number)

    def delivery(self, delivery_id: UUID) -> Delivery | None:
        """The delivery."""
        found = self._written.deliveries.get(delivery_id) or self.committed.deliveries.get(delivery_id)
        return copy_delivery(found) if found else None

    def deliveries(self) -> list[Delivery]:
        """All deliveries, by rising number."""
        seen = {**self.committed.deliveries, **self._written.deliveries}
        return sorted(seen.values(), key=lambda delivery: delivery.number)

    def value(self, table: str, key: str) -> JsonValue:
        """What is kept under `key`; the value itself, and `None` when there is nothing."""
        if (table, key) in self._written.values:
            return self._written.values[table, key]
        return self.committed.values.get((table, key))

    def put_value(self, table: str, key: str, value: JsonValue) -> None:
        """Keep `value` under `key`."""
        self._written.values[table, key] = value

    def put_step(self, change: Change) -> None:
        """Keep the instance of `change`, and its entries behind those that are there."""
        self._written.put_step(change)

    def put_receipt(self, receipt: Receipt) -> None:
        """Keep a receipt, in the place of an older one under its key."""
        self._written.receipts[receipt.key] = copy_receipt(receipt)

    def put_run(self, run: Run) -> None:
        """Keep a run, new or as it is now."""
        self._written.runs[run.id] = copy_run(run)

    def put_message(self, message: InboxMessage) -> None:
        """Keep a message, new or as it is now, under the number that it has."""
        self._written.messages[message.id] = copy_message(message)

    def take_message(self, message_id: UUID) -> None:
        """Take a message out."""
        self._written.messages.pop(message_id, None)
        self._written.taken.add(message_id)

    def put_delivery(self, delivery: Delivery) -> None:
        """Keep a delivery, new or as it is now, under the number that it has."""
        self._written.deliveries[delivery.id] = copy_delivery(delivery)

    def remove(self, removal: Removal) -> None:
        """Take out an instance with everything that goes with it, and keep what remains of it."""
        instance_id = removal.entry.instance_id
        self._written.forget({instance_id})
        self._written.removed.add(instance_id)
        self._written.archive[instance_id] = copy_archive_entry(removal.entry)

    def _messages(self) -> Iterable[InboxMessage]:
        written = self._written
        yield from written.messages.values()
        for message in self.committed.messages.values():
            replaced = message.id in written.messages or message.id in written.taken
            if not replaced and message.instance_id not in written.removed:
                yield message

    def _instance_of(self, receipt: Receipt) -> WorkflowInstance:
        instance = self.instance(receipt.instance_id)
        if instance is None:
            raise LookupError(f"receipt {receipt.key} names an instance that does not exist")
        return instance
