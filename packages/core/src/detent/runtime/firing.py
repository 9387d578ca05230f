"""Due timeouts: claimed and fired, in batches where nothing but a decision runs, one by one where commands do."""

import logging
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from detent.errors import (
    DefinitionInvalid,
    InstanceBusy,
    InstanceNotFound,
    OutcomeUnknown,
    StepRolledBack,
    StoreUnavailable,
    UnknownVersion,
    WorkflowUnavailable,
)
from detent.runtime.attempt import Attempt
from detent.runtime.caller import Caller
from detent.runtime.draft import Draft
from detent.runtime.execution import Execution, Taken, locked_record
from detent.runtime.failure import failure_change
from detent.runtime.history import cleaned
from detent.runtime.intent import TakeEvent
from detent.runtime.machines import VersionNotLoaded
from detent.runtime.parts import Parts
from detent.runtime.timers import due_timer, interrupting
from detent.store.change import Change, Effect
from detent.store.records import HistoryEntry, Outcome, Receipt, WorkflowInstance

logger = logging.getLogger("detent.timeouts")

BATCH = 500
"""How many instances are claimed in one transaction."""


class _Fired(Enum):
    """What became of one due instance."""

    PROCESSED = "processed"
    REFUSED = "refused"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep over the due timeouts did."""

    processed: int
    """Timeouts that fired and moved their instance, or did their work in place."""
    refused: int
    """Timeouts that a guard refused; they fire again after a back-off."""
    failed: int
    """Timeouts whose attempt was rolled back; they fire again after a back-off."""
    parked: int
    """Of the refused and failed ones, those whose attempts are used up."""
    skipped: int
    """Instances that another step held or had already moved."""


@dataclass(slots=True)
class _Note:
    """One decided firing, reported once it is committed."""

    fired: _Fired
    instance: WorkflowInstance
    entries: tuple[HistoryEntry, ...]
    effects: tuple[Effect, ...]
    attempt: Attempt


class Firing:
    """Fires due timeouts. One per runtime."""

    def __init__(self, parts: Parts, execution: Execution) -> None:
        self._parts = parts
        self._execution = execution

    async def sweep(self, limit: int, tenant: str | None) -> SweepReport:
        """Fire up to `limit` due timeouts, of one tenant or of all, the longest due first; several sweepers may run at once."""
        counts: Counter[str] = Counter()
        left = limit
        while left > 0:
            moved = await self._batch(counts, min(left, BATCH), tenant)
            left -= moved
            if moved == 0:
                break
        return SweepReport(**{name: counts[name] for name in SweepReport.__dataclass_fields__})

    async def _batch(self, counts: Counter[str], limit: int, tenant: str | None) -> int:
        """Claim once, and count what became of the claimed ones; how many of them somebody else does not have."""
        store, workflows = self._parts.store, self._parts.machines.available
        claimed = await store.fire_due(
            self._decide, limit=limit, workflows=workflows, tenant=tenant, now=self._parts.now
        )
        for _, note in claimed:
            # Committed already: told before any command of this sweep runs, and whatever becomes of it.
            self._report(note)
        moved = 0
        for instance_id, note in claimed:
            moved += _count(counts, note or await self._fire_alone(instance_id))
        return moved

    def _decide(
        self, record: WorkflowInstance, _receipt: Receipt | None, now: datetime
    ) -> tuple[Change | None, _Note | None]:
        """Decide one due instance of a batch; `None` leaves it to a transaction of its own. Never raises."""
        attempt = _attempt_of(record, now)
        if attempt is None:
            return None, None
        intent = TakeEvent(attempt)
        try:
            draft = self._execution.draft_of(record, intent, now)
            if intent.needs_lock(draft.machine, record):
                return None, None
            with self._parts.traced(attempt, record, "timer"):
                self._execution.run_in_place(draft, intent)
                draft.tell_span()
        except VersionNotLoaded:
            return None, None
        except Exception as error:
            return self._failure(record, attempt, error, now)
        return self._parts.concluded(draft), _note_of(draft)

    def _failure(
        self, record: WorkflowInstance, attempt: Attempt, error: Exception, now: datetime
    ) -> tuple[Change, _Note]:
        logger.warning("timeout %r of instance %s failed: %s", attempt.event, record.id, cleaned(str(error)))
        retry = self._parts.settings.timeout_retry
        if isinstance(error, UnknownVersion | DefinitionInvalid | WorkflowUnavailable):
            # Another process may be able to run that version: it is never parked for want of it here.
            retry = replace(retry, attempts=sys.maxsize)
        change = failure_change(record, attempt, error, now, retry, record_changes=self._parts.settings.record_changes)
        return change, _Note(_Fired.FAILED, change.instance, change.entries, change.effects, attempt)

    async def _fire_alone(self, instance_id: UUID) -> _Note | None:
        """Fire the due timeout of one instance in a transaction of its own; `None` when somebody else has it."""
        try:
            return await self._parts.unbroken(self._execution.fetching(lambda: self._fire(instance_id)))
        except (UnknownVersion, DefinitionInvalid) as error:
            # Its version cannot run in this process. Backed off, it neither stops nor starves the others.
            return await self._postpone(instance_id, error)

    async def _fire(self, instance_id: UUID) -> _Note | None:
        attempt: Attempt | None = None
        taken: Taken | None = None
        try:
            # Entered inside the transaction, where the event is known, and left behind it: a span encloses the commit.
            with ExitStack() as traced:
                async with self._parts.store.transaction(instance_id, now=self._parts.now, wait=False) as unit:
                    record = locked_record(unit)
                    attempt = _attempt_of(record, unit.now)
                    if attempt is not None:
                        self._parts.machines.governing(record)
                        traced.enter_context(self._parts.traced(attempt, record, "timer"))
                        taken = await self._execution.perform(TakeEvent(attempt), unit)
        except VersionNotLoaded:
            raise
        except Exception as error:
            if attempt is not None and error is attempt.raised:
                return await self._postpone(instance_id, error, attempt)
            if isinstance(error, InstanceBusy | InstanceNotFound):
                return None
            if attempt is None or isinstance(error, StoreUnavailable | OutcomeUnknown):
                raise
            # Rolled back under a command that ran too long counts as an attempt; rolled back before it, as bad luck.
            lost = isinstance(error, StepRolledBack) and not attempt.reached
            return None if lost else await self._postpone(instance_id, error, attempt)
        return _note_of(taken) if isinstance(taken, Draft) else None

    async def _postpone(self, instance_id: UUID, error: Exception, attempt: Attempt | None = None) -> _Note | None:
        """Note a failed firing and back off, unless the instance has moved on meanwhile."""

        def decide(
            record: WorkflowInstance, _receipt: Receipt | None, now: datetime
        ) -> tuple[Change | None, _Note | None]:
            due = _attempt_of(record, now)
            if due is None or (attempt is not None and due.event != attempt.event):
                return None, None
            return self._failure(record, attempt or due, error, now)

        return await self._parts.store.apply(instance_id, decide, now=self._parts.now, after_commit=self._report)

    def _report(self, note: _Note | None) -> None:
        if note is not None:
            # Whoever fires timeouts of instances seldom takes their events.
            self._parts.last_seen.forget(note.instance.id)
            self._parts.tell(note.instance, note.entries, note.effects, note.attempt.took)


def _count(counts: Counter[str], note: _Note | None) -> int:
    if note is None:
        counts[_Fired.SKIPPED.value] += 1
        return 0
    counts[note.fired.value] += 1
    if note.fired is not _Fired.PROCESSED:
        counts["parked"] += any(t.parked and t.event == note.entries[0].event for t in note.instance.timers)
    return 1


def _attempt_of(record: WorkflowInstance, now: datetime) -> Attempt | None:
    """The attempt that a due record asks for; `None` when nothing of it is due any more."""
    timers = record.timers if record.run_id is None else interrupting(record.timers)
    timer = due_timer(timers, now)
    if timer is None:
        return None
    caller = Caller(trigger_metadata={"source": "timeout"})
    return Attempt(record.id, timer.event, subject=None, payload=None, caller=caller, by_timer=True)


def _note_of(draft: Draft) -> _Note:
    fired = _Fired.REFUSED if draft.outcome is Outcome.REFUSED else _Fired.PROCESSED
    return _Note(fired, draft.instance, draft.all_entries, draft.all_effects, draft.attempt)
