"""The operations that change the rows: a commit is a list of operations, and a line of the journal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Field, TypeAdapter

from detent.json_values import JsonValue
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import (
    ArchiveEntry,
    DefinitionSnapshot,
    HistoryEntry,
    Receipt,
    ReceiptKey,
    WorkflowInstance,
)
from detent.store.run_records import Run
from examples.own_store.rows import Rows


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
    """An instance was taken out, with its history, receipts, runs, messages and values; this is kept of it."""

    entry: ArchiveEntry
    kind: Literal["remove"] = "remove"

    def apply_to(self, rows: Rows) -> None:
        removed = self.entry.instance_id
        del rows.instances[removed], rows.history[removed]
        rows.receipts = {key: receipt for key, receipt in rows.receipts.items() if receipt.instance_id != removed}
        rows.runs = {run.id: run for run in rows.runs.values() if run.instance_id != removed}
        rows.messages = {each.id: each for each in rows.messages.values() if each.instance_id != removed}
        rows.instance_values.pop(removed, None)
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


@dataclass(frozen=True, slots=True)
class PutRun:
    """A run began, or is now like this."""

    run: Run
    kind: Literal["put_run"] = "put_run"

    def apply_to(self, rows: Rows) -> None:
        rows.runs[self.run.id] = self.run


@dataclass(frozen=True, slots=True)
class PutMessage:
    """A message was sent, or is now like this."""

    message: InboxMessage
    kind: Literal["put_message"] = "put_message"

    def apply_to(self, rows: Rows) -> None:
        rows.messages[self.message.id] = self.message
        rows.last_number = max(rows.last_number, self.message.number)


@dataclass(frozen=True, slots=True)
class PutDelivery:
    """A delivery was published, or is now like this."""

    delivery: Delivery
    kind: Literal["put_delivery"] = "put_delivery"

    def apply_to(self, rows: Rows) -> None:
        rows.deliveries[self.delivery.id] = self.delivery
        rows.last_number = max(rows.last_number, self.delivery.number)


@dataclass(frozen=True, slots=True)
class Drop:
    """These rows of a table were taken out."""

    table: Literal["runs", "messages", "deliveries"]
    ids: tuple[UUID, ...]
    kind: Literal["drop"] = "drop"

    def apply_to(self, rows: Rows) -> None:
        table: dict[UUID, object] = getattr(rows, self.table)
        for row_id in self.ids:
            del table[row_id]


@dataclass(frozen=True, slots=True)
class PutClaims:
    """Runs of a queue with a rate were claimed, at these instants."""

    queue: str
    instants: tuple[datetime, ...]
    kind: Literal["put_claims"] = "put_claims"

    def apply_to(self, rows: Rows) -> None:
        rows.claims[self.queue] = self.instants


@dataclass(frozen=True, slots=True)
class PutValue:
    """A value was put beside an instance, in the place of what was there."""

    instance_id: UUID
    ref: str
    value: JsonValue
    kind: Literal["put_value"] = "put_value"

    def apply_to(self, rows: Rows) -> None:
        rows.instance_values.setdefault(self.instance_id, {})[self.ref] = self.value


@dataclass(frozen=True, slots=True)
class DropValues:
    """Values beside an instance were taken out."""

    instance_id: UUID
    refs: tuple[str, ...]
    kind: Literal["drop_values"] = "drop_values"

    def apply_to(self, rows: Rows) -> None:
        for ref in self.refs:
            del rows.instance_values[self.instance_id][ref]


Operation: TypeAlias = (
    Step
    | Remove
    | PruneHistory
    | PruneReceipts
    | Define
    | Put
    | PutRun
    | PutMessage
    | PutDelivery
    | Drop
    | PutClaims
    | PutValue
    | DropValues
)
"""Something that happened to the rows, told so that doing it again to the same rows leads to the same rows."""

_COMMIT = TypeAdapter[list[Operation]](list[Annotated[Operation, Field(discriminator="kind")]])


def to_line(commit: list[Operation]) -> bytes:
    """A commit as one line of JSON."""
    return _COMMIT.dump_json(commit) + b"\n"


def from_line(line: bytes) -> list[Operation]:
    """The commit of a line; raises `ValueError` for what is none."""
    return _COMMIT.validate_json(line)
