"""Everything that a run found, with medians and ratios, as it stands in `results.json`."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.plan import Entry
from benchmarks.reading import Reading, median_of

COMMITTED = Path(__file__).parent / "results.json"
"""Where the results of the last whole run are kept."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure divided by one that was measured beside it, once for each repetition."""

    repetitions: tuple[float, ...]
    less_is_better: bool = False

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.repetitions)


@dataclass(slots=True)
class Row:
    """What was found for one entry of the plan."""

    entry: Entry
    readings: list[Reading] = field(default_factory=list)
    pgbench: list[float] = field(default_factory=list)
    """Its transactions per second around each repetition; empty where nothing is compared with it."""
    failed: str | None = None
    """Why there are no (more) readings."""
    ratios: dict[str, Ratio] = field(default_factory=dict)
    """By what it is compared with: `pgbench`; what was measured beside it; for a peer `detent`, which is ours by theirs."""

    @property
    def median(self) -> Reading | None:
        """The medians of its numbers; `None` without a reading."""
        return median_of(self.readings) if self.readings else None


@dataclass(slots=True)
class Results:
    """A whole run."""

    made: str
    """The date, in UTC."""
    how: Mapping[str, Any]
    """Rounds and seconds."""
    machine: Mapping[str, Any]
    postgres: Mapping[str, str]
    """Its settings."""
    versions: Mapping[str, str]
    rows: list[Row]

    def row(self, name: str) -> Row | None:
        """The row of that name, if it has figures."""
        return next((row for row in self.rows if row.entry.name == name and row.readings), None)

    @property
    def tps(self) -> float | None:
        """The median of all runs of pgbench."""
        all_ = [tps for row in self.rows for tps in row.pgbench]
        return statistics.median(all_) if all_ else None

    def to_json(self) -> str:
        """For people to read, too."""
        head = {key: getattr(self, key) for key in ("made", "how", "machine", "postgres", "versions")}
        tps = {"pgbench": self.tps}
        return json.dumps({**head, **tps, "rows": [_row_data(row) for row in self.rows]}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        data = json.loads(text)
        data.pop("pgbench")
        return cls(**{**data, "rows": [_row_from(row) for row in data["rows"]]})

    @classmethod
    def read(cls, path: Path) -> Self:
        """The results in a file."""
        return cls.from_json(path.read_text("utf-8"))


def compare_all(rows: Sequence[Row]) -> None:
    """Give each row its ratios."""
    by_name = {row.entry.name: row for row in rows}
    for row in rows:
        row.ratios = _ratios(row, by_name.get(row.entry.against or ""))


def _ratios(row: Row, ours: Row | None) -> dict[str, Ratio]:
    found: dict[str, list[float]] = {}
    for reading, tps in zip(row.readings, row.pgbench, strict=False):
        if reading.rate is not None:
            found.setdefault("pgbench", []).append(reading.rate / tps)
    for reading in row.readings:
        for name, other in reading.beside.items():
            found.setdefault(name, []).append(_divided(row.entry, reading, other))
            if row.entry.compares == "latency":
                found.setdefault(f"{name}-p99", []).append(_known(reading.p99) / _known(other.p99))
    for reading, our in zip(row.readings, ours.readings if ours else [], strict=False):
        if reading.rate and our.rate:
            found.setdefault("detent", []).append(our.rate / reading.rate)
    less = row.entry.compares != "rate"
    return {name: Ratio(tuple(values), less and name not in ("pgbench", "detent")) for name, values in found.items()}


def _divided(entry: Entry, reading: Reading, other: Reading) -> float:
    if entry.compares in ("p50", "latency"):
        return _known(reading.p50) / _known(other.p50)
    if entry.compares == "time":
        return _known(other.rate) / _known(reading.rate)
    return _known(reading.rate) / _known(other.rate)


def _known(figure: float | None) -> float:
    if not figure:
        raise ValueError("a figure that is compared is missing")
    return figure


def _row_data(row: Row) -> dict[str, Any]:
    return {
        **asdict(row.entry),
        "failed": row.failed,
        "ratios": {
            name: {
                "median": ratio.median,
                "repetitions": list(ratio.repetitions),
                "less_is_better": ratio.less_is_better,
            }
            for name, ratio in row.ratios.items()
        },
        "median": None if row.median is None else asdict(row.median),
        "pgbench": row.pgbench,
        "repetitions": [asdict(reading) for reading in row.readings],
    }


def _row_from(data: dict[str, Any]) -> Row:
    readings = [Reading.from_data(reading) for reading in data.pop("repetitions")]
    ratios = {
        name: Ratio(tuple(ratio["repetitions"]), ratio["less_is_better"]) for name, ratio in data.pop("ratios").items()
    }
    data.pop("median")
    pgbench, failed = data.pop("pgbench"), data.pop("failed")
    return Row(Entry(**data), readings, pgbench, failed, ratios)
