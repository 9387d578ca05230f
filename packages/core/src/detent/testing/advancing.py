"""Moves a harness's clock from due instant to due instant, so that all that waits for one happens then and not at the end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from detent.runtime.event_names import IN_PLACE, ON_ENTER
from detent.store.records import HistoryEntry, Outcome, Status, WorkflowInstance
from detent.testing.bench import Bench
from detent.testing.misuse import HarnessMisused
from detent.testing.working import Effort


async def advance(bench: Bench, end: datetime, *, at_most: int) -> list[HistoryEntry]:
    """Fire what falls due until `end`, the longest due first, and work off what is due to be tried, if the bench does so.

    Answers the entry of each event that was taken, or tried in vain, in order. Raises `NeverAtRest` where more than
    `at_most` timeouts fire, or runs and messages are worked on.
    """
    effort = Effort(at_most)
    await bench.look_around()
    entries = [*await bench.settle(effort)]
    while await _moved_on(bench, end, effort):
        entries += await bench.settle(effort)
    bench.clock.set(end)
    while await _fired(bench):
        effort.spend(1)
        entries += await bench.settle(effort)
    return _events(entries)


def later(now: datetime, by: timedelta) -> datetime:
    """The instant that is `by` after `now`. Raises `ValueError` for a step backwards."""
    if by < timedelta():
        raise ValueError("a clock does not run backwards")
    return now + by


async def _moved_on(bench: Bench, end: datetime, effort: Effort) -> bool:
    """Move the clock to the next thing that waits for an instant, if that is not after `end`, and fire it if it is a timeout."""
    due = _next_due(bench, end)
    work = await bench.next_work()
    if due is not None and due.due_at is not None and (work is None or due.due_at <= work):
        bench.clock.set(max(due.due_at, bench.clock.now()))
        await _fire_one(bench, due)
        effort.spend(1)
        return True
    if work is None or work > end:
        return False
    bench.clock.set(work)
    return True


def _next_due(bench: Bench, end: datetime) -> WorkflowInstance | None:
    """The known instance whose timer is due first, if that is not after `end`."""
    waiting = {
        instance.due_at: instance
        for instance in reversed(bench.journal.instances)
        if instance.status is Status.ACTIVE and instance.due_at is not None and instance.due_at <= end
    }
    return waiting[min(waiting)] if waiting else None


async def _fire_one(bench: Bench, due: WorkflowInstance) -> None:
    if not await _fired(bench):
        raise HarnessMisused(
            f"the timeout of instance {due.id} in {due.state!r} is due and could not be fired",
            hint="let nothing else hold the instance while the clock is moved",
        )


async def _fired(bench: Bench) -> bool:
    report = await bench.runtime.process_timeouts(limit=1)
    return report.processed + report.refused + report.failed > 0


def _events(entries: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """One entry for each event: hops belong to the event before them, and of a run counts how it ended."""
    by_transition: dict[object, HistoryEntry] = {}
    for entry in entries:
        known = by_transition.get(entry.transition_id)
        if known is None or _is_outdone(known):
            # Taken out first, so that it stands where it ended and not where it began.
            by_transition.pop(entry.transition_id, None)
            by_transition[entry.transition_id] = entry
    return [entry for entry in by_transition.values() if entry.event != ON_ENTER]


def _is_outdone(entry: HistoryEntry) -> bool:
    """Whether what follows in the same transition says more: an accepted event ends, a parked run may go on."""
    return entry.outcome is Outcome.ACCEPTED or entry.event in IN_PLACE
