"""Deciding steps on one record, one after the other, in memory: each over what the one before it leads to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from detent.store.change import AddMessage, Change, Publish, PutReceipt
from detent.store.copies import copy_instance, copy_receipt
from detent.store.protocol import Decide, Known
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent_pg.batch import Waiting

Receipts: TypeAlias = Mapping[ReceiptKey, Receipt]

_ADDING = (PutReceipt, Publish, AddMessage)
"""Effects that only add rows: any number of changes of one instance may have them in one statement. The others move rows that a
change before them may just have added, which one statement cannot see.
"""


@dataclass(slots=True, eq=False)
class Decision:
    """A step to decide."""

    instance_id: UUID
    decide: Decide[Any]
    key: ReceiptKey | None
    now: datetime | None
    known: Known | None
    """What whoever asks has seen last."""

    def seen(self) -> WorkflowInstance | None:
        """The record to decide over without reading, if there is one. A key has to be looked up in any case."""
        return None if self.known is None or self.key is not None else self.known(self.instance_id)


Step: TypeAlias = Waiting[Decision, Any]


@dataclass(slots=True)
class Verdicts:
    """What decisions on one record came to; nothing of it is true before the changes are committed."""

    changes: list[Change] = field(default_factory=list)
    """What is to be written, each from the version that the one before it leads to."""
    outcomes: list[tuple[Step, Change | None, Any]] = field(default_factory=list)
    """Whose step led to which change and answer."""
    errors: list[tuple[Step, BaseException]] = field(default_factory=list)
    """Whose step raised what."""
    left: list[Step] = field(default_factory=list)
    """Those that have to be decided in another commit."""
    moved_at: datetime | None = None
    """The instant that whoever moves rows brought, of whom there is one at most: a lease is judged at it."""

    def tell(self) -> None:
        """Answer everyone; the changes are committed."""
        for step, change, answer in self.outcomes:
            step.done(answer, committed=change is not None)
        for step, error in self.errors:
            step.failed(error)


def decide_all(record: WorkflowInstance, steps: Sequence[Step], receipts: Receipts, now: datetime) -> Verdicts:
    """Decide `steps` in their order. Each sees the receipts that were put before it; `now` is for those who bring no time."""
    verdicts = Verdicts()
    put: dict[ReceiptKey, Receipt] = {}
    moves_rows = False
    for place, step in enumerate(steps):
        asked = step.work
        if place:
            # What one caller is answered must not be what the next one's answer is made of.
            record = copy_instance(record)
        instant = asked.now or now
        receipt = _valid(put.get(asked.key) or receipts.get(asked.key), instant) if asked.key else None
        try:
            change, answer = step.context.run(asked.decide, record, receipt, instant)
        except BaseException as error:
            verdicts.errors.append((step, error))
            continue
        if change is not None:
            moves = bool(change.effects) and any(not isinstance(effect, _ADDING) for effect in change.effects)
            if verdicts.changes and ((moves and moves_rows) or change.expected_version != record.version):
                verdicts.left.extend(steps[place:])
                break
            verdicts.changes.append(change)
            if moves:
                moves_rows, verdicts.moved_at = True, asked.now
            if change.effects:
                put |= {effect.receipt.key: effect.receipt for effect in change.effects_of(PutReceipt)}
            record = change.instance
        verdicts.outcomes.append((step, change, answer))
    return verdicts


def _valid(receipt: Receipt | None, now: datetime) -> Receipt | None:
    return copy_receipt(receipt) if receipt is not None and receipt.expires_at > now else None
