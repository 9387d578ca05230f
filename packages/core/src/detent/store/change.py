"""Everything one step wants written, as one value, and the removal of an instance: the only things a store writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from detent.json_values import JsonObject
from detent.store.messages import Delivery, InboxMessage
from detent.store.quick import quickly_made
from detent.store.records import ArchiveEntry, HistoryEntry, Receipt, WorkflowInstance
from detent.store.run_records import Checkpoint, Lease, Run, RunStatus


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """Remember what an idempotency key was answered; an expired receipt under the same key is replaced."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class AddRun:
    """Begin a durable transition. A run that is `RUNNING` is held by whoever begins it, as if claimed under its lease."""

    run: Run


@dataclass(frozen=True, slots=True)
class MoveRun:
    """Give a run that has not ended another status, and end its lease; one that has ended stays as it is.

    `PENDING` forgets attempts and crashes and makes it available at `at`; a status that ends it keeps `at` as its end.
    """

    run_id: UUID
    status: RunStatus
    at: datetime
    reason: str | None = None
    error: JsonObject | None = None
    """Replaces what the last failed attempt left, where it is given."""
    lease: Lease | None = None
    """What whoever moves the run holds it by. One that is lost, at the instant of the step, undoes the whole change, as that of a
    `SaveStep` does; without one the run is moved whoever holds it.
    """


@dataclass(frozen=True, slots=True)
class SaveStep:
    """Save a checkpoint in the commit of a transactional command, its lease judged at the instant of the step. One that is lost
    undoes the whole change.
    """

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class AddMessage:
    """Send an event, to this instance or to another. Where that one is gone, the message goes with it."""

    message: InboxMessage


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """Take a message out of the inbox: it was applied. If it is gone already, the whole change is undone."""

    message_id: UUID


@dataclass(frozen=True, slots=True)
class PutBack:
    """Write what became of a message that was not taken: attempts, reason, when it is tried again, whether it is dead."""

    message: InboxMessage


@dataclass(frozen=True, slots=True)
class Publish:
    """Begin a delivery."""

    delivery: Delivery


Effect: TypeAlias = PutReceipt | AddRun | MoveRun | SaveStep | AddMessage | TakeMessage | PutBack | Publish
"""A row to write beside the instance and its history. A later part adds a type here, not a verb to the store."""

E = TypeVar("E", bound=Effect)


@quickly_made
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
        if not self._is_dense():
            expected = list(range(self.expected_version + 1, self.instance.version + 1))
            raise ValueError(f"the entries of a change from version {self.expected_version} must be {expected}")

    def _is_dense(self) -> bool:
        sequence = self.expected_version
        for entry in self.entries:
            sequence += 1
            if entry.sequence != sequence:
                return False
        return sequence == self.instance.version

    def effects_of(self, kind: type[E]) -> tuple[E, ...]:
        """The effects of one kind, in order."""
        return tuple(effect for effect in self.effects if isinstance(effect, kind))


@dataclass(frozen=True, slots=True)
class Removal:
    """The end of an instance's row: it goes with its history, receipts, runs and inbox, and only from `expected_version`."""

    expected_version: int
    entry: ArchiveEntry
    """What is kept instead."""
