"""What an explanation says, line by line: where an instance stands, how it came there, and what may happen next."""

from datetime import datetime, timedelta

from detent.definition.duration import duration_text
from detent.json_values import JsonObject
from detent.runtime.availability import AvailableEvent
from detent.runtime.event_names import (
    CANCELLED,
    CONTEXT_PATCHED,
    FORCED,
    ON_ENTER,
    PARKED,
    PAUSED,
    REARMED,
    RESUMED,
    RUN_CANCELLED,
    RUN_RETRIED,
    UPGRADED,
)
from detent.store.records import FINISHED, HistoryEntry, Outcome, Status, Timer, WorkflowInstance
from detent.store.run_records import Run, RunStatus

_STANDS = {
    Status.ACTIVE: "is active in",
    Status.PAUSED: "is paused in",
    Status.COMPLETED: "has completed in",
    Status.FAILED: "has failed in",
    Status.CANCELLED: "was cancelled in",
}

_DONE = {
    CANCELLED: "it was cancelled",
    PAUSED: "it was paused",
    RESUMED: "it was resumed",
    CONTEXT_PATCHED: "its context was patched",
    REARMED: "a timeout was given a new chance",
    UPGRADED: "it was moved to another version",
    PARKED: "its run was parked",
    RUN_RETRIED: "its run was given another chance",
    RUN_CANCELLED: "its run was given up",
    ON_ENTER: "what its state does on entry was done",
}


def span_told(span: timedelta) -> str:
    """A length of time without what nobody wants to know: seconds only in the first hour, minutes only in the first days."""
    unit = timedelta(seconds=1) if span < timedelta(hours=1) else timedelta(minutes=1)
    if span >= timedelta(days=3):
        unit = timedelta(hours=1)
    return duration_text(span - span % unit)


def in_line(text: str) -> str:
    """A text of somebody else's, to stand in a line of ours before a full stop."""
    return " ".join(text.split()).rstrip(".")


def standing(record: WorkflowInstance) -> str:
    """Which instance it is, and where it stands."""
    ended = f" since {_instant(record.finished_at)}" if record.finished_at is not None else ""
    return (
        f"Instance {record.id} of {record.workflow!r}, version {record.definition_version}, "
        f"{_STANDS[record.status]} state {record.state!r}{ended}."
    )


def arrival(record: WorkflowInstance, entry: HistoryEntry | None, now: datetime) -> str:
    """How the instance came into its state, and when."""
    if entry is None:
        stay = f"for {span_told(now - record.entered_at)}, since {_instant(record.entered_at)}"
        return f"It has been there {stay}; history does not tell any more how it came there."
    return f"{_how(entry)}, {_since(entry.created_at, now)}{_who(entry.trigger_metadata)}{_because(entry)}."


def latest(entry: HistoryEntry, now: datetime) -> str:
    """What happened last without a state being entered."""
    match entry.outcome:
        case Outcome.REFUSED:
            what = f"event {entry.event!r} was refused"
        case Outcome.ACCEPTED:
            what = f"event {entry.event!r} was accepted"
        case Outcome.FAILED if entry.event in _DONE:
            what = _DONE[entry.event]
        case Outcome.FAILED:
            what = f"event {entry.event!r} failed and was rolled back"
        case _:
            what = _DONE.get(entry.event, f"event {entry.event!r} did its work in place")
    return f"Last, {what}, {_since(entry.created_at, now)}{_who(entry.trigger_metadata)}{_because(entry)}."


def ending(record: WorkflowInstance) -> str | None:
    """That nothing more will happen, where that is so."""
    return "It has ended and takes no event any more." if record.status in FINISHED else None


def possibility(event: AvailableEvent) -> str:
    """Whether an event would be taken now, and where it would lead."""
    if not event.available:
        return f"Event {event.name!r} would be refused now: {in_line(event.reason or 'nobody says why')}."
    targets = list(dict.fromkeys(repr(state) for state in (*event.branches, event.target) if state is not None))
    return f"It takes event {event.name!r}, which " + (
        f"leads to {' or '.join(targets)}." if targets else "stays in the state."
    )


def deadline(timer: Timer, left: timedelta, *, held: bool) -> str:
    """When a timeout fires that is not parked; `held` when nothing of the instance can fire here now."""
    if left > timedelta(0):
        verb = "is due" if held else "fires by itself"
        when = f"{verb} in {span_told(left)}, at {_instant(timer.due)}"
    else:
        when = f"has been due for {span_told(-left)}" if held else "is due and fires with the next sweep"
    tried = f", after {_attempts(timer)} in vain" if timer.attempts else ""
    return f"Timeout {timer.event!r} {when}{tried}{_reason(timer)}."


def parked(timer: Timer) -> str:
    """That a timeout waits for an operator."""
    return (
        f"Timeout {timer.event!r} is parked after {_attempts(timer)} and waits for an operator (rearm){_reason(timer)}."
    )


def overdue(timer: Timer, late: timedelta) -> str:
    """That a timeout should have fired long ago."""
    return (
        f"Timeout {timer.event!r} is overdue by {span_told(late)}: it seems that nobody sweeps "
        "(run a worker, or call process_timeouts)."
    )


def running(run: Run, now: datetime) -> str:
    """How far a run is, and who is at it."""
    what = f"Run {run.id} takes event {run.event!r}, since {_instant(run.created_at)}: "
    doing = f"command {run.command!r}" if run.command else "its end"
    if run.status is RunStatus.RUNNING:
        doing = f"{run.worker} is at {doing}, attempt {run.attempts}{_progress(run)}"
    elif run.available_at > now:
        doing = f"{doing} is tried again in {span_told(run.available_at - now)}, after {_tries(run)} in vain"
    else:
        doing = f"{doing} waits for a worker of queue {run.queue!r}"
    return f"{what}{doing}{_run_error(run)}."


def parked_run(run: Run) -> str:
    """That a run waits for an operator."""
    at = f" at command {run.command!r}" if run.command else " at its end"
    return (
        f"Run {run.id} of event {run.event!r} is parked{at} and waits for an operator (retry, cancel){_run_error(run)}."
    )


def unclaimed(run: Run, late: timedelta) -> str:
    """That no worker takes a run."""
    return (
        f"Run {run.id} has waited for {span_told(late)}: it seems that no worker serves queue {run.queue!r} "
        "(run a worker, or call process_runs)."
    )


def _progress(run: Run) -> str:
    if run.progress is None:
        return ""
    message = run.progress.get("message")
    said = f", {in_line(str(message))}" if message else ""
    return f" ({run.progress.get('fraction', 0):.0%}{said})"


def _tries(run: Run) -> str:
    return f"{run.attempts} attempt" + ("" if run.attempts == 1 else "s")


def _run_error(run: Run) -> str:
    return f": {in_line(str(run.error.get('message')))}" if run.error else ""


def _how(entry: HistoryEntry) -> str:
    if entry.from_state is None:
        return "It was created there"
    came = f"from {entry.from_state!r}"
    if entry.event == FORCED:
        return f"An operator put it there {came}"
    if entry.event == UPGRADED:
        return f"An upgrade to version {entry.definition_version} moved it there {came}"
    led = "It went there by itself" if entry.event == ON_ENTER else f"Event {entry.event!r} led there"
    return f"{led} {came}" + (" by failing" if entry.outcome is Outcome.FAILURE else "")


def _attempts(timer: Timer) -> str:
    return f"{timer.attempts} attempt" + ("" if timer.attempts == 1 else "s")


def _reason(timer: Timer) -> str:
    return f": {in_line(timer.reason)}" if timer.reason else ""


def _because(entry: HistoryEntry) -> str:
    if entry.error is not None:
        return f": {entry.error.get('code')}: {in_line(str(entry.error.get('message')))}"
    return f": {in_line(entry.reason)}" if entry.reason else ""


def _who(trigger_metadata: JsonObject) -> str:
    said = ", ".join(f"{key}: {value}" for key, value in trigger_metadata.items())
    return f" ({said})" if said else ""


def _since(instant: datetime, now: datetime) -> str:
    span = now - instant
    when = "just now" if span < timedelta(seconds=1) else f"{span_told(span)} ago"
    return f"{when}, at {_instant(instant)}"


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S %Z}"
