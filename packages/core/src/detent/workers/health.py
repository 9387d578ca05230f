"""What a worker answers when it is asked how it is doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from detent.workers.loop import LoopHealth

UNWELL_AFTER = timedelta(seconds=30)
"""How long a loop may fail before the worker says so."""


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """Whether a worker works, and what it does."""

    ok: bool
    """False before it was started and after it has stopped, and when one of its loops has failed for half a minute or died."""
    detail: str
    """A sentence for people."""
    started_at: datetime | None = None
    running: tuple[UUID, ...] = ()
    """The runs it works on."""
    loops: Mapping[str, LoopHealth] = field(default_factory=dict)
    """How each of its loops is doing: `runs`, `timeouts`, `inbox`, `outbox`, `retention`."""
    listening: bool = False
    """Whether it hears signals; without, it finds work by looking for it."""
    longest_stall: timedelta = timedelta(0)
    """For how long the event loop was blocked at worst, where that was long enough to warn of."""

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values; lengths of time in seconds."""
        return {
            "ok": self.ok,
            "detail": self.detail,
            "started_at": None if self.started_at is None else self.started_at.isoformat(),
            "running": [str(run_id) for run_id in self.running],
            "loops": {name: _loop(loop) for name, loop in self.loops.items()},
            "listening": self.listening,
            "longest_stall": self.longest_stall.total_seconds(),
        }


def trouble_of(loops: Mapping[str, LoopHealth]) -> list[str]:
    """What is wrong with loops, one sentence for each."""
    found: list[str] = []
    for name, loop in loops.items():
        if not loop.alive:
            found.append(f"the loop {name!r} has died")
        elif loop.failing_for > UNWELL_AFTER:
            found.append(
                f"the loop {name!r} has failed for {loop.failing_for.total_seconds():.0f} s: {loop.last_error}"
            )
    return found


def _loop(loop: LoopHealth) -> dict[str, Any]:
    return {
        "alive": loop.alive,
        "failures": loop.failures,
        "failing_for": loop.failing_for.total_seconds(),
        "last_error": loop.last_error,
        "last_round": None if loop.last_round is None else loop.last_round.total_seconds(),
    }
