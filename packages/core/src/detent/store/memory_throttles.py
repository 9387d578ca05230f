"""How fast the memory store lets runs of a queue be claimed, over all workers."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from detent.store.run_records import Run, RunClaim, RunStatus


class MemoryThrottles:
    """The instants of the last throttled claims, queue by queue."""

    def __init__(self) -> None:
        self._claimed: dict[str, deque[datetime]] = {}

    def allowed(self, claim: RunClaim, runs: Iterable[Run], now: datetime) -> int:
        """How many of the `limit` runs that `claim` asks for its throttle lets through now."""
        throttle = claim.throttle
        if throttle is None:
            return claim.limit
        queue = _queue_of(claim)
        allowed = claim.limit
        if throttle.concurrency is not None:
            held = sum(1 for run in runs if run.queue == queue and _is_held(run, now))
            allowed = min(allowed, throttle.concurrency - held)
        if throttle.rate is not None:
            recent = self._claimed.setdefault(queue, deque())
            while recent and recent[0] <= now - throttle.per:
                recent.popleft()
            allowed = min(allowed, throttle.rate - len(recent))
        return max(0, allowed)

    def note(self, claim: RunClaim, count: int, now: datetime) -> None:
        """Remember that so many runs were claimed."""
        if claim.throttle is not None and claim.throttle.rate is not None:
            self._claimed.setdefault(_queue_of(claim), deque()).extend([now] * count)


def _queue_of(claim: RunClaim) -> str:
    if claim.queues is None or len(claim.queues) != 1:
        raise ValueError(f"a claim with a throttle names one queue, not {claim.queues}")
    return claim.queues[0]


def _is_held(run: Run, now: datetime) -> bool:
    return run.status is RunStatus.RUNNING and run.lease_until is not None and now < run.lease_until
