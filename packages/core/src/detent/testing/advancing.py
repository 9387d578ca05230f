"""Moves a harness's clock from due instant to due instant, so that each timeout fires when it is due and not at the end."""

from collections.abc import Sequence
from datetime import datetime

from detent.store.records import HistoryEntry, Status, WorkflowInstance
from detent.testing.bench import Bench
from detent.testing.misuse import HarnessMisused, NeverAtRest


async def advance(bench: Bench, end: datetime, *, at_most: int) -> list[HistoryEntry]:
    """Fire what falls due until `end`, the longest due first; answers the entry of each firing, in order.

    Raises `NeverAtRest` where more than `at_most` fire.
    """
    fired: list[HistoryEntry] = []
    await bench.look_around()
    for _ in range(at_most + 1):
        due = _next_due(bench, end)
        if due is None:
            bench.clock.set(end)
            await _fire_unknown(bench, at_most)
            return fired
        if due.due_at is not None and due.due_at > bench.clock.now():
            bench.clock.set(due.due_at)
        await _fire_one(bench, due)
        fired += _firings(await bench.look_around())
    last = fired[-1]
    raise NeverAtRest(at_most, f"{last.event!r} in {last.from_state!r} at {bench.clock.now():%Y-%m-%d %H:%M:%S}")


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


async def _fire_unknown(bench: Bench, at_most: int) -> None:
    """Fire what is due at the end of instances that the harness was never told of."""
    for _ in range(at_most):
        if not await _fired(bench):
            return
        await bench.look_around()
    raise NeverAtRest(at_most, "of an instance that the harness was not told of; pass it to harness.use()")


async def _fired(bench: Bench) -> bool:
    report = await bench.runtime.process_timeouts(limit=1)
    return report.processed + report.refused + report.failed > 0


def _firings(entries: Sequence[HistoryEntry]) -> list[HistoryEntry]:
    """The first entry of each commit: those after it are hops."""
    first: dict[object, HistoryEntry] = {}
    for entry in entries:
        first.setdefault(entry.transition_id, entry)
    return list(first.values())
