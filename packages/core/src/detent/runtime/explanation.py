"""Where an instance stands, how it came there, what it waits for and what holds it up: as data, and in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from detent.machine.forks import JOINED
from detent.machine.machine import Machine
from detent.runtime import sentences
from detent.runtime.availability import AvailableEvent
from detent.runtime.correspondence import NOTHING, Correspondence
from detent.runtime.event_names import CANCELLED, IN_PLACE, ON_ENTER, PAUSED
from detent.runtime.live_versions import why_not
from detent.runtime.undoing import Undoing, undoing_of
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import FINISHED, HistoryEntry, Outcome, Status, Timer, WorkflowInstance
from detent.store.run_records import Run, RunStatus

SWEEP_GRACE = timedelta(minutes=1)
"""How long a timeout may be due before it looks as if nobody swept."""


@dataclass(frozen=True, slots=True)
class TimerOutlook:
    """One deadline of the state, and how far off it is."""

    timer: Timer
    left: timedelta
    """Until it is due; less than nothing when that is past."""

    @property
    def overdue(self) -> bool:
        """Whether it is past due and not parked."""
        return not self.timer.parked and self.left < timedelta(0)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where an instance stands and why; `str()` of it is the whole story in sentences."""

    instance: WorkflowInstance
    at: datetime
    """When it was so."""
    arrived_by: HistoryEntry | None
    """The entry by which it came into its state; `None` when history does not hold it any more."""
    since: datetime
    """When it came into its state."""
    last: HistoryEntry | None
    """The newest entry, when that is another one: a refusal, a failure, something done in place."""
    events: tuple[AvailableEvent, ...]
    """What its state declares; empty unless it is active, and where its version cannot be looked at."""
    timers: tuple[TimerOutlook, ...]
    held: bool
    """Whether nothing else of it can happen here now: it is paused, its workflow cannot run, or a run is under way."""
    problems: tuple[str, ...]
    """What holds it up, in one sentence each; empty when all is well."""
    run: Run | None = None
    """The run that is under way, if any."""
    undoing: Undoing | None = None
    """What that run has undone and what it has not, if it does so."""
    messages: tuple[InboxMessage, ...] = ()
    """What was sent to it and not taken, dead letters included; the oldest 20, as for the next two."""
    children: tuple[WorkflowInstance, ...] = ()
    """Those of its children that have not ended."""
    deliveries: tuple[Delivery, ...] = ()
    """What it has published and a subscriber has not got yet, dead ones included."""
    declared: tuple[str, ...] | None = None
    """The names of the events that its state declares; `None` where its version cannot be looked at."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The explanation for people, a line each; the last ones are the problems."""
        return tuple(self._lines())

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def _lines(self) -> Iterator[str]:
        yield sentences.standing(self.instance)
        yield sentences.arrival(self.instance, self.arrived_by, self.at)
        if self.last is not None:
            yield sentences.latest(self.last, self.at)
        yield from filter(None, [sentences.ending(self.instance)])
        if self.run is not None and self.run.status is not RunStatus.PARKED:
            yield sentences.running(self.run, self.at)
        if self.undoing is not None:
            yield sentences.undoing(self.undoing)
        yield from map(sentences.possibility, self.events)
        for outlook in self.timers:
            if not (outlook.timer.parked or _is_missed(outlook, held=self.held)):
                yield sentences.deadline(outlook.timer, outlook.left, held=self.held)
        others = Correspondence(self.messages, self.children, self.deliveries)
        yield from others.told(self.instance, self.declared, self.at)
        yield from self.problems


def explained(
    record: WorkflowInstance,
    entries: Sequence[HistoryEntry],
    events: Sequence[AvailableEvent],
    now: datetime,
    *,
    machine: Machine | Exception,
    withdrawn: Sequence[str] = (),
    run: Run | None = None,
    others: Correspondence = NOTHING,
) -> Explanation:
    """The explanation of `record`, from its newest `entries`, newest first, and what its events would do now.

    `machine` governs it, or is the error that says why none can; `withdrawn` are the problems of its workflow; `others` is
    what it has to do with others.
    """
    declared = None if isinstance(machine, Exception) else tuple(machine.takes(record.state))
    arrived_by = arrival_of(record, entries, machine)
    timers = tuple(TimerOutlook(timer, timer.due - now) for timer in record.timers)
    stopped = record.status is Status.PAUSED or bool(withdrawn) or isinstance(machine, Exception)
    held = stopped or record.run_id is not None
    return Explanation(
        instance=record,
        at=now,
        arrived_by=arrived_by,
        since=record.entered_at,
        last=entries[0] if entries and entries[0] is not arrived_by else None,
        events=tuple(events),
        timers=timers,
        held=held,
        problems=(
            *_problems(record, entries, events, machine, withdrawn, timers, others, held=held),
            *_run_problems(run, now),
            *others.problems(
                () if record.status in FINISHED else declared,
                now,
                held=held,
                since=record.updated_at,
                grace=SWEEP_GRACE,
            ),
        ),
        run=run,
        undoing=None if run is None else undoing_of(run, machine),
        messages=others.messages,
        children=others.children,
        deliveries=others.deliveries,
        declared=declared,
    )


def arrival_of(
    record: WorkflowInstance, entries: Sequence[HistoryEntry], machine: Machine | Exception
) -> HistoryEntry | None:
    """The newest of `entries` by which the record entered its state; `None` when none of them did."""
    internal = (
        set()
        if isinstance(machine, Exception)
        else {name for name, event in machine.events(record.state).items() if event.internal}
    )
    return next((entry for entry in entries if _entered(record, entry, internal)), None)


def _entered(record: WorkflowInstance, entry: HistoryEntry, internal: set[str]) -> bool:
    if entry.to_state != record.state or entry.outcome not in (Outcome.SUCCESS, Outcome.FAILURE):
        return False
    if entry.from_state != entry.to_state:
        return True
    in_place = entry.event in IN_PLACE | {ON_ENTER, CANCELLED} | internal
    return entry.created_at == record.entered_at and not in_place


def _problems(
    record: WorkflowInstance,
    entries: Sequence[HistoryEntry],
    events: Sequence[AvailableEvent],
    machine: Machine | Exception,
    withdrawn: Sequence[str],
    timers: Sequence[TimerOutlook],
    others: Correspondence,
    *,
    held: bool,
) -> Iterator[str]:
    if record.status in FINISHED:
        return
    if record.status is Status.PAUSED:
        yield _paused(entries)
    if withdrawn:
        yield f"Workflow {record.workflow!r} is withdrawn in this process and takes no step: {'; '.join(withdrawn)}."
    if isinstance(machine, Exception):
        why = sentences.in_line(why_not(machine))
        yield f"Version {record.definition_version} cannot run in this process: {why}."
    yield from _timer_problems(timers, held=held)
    if record.status is Status.ACTIVE and not isinstance(machine, Exception):
        yield from _dead_end(record, events, joining=record.state in machine.forking and others.tells_of(JOINED))


def _run_problems(run: Run | None, now: datetime) -> Iterator[str]:
    if run is None:
        return
    if run.status is RunStatus.PARKED:
        yield sentences.parked_run(run)
    elif run.status is RunStatus.PENDING and now - run.available_at > SWEEP_GRACE:
        yield sentences.unclaimed(run, now - run.available_at)


def _paused(entries: Sequence[HistoryEntry]) -> str:
    pause = next((entry for entry in entries if entry.event == PAUSED), None)
    why = f" ({sentences.in_line(pause.reason)})" if pause is not None and pause.reason else ""
    return f"It is paused{why}: it takes no event and fires no timeout until it is resumed."


def _timer_problems(timers: Sequence[TimerOutlook], *, held: bool) -> Iterator[str]:
    for outlook in timers:
        if outlook.timer.parked:
            yield sentences.parked(outlook.timer)
        elif _is_missed(outlook, held=held):
            yield sentences.overdue(outlook.timer, -outlook.left)


def _is_missed(outlook: TimerOutlook, *, held: bool) -> bool:
    return outlook.overdue and not held and -outlook.left > SWEEP_GRACE


def _dead_end(record: WorkflowInstance, events: Sequence[AvailableEvent], *, joining: bool) -> Iterator[str]:
    """That no way leads on, unless a guard changes its mind or an operator steps in."""
    goes_on = record.run_id is not None or record.due_at is not None or joining
    if not goes_on and not any(event.available for event in events):
        refusing = "every event would be refused" if events else "its state declares no event"
        yield f"It is stuck as things are: no timeout will fire, and {refusing}."
