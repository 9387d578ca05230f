"""A case: what is measured of Detent, and what its figure is compared with."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from benchmarks.given import Given
from benchmarks.reading import Reading

Figure: TypeAlias = Literal["rate", "p50", "time", "latency"]
"""Which figure of a reading is compared with that of what was measured beside it; `time` is seconds per operation, `latency` is
p50 and, by itself, p99.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    title: str
    unit: str
    """Of what the rate counts."""
    measure: Callable[[Given], Coroutine[Any, Any, Reading]]
    """One repetition."""
    postgres: bool = True
    """Whether it needs PostgreSQL."""
    yardstick: bool = True
    """Whether it is compared with pgbench, if it needs PostgreSQL: what writes is."""
    big: bool = False
    """Whether it needs the big database, which takes minutes to fill: only in a whole run."""
    compares: Figure = "rate"
    """What is compared with what was measured beside it."""
