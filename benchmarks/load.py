"""Callers in a closed loop: each begins its next operation when the last one has ended, and for a time they are counted."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from benchmarks.cost import Meter, Spent, peak_mb
from benchmarks.reading import Reading, percentile

Operation: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Load:
    """What was counted in one stretch of time, or in several that were added up."""

    milliseconds: "array[float]" = field(default_factory=lambda: array("d"))
    """How long each operation took."""
    seconds: float = 0.0
    python: float = 0.0
    """CPU seconds."""
    postgres: float | None = 0.0
    grown: int | None = 0
    """Bytes."""

    def add(self, begun: Spent, ended: Spent) -> None:
        """Add what was spent between two moments."""
        self.seconds += ended.at - begun.at
        self.python += ended.python - begun.python
        self.postgres = _added(self.postgres, begun.postgres, ended.postgres)
        grown = _added(self.grown, begun.resident, ended.resident)
        self.grown = None if grown is None else int(grown)

    def reading(self, *, each: int = 1, beside: dict[str, Reading] | None = None) -> Reading:
        """Rates and costs, where every operation counts as `each`; the latencies are those of whole operations."""
        ordered = sorted(self.milliseconds)
        count = len(ordered) * each
        if not count:
            raise ValueError("no operation ended in the time given")
        return Reading(
            rate=count / self.seconds,
            operations=count,
            seconds=self.seconds,
            p50=percentile(ordered, 50),
            p95=percentile(ordered, 95),
            p99=percentile(ordered, 99),
            python_us=self.python / count * 1e6,
            postgres_us=None if self.postgres is None else self.postgres / count * 1e6,
            peak_mb=peak_mb(),
            kept_bytes=None if self.grown is None else self.grown / count,
            beside=beside or {},
        )


class _Stretch:
    """The time in which operations count.

    The callers themselves look at the clock: where operations never wait, nobody else would get a turn.
    """

    def __init__(self, load: Load, meter: Meter, warmup: float, seconds: float) -> None:
        self._load, self._meter, self._seconds = load, meter, seconds
        self._warm = perf_counter() + warmup
        self._begun: Spent | None = None
        self._over = False

    def goes_on(self, started: float) -> bool:
        """Count an operation that has just ended, if it is time; whether another one shall begin."""
        now = perf_counter()
        if self._over:
            return False
        if self._begun is None:
            if now >= self._warm:
                self._begun = self._meter.read()
            return True
        self._load.milliseconds.append((now - started) * 1000)
        if now < self._begun.at + self._seconds:
            return True
        self._over = True
        self._load.add(self._begun, self._meter.read())
        return False


async def closed_loop(
    callers: Sequence[Operation], *, meter: Meter, warmup: float, seconds: float, into: Load | None = None
) -> Load:
    """Let each caller repeat its operation for `warmup` seconds uncounted and then for `seconds`; the first error ends it."""
    load = Load() if into is None else into
    stretch = _Stretch(load, meter, warmup, seconds)

    async def repeat(operation: Operation) -> None:
        going = True
        while going:
            started = perf_counter()
            await operation()
            going = stretch.goes_on(started)

    async with asyncio.TaskGroup() as group:
        for operation in callers:
            group.create_task(repeat(operation))
    return load


async def in_turns(
    sides: Sequence[Sequence[Operation]], *, meter: Meter, warmup: float, seconds: float, turns: int = 4
) -> list[Load]:
    """Give each side `seconds` in all, in short turns, so that whatever else the machine does hits all of them."""
    loads = [Load() for _ in sides]
    for turn in range(turns):
        for callers, load in zip(sides, loads, strict=True):
            warm = warmup if turn == 0 else warmup / 10
            await closed_loop(callers, meter=meter, warmup=warm, seconds=seconds / turns, into=load)
    return loads


def _added(sum_: float | None, before: float | None, after: float | None) -> float | None:
    if sum_ is None or before is None or after is None:
        return None
    return sum_ + after - before
