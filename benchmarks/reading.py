"""What one measurement found, as a value that travels as a line of JSON.

Standard library only, like `load`, `cost` and `given`: the peers' environments have nothing of ours but these files.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Reading:
    """One repetition of one case."""

    rate: float | None = None
    """Operations per second; `None` where only a duration is measured."""
    operations: int = 0
    """How many were counted."""
    seconds: float = 0.0
    """For how long."""
    p50: float | None = None
    """Milliseconds: half of the operations took no longer."""
    p95: float | None = None
    p99: float | None = None
    python_us: float | None = None
    """CPU of the Python processes per operation, microseconds."""
    postgres_us: float | None = None
    """CPU of all processes of the PostgreSQL server per operation, microseconds."""
    peak_mb: float | None = None
    """The most memory that the Python process had, megabytes."""
    kept_bytes: float | None = None
    """By how many bytes the process had grown at the end, per operation."""
    beside: Mapping[str, "Reading"] = field(default_factory=dict)
    """What was measured in turns with it in the same process, by name."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The reading that `asdict` took apart."""
        beside = {name: cls.from_data(other) for name, other in data.get("beside", {}).items()}
        return cls(**{**data, "beside": beside})

    @classmethod
    def last_in(cls, output: str) -> Self:
        """The reading on the last line of JSON in what a process printed. Raises `ValueError` when there is none."""
        lines = [line for line in output.splitlines() if line.startswith("{")]
        if not lines:
            raise ValueError("it printed no reading")
        return cls.from_data(json.loads(lines[-1]))


NUMBERS = ("rate", "operations", "seconds", "p50", "p95", "p99", "python_us", "postgres_us", "peak_mb", "kept_bytes")


def median_of(readings: Sequence[Reading]) -> Reading:
    """The median of each number by itself."""
    named: dict[str, Any] = {name: _median(figure_of(reading, name) for reading in readings) for name in NUMBERS}
    beside = {name: median_of([reading.beside[name] for reading in readings]) for name in readings[0].beside}
    return Reading(**{**named, "operations": int(named["operations"] or 0), "beside": beside})


def figure_of(reading: Reading | None, name: str) -> float | None:
    """One of the `NUMBERS` of a reading; `None` where it has none."""
    figure: float | None = getattr(reading, name, None)
    return figure


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest rank in what is sorted; `None` when there is nothing."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _median(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None
