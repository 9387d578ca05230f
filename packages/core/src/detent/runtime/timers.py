"""Deadlines, purely: which to arm when a state is entered, which comes next, and what a vain firing does to one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from detent.definition.timeout import Timeout
from detent.json_values import JsonObject
from detent.retry import Retry
from detent.store.records import Timer, WorkflowInstance


def arm(
    timeouts: Sequence[tuple[str, Timeout]],
    entered_at: datetime,
    context: JsonObject,
    going_on: Mapping[str, Timer | None] = MappingProxyType({}),
) -> tuple[Timer, ...]:
    """The timers of a state just entered; none where a deadline's path holds `null`. Raises `InvalidValue` for other faults.

    Those of `going_on` were armed in a state before, and are kept as they are; `None` is one that has been spent.
    """
    if not timeouts:
        return ()
    fresh = [(event, timeout) for event, timeout in timeouts if event not in going_on]
    armed = ((event, timeout, timeout.deadline(entered_at, context)) for event, timeout in fresh)
    anew = {event: Timer(event, due, interrupts=timeout.interrupts) for event, timeout, due in armed if due is not None}
    found = (going_on.get(event) or anew.get(event) for event, _ in timeouts)
    return tuple(timer for timer in found if timer is not None)


def shared(
    left: Sequence[tuple[str, Timeout]], entered: Sequence[tuple[str, Timeout]], timers: Iterable[Timer]
) -> Mapping[str, Timer | None]:
    """The timers that go on from the state that was left in the one that is entered, because both share their deadlines."""
    groups = {event: timeout.across for event, timeout in left if timeout.across is not None}
    if not groups:
        return {}
    armed = {timer.event: timer for timer in timers}
    return {event: armed.get(event) for event, timeout in entered if groups.get(event, _NONE) == timeout.across}


_NONE = object()


def with_timers(instance: WorkflowInstance, timers: tuple[Timer, ...], now: datetime) -> WorkflowInstance:
    """The instance with these timers, and what is read off them: when the next one fires, and since when one is parked."""
    if instance.run_id is not None:
        # The others wait for the run, and so does what is read off them.
        return replace(instance, timers=timers, due_at=next_due(interrupting(timers)))
    parked = any(timer.parked for timer in timers)
    return replace(
        instance,
        timers=timers,
        due_at=next_due(timers),
        parked_at=(instance.parked_at or now) if parked else None,
    )


def next_due(timers: Iterable[Timer]) -> datetime | None:
    """When the earliest timer that is not parked fires."""
    if not timers:
        return None
    return min((timer.due for timer in timers if not timer.parked), default=None)


def interrupting(timers: Iterable[Timer]) -> tuple[Timer, ...]:
    """Those that fire although a run is under way."""
    return tuple(timer for timer in timers if timer.interrupts)


def no_interruption(timers: Iterable[Timer], event: str) -> tuple[Timer, ...]:
    """The timers, of which that of `event` waits for runs from now on."""
    return tuple(replace(timer, interrupts=False) if timer.event == event else timer for timer in timers)


def due_timer(timers: Iterable[Timer], now: datetime) -> Timer | None:
    """The timer whose turn it is at `now`, the longest due first."""
    longest: Timer | None = None
    for timer in timers:
        if not timer.parked and timer.due <= now and (longest is None or timer.due < longest.due):
            longest = timer
    return longest


def without(timers: Iterable[Timer], event: str) -> tuple[Timer, ...]:
    """The timers but the one of `event`, which has fired."""
    return tuple(timer for timer in timers if timer.event != event)


def postponed(
    timers: Iterable[Timer], event: str, *, now: datetime, policy: Retry, reason: str | None
) -> tuple[Timer, ...]:
    """The timers with that of `event` tried in vain: due again after a back-off, or parked when its attempts are used up."""
    return tuple(_postpone(timer, now, policy, reason) if timer.event == event else timer for timer in timers)


def stopped(timers: Iterable[Timer], event: str, reason: str | None) -> tuple[Timer, ...]:
    """The timers with that of `event` parked: it has fired, and what it started was given up."""
    return tuple(
        replace(timer, attempts=timer.attempts + 1, parked=True, reason=reason) if timer.event == event else timer
        for timer in timers
    )


def rearmed(timers: Iterable[Timer], event: str | None, due: datetime) -> tuple[Timer, ...]:
    """The timers with that of `event` due at `due`, its attempts forgotten; with `None`, those that were tried in vain."""
    return tuple(
        Timer(timer.event, due, interrupts=timer.interrupts)
        if timer.event == event or (event is None and timer.attempts)
        else timer
        for timer in timers
    )


def _postpone(timer: Timer, now: datetime, policy: Retry, reason: str | None) -> Timer:
    attempts = timer.attempts + 1
    if policy.exhausted(attempts):
        return replace(timer, attempts=attempts, parked=True, reason=reason)
    return replace(timer, attempts=attempts, due=now + policy.delay(attempts), reason=reason)
