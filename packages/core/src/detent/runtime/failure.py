"""The trace that a rolled-back attempt leaves: a `failed` entry, written as a step of its own."""

from datetime import datetime

from detent.retry import Retry
from detent.runtime import timers
from detent.runtime.attempt import Attempt
from detent.runtime.history import error_facts, noted
from detent.store.change import Change
from detent.store.records import Outcome, WorkflowInstance


def failure_change(
    record: WorkflowInstance,
    attempt: Attempt,
    error: BaseException,
    now: datetime,
    timer_retry: Retry,
    *,
    record_changes: bool,
) -> Change:
    """The change that notes a failed attempt: one entry, and for a timer its next deadline; all else as before."""
    facts = error_facts(error, attempt.raised_in if error is attempt.raised else None)
    after = record
    if attempt.by_timer:
        left = timers.postponed(record.timers, attempt.event, now=now, policy=timer_retry, reason=facts["message"])
        after = timers.with_timers(record, left, now)
    return noted(
        record,
        after,
        event=attempt.event,
        now=now,
        transition_id=attempt.transition_id,
        trigger_metadata=attempt.trigger_metadata,
        record_changes=record_changes,
        outcome=Outcome.FAILED,
        commands=tuple(attempt.ran),
        reason=facts["message"],
        error=facts,
        payload=attempt.payload,
        definition_version=attempt.definition_version or record.definition_version,
    )
