"""What `bench` measured: throughput and latencies, as values."""

from collections.abc import Sequence
from math import ceil

from pydantic import BaseModel, Field


class MeasureView(BaseModel):
    """How fast one verb was."""

    verb: str
    count: int
    seconds: float = Field(description="From the first call to the last answer.")
    per_second: float
    p50_ms: float = Field(description="Half of the calls took no longer.")
    p99_ms: float = Field(description="99 of 100 calls took no longer.")


class BenchView(BaseModel):
    """What a self-check of a database measured."""

    database: str
    instances: int
    concurrency: int
    measures: list[MeasureView]
    removed: int = Field(description="How many instances it made are gone again.")


def measured(verb: str, seconds: float, latencies: Sequence[float]) -> MeasureView:
    """The measure of calls that took `latencies`, in seconds, and `seconds` together."""
    ordered = sorted(latencies)
    return MeasureView(
        verb=verb,
        count=len(ordered),
        seconds=round(seconds, 3),
        per_second=round(len(ordered) / seconds, 1) if seconds else 0.0,
        p50_ms=_quantile(ordered, 0.50),
        p99_ms=_quantile(ordered, 0.99),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest latency that this share of calls did not exceed, in milliseconds."""
    return round(ordered[max(0, ceil(len(ordered) * share) - 1)] * 1000, 2) if ordered else 0.0
