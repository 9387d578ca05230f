"""Deciding many calls over what was read at once, as if each had been committed before the next one was decided.

Whoever comes second to an instance decides over what the first one made of it, and sees the receipts of his own commit. A
decision that was made so leans on the ones before it: where one of those does not stand, it has to be made again. The same
goes for one that assumes a record which the caller knew, where another is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from detent.store.change import Change, PutReceipt
from detent.store.copies import copy_instance, copy_receipt
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent.store.sqlite_calls import Call


@dataclass(slots=True, eq=False)
class Seen:
    """What a call is decided over, or the error that came of reading it."""

    call: Call
    record: WorkflowInstance | None
    receipt: Receipt | None
    now: datetime
    error: Exception | None = None
    read: bool = True
    """Whether it was read for this decision; else it is the record that the caller knew."""


@dataclass(slots=True, eq=False)
class Decision:
    """What was decided for a call, and later what became of it."""

    call: Call
    now: datetime
    change: Change | None = None
    answer: Any = None
    error: BaseException | None = None
    leans_on: tuple["Decision", ...] = ()
    assumes: WorkflowInstance | None = None
    """A record that was not read, and has to be what is stored."""
    stands: bool = True
    """Whether whoever decided over what it wanted to write was right."""
    again: bool = False
    """Whether it has to be decided again."""

    @property
    def is_written(self) -> bool:
        """Whether its change was written."""
        return self.change is not None and self.stands

    def fail(self, error: BaseException) -> None:
        """It was not written, because of `error`."""
        self.error, self.stands = error, False


class _Drafts:
    """The last change that was decided for each instance, and the last receipt under each key."""

    def __init__(self) -> None:
        self._changed: dict[UUID, tuple[Decision, WorkflowInstance]] = {}
        self._answered: dict[ReceiptKey, tuple[Decision, Receipt]] = {}

    def decide(self, seen: Seen) -> Decision:
        """Decide in the caller's context; whatever is raised is the caller's."""
        call, decision = seen.call, Decision(seen.call, seen.now)
        if seen.error is not None:
            decision.error = seen.error
            return decision
        try:
            record, receipt = self._before(seen, decision)
            decision.change, decision.answer = call.context.run(call.decide, record, receipt, seen.now)
        except BaseException as error:
            decision.error = error
        return decision

    def add(self, change: Change, decision: Decision) -> None:
        """Let those who come next see `change`."""
        self._changed[change.instance.id] = decision, change.instance
        if change.effects:
            for put in change.effects_of(PutReceipt):
                self._answered[put.receipt.key] = decision, put.receipt

    def _before(self, seen: Seen, decision: Decision) -> tuple[WorkflowInstance | None, Receipt | None]:
        record, receipt, key = seen.record, seen.receipt, seen.call.key
        if seen.call.instance_id in self._changed:
            earlier, draft = self._changed[seen.call.instance_id]
            decision.leans_on = (earlier,)
            # A copy: the draft also belongs to the answer of the one before.
            record = copy_instance(draft)
        elif not seen.read:
            decision.assumes = record
        if key is not None and key in self._answered:
            earlier, put = self._answered[key]
            decision.leans_on = (*decision.leans_on, earlier)
            receipt = copy_receipt(put) if put.expires_at > seen.now else None
        return record, receipt


def without_reading(calls: Sequence[Call], now: datetime) -> list[Seen]:
    """What calls are decided over of which none `reads`."""
    return [Seen(call, call.known, None, call.now or now, read=False) for call in calls]


def decided(seen: Sequence[Seen]) -> list[Decision]:
    """A decision for each, made one after the other in this order."""
    drafts, decisions = _Drafts(), []
    for one in seen:
        decision = drafts.decide(one)
        if decision.change is not None:
            drafts.add(decision.change, decision)
        decisions.append(decision)
    return decisions
