"""What an explanation says, line by line: where an instance stands, how it came there, and what may happen next."""

from datetime import datetime, timedelta

from detent.definition.duration import duration_text
from detent.json_values import JsonObject
from detent.runtime.availability import AvailableEvent
from detent.runtime.event_names import (
    CANCELLED,
    CONTEXT_PATCHED,
    FORCED,
    NOTED,
    ON_ENTER,
    PARKED,
    PAUSED,
    REARMED,
    RESUMED,
    RUN_CANCELLED,
    RUN_RETRIED,
    UPGRADED,
)
from detent.runtime.history import facts_told
from detent.runtime.undoing import Undoing, failure_told
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
    NOTED: "something was noted about it",
    REARMED: "a timeout was given a new chance",
    UPGRADED: "it was moved to another version",
    PARKED: "its run was parked",
    RUN_RETRIED: "its run was given another chance",
    RUN_CANCELLED: "its run was given up",
    ON_ENTER: "what its state does on entry was done",
}


_OF_JOINS = frozenset({"group", "since", "version"})


def span_told(span: timedelta) -> str:
    """A length of time without what nobody wants to know: seconds only in the first hour, minutes only in the first days."""
    unit = timedelta(seconds=1) if span < timedelta(hours=1) else timedelta(minutes=1)
    if span >= timedelta(days=3):
        unit = timedelta(hours=1)
    return duration_text(span - span % unit)


def in_line(text: str) -> str:
    """A text of somebody else's, to stand in a line of ours before a full stop."""
    return " ".join(text.split()).rstrip(".")


def in_time(span: timedelta) -> str:
    """When something is that comes after this time."""
    return "now" if span < timedelta(seconds=1) else f"in {span_told(span)}"


def attempts_told(attempts: int) -> str:
    """How many attempts were made."""
    return f"{attempts} attempt" + ("" if attempts == 1 else "s")


def standing(record: WorkflowInstance) -> str:
    """Which instance it is, and where it stands."""
    ended = f" since {instant_told(record.finished_at)}" if record.finished_at is not None else ""
    return (
        f"Instance {record.id} of {record.workflow!r}, version {record.definition_version}, "
        f"{_STANDS[record.status]} state {record.state!r}{ended}."
    )


def arrival(record: WorkflowInstance, entry: HistoryEntry | None, now: datetime) -> str:
    """How the instance came into its state, and when."""
    if entry is None:
        stay = f"for {span_told(now - record.entered_at)}, since {instant_told(record.entered_at)}"
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
        when = f"{verb} {in_time(left)}, at {instant_told(timer.due)}"
    else:
        when = f"has been due for {span_told(-left)}" if held else "is due and fires with the next sweep"
    tried = f", after {attempts_told(timer.attempts)} in vain" if timer.attempts else ""
    return f"Timeout {timer.event!r} {when}{tried}{_reason(timer)}."


def parked(timer: Timer) -> str:
    """That a timeout waits for an operator."""
    tried = attempts_told(timer.attempts)
    return f"Timeout {timer.event!r} is parked after {tried} and waits for an operator (rearm){_reason(timer)}."


def overdue(timer: Timer, late: timedelta) -> str:
    """That a timeout should have fired long ago."""
    return (
        f"Timeout {timer.event!r} is overdue by {span_told(late)}: it seems that nobody sweeps "
        "(run a worker, or call process_timeouts)."
    )


def running(run: Run, now: datetime) -> str:
    """How far a run is, and who is at it."""
    what = f"Run {run.id} takes event {run.event!r}, since {instant_told(run.created_at)}"
    return f"{what}: {advancing(run, now)}."


def advancing(run: Run, now: datetime) -> str:
    """What a run that is not parked is at, without a full stop."""
    doing = f"command {run.command!r}" if run.command else "its end"
    if run.status is RunStatus.RUNNING:
        doing = f"{run.worker} is at {doing}, attempt {run.attempts}{_progress(run)}"
    elif run.available_at > now:
        tried = f", after {attempts_told(run.attempts)} in vain" if run.attempts else ""
        doing = f"{doing} is tried again {in_time(run.available_at - now)}{tried}"
    else:
        doing = f"{doing} waits for a worker of queue {run.queue!r}"
    return f"{doing}{_run_error(run)}"


def parked_run(run: Run) -> str:
    """That a run waits for an operator."""
    return f"Run {run.id} of event {run.event!r} is parked{parked_at(run)}."


def parked_at(run: Run) -> str:
    """Where a run is parked, and why."""
    at = f" at command {run.command!r}" if run.command else " at its end"
    return f"{at} and waits for an operator (retry, cancel){_parked_because(run)}"


def undoing(undoing: Undoing) -> str:
    """What a run has undone, and what it has not."""
    undone, left = (", ".join(map(repr, names)) for names in (undoing.undone, undoing.left))
    told = "; ".join(filter(None, [undone and f"undone: {undone}", left and f"not yet undone: {left}"]))
    return f"What was done is undone, because {in_line(failure_told(undoing.failed))}; {told}."


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


def _run_error(run: Run) -> str:
    return f": {in_line(facts_told(run.error))}" if run.error else ""


def _parked_because(run: Run) -> str:
    return f": {in_line(run.reason)}" if run.reason else _run_error(run)


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


def _reason(timer: Timer) -> str:
    return f": {in_line(timer.reason)}" if timer.reason else ""


def _because(entry: HistoryEntry) -> str:
    if entry.error is not None and entry.event != PARKED:
        return f": {in_line(facts_told(entry.error))}"
    return f": {in_line(entry.reason)}" if entry.reason else ""


def _who(trigger_metadata: JsonObject) -> str:
    # How children are counted is nobody's business but the runtime's.
    hidden = _OF_JOINS if trigger_metadata.get("source") == "child" else frozenset()
    said = ", ".join(f"{key}: {value}" for key, value in trigger_metadata.items() if key not in hidden)
    return f" ({said})" if said else ""


def _since(instant: datetime, now: datetime) -> str:
    span = now - instant
    when = "just now" if span < timedelta(seconds=1) else f"{span_told(span)} ago"
    return f"{when}, at {instant_told(instant)}"


def instant_told(instant: datetime) -> str:
    """An instant, to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S %Z}"
