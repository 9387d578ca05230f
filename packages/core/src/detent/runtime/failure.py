"""The trace that a rolled-back attempt leaves: a `failed` entry, written as a step of its own."""

from dataclasses import replace
from datetime import datetime

from detent.retry import Retry
from detent.runtime import timers
from detent.runtime.attempt import Attempt
from detent.runtime.history import error_facts
from detent.store.change import Change
from detent.store.records import HistoryEntry, Outcome, WorkflowInstance


def failure_change(
    record: WorkflowInstance, attempt: Attempt, error: BaseException, now: datetime, timer_retry: Retry
) -> Change:
    """The change that notes a failed attempt: one entry, and for a timer its next deadline; all else as before."""
    facts = error_facts(error, attempt.raised_in if error is attempt.raised else None)
    left = record.timers
    if attempt.by_timer:
        left = timers.postponed(left, attempt.event, now=now, policy=timer_retry, reason=facts["message"])
    after = replace(
        record, version=record.version + 1, timers=left, due_at=timers.next_due(left), updated_at=now, created=False
    )
    entry = HistoryEntry(
        instance_id=record.id,
        sequence=after.version,
        event=attempt.event,
        from_state=record.state,
        to_state=record.state,
        outcome=Outcome.FAILED,
        commands=tuple(attempt.ran),
        reason=facts["message"],
        error=facts,
        payload=attempt.payload,
        trigger_metadata=attempt.trigger_metadata,
        transition_id=attempt.transition_id,
        definition_version=attempt.definition_version or record.definition_version,
        created_at=now,
    )
    return Change(after, record.version, attempt.transition_id, (entry,))
