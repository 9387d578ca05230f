"""What the figures shall reach. A report: nothing fails for missing it."""

from dataclasses import dataclass

from benchmarks.reading import figure_of
from benchmarks.results import Results


@dataclass(frozen=True, slots=True)
class Target:
    """One figure of one row, and what it shall be."""

    text: str
    row: str
    """The name of the entry."""
    figure: str
    """A ratio of the row, by its name; or a figure of its median."""
    least: float | None
    stretch: float | None = None
    less_is_better: bool = False
    unit: str = "x"

    def found(self, results: Results) -> float | None:
        """The figure; `None` where it was not measured."""
        row = results.row(self.row)
        if row is None:
            return None
        if self.figure in row.ratios:
            return row.ratios[self.figure].median
        return figure_of(row.median, self.figure)

    def verdict(self, found: float | None) -> str:
        """In one or two words."""
        if found is None:
            return "not measured"
        if self.stretch is not None and self._reached(found, self.stretch):
            return "stretch reached"
        if self.least is None:
            return "stretch missed"
        return "reached" if self._reached(found, self.least) else "missed"

    def _reached(self, found: float, bound: float) -> bool:
        return found <= bound if self.less_is_better else found >= bound


TARGETS = (
    Target("event, 64 tasks, by pgbench", "event-64", "pgbench", 4, 7),
    Target("event, 64 tasks, p95", "event-64", "p95", 8, less_is_better=True, unit="ms"),
    Target("event, 64 tasks, by DBOS events", "dbos-events", "detent", 100),
    Target("event, 64 tasks, by Absurd events", "absurd-events", "detent", 15),
    Target("create, 64 tasks, by pgbench", "create-64", "pgbench", 4, 7),
    Target("event in the caller's transaction, 16 tasks, by pgbench", "lent-16", "pgbench", 0.5, 0.7),
    Target("event with a command that writes a row, 16 tasks, by pgbench", "command-16", "pgbench", 0.4, 0.55),
    Target("durable run of 5 commands, steps, by DBOS steps", "dbos-steps", "detent", 10),
    Target("durable run of 5 commands, steps, by pgbench", "durable-5", "pgbench", None, 1.3),
    Target("flow of 5 steps, executions, by pgbench (FlowMonkey: 0.27 x)", "flow-5", "pgbench", None, 0.27),
    Target("10,000 timeouts due, 2 workers, by pgbench", "timers", "pgbench", 6, 10),
    Target("one event at a time, idle, p50 by that of two asyncpg statements", "idle", "floor", 1.5, 1.2, True),
    Target("event, memory store, per second", "memory", "rate", 25_000, 40_000, unit=""),
    Target("event, 1,000,000 instances and 5,000,000 entries, time by empty", "size-large", "empty", 1.25, 1.1, True),
    Target("event, 64 tasks on one instance, by row-locked transactions", "one-instance", "plain", 4, 10),
)
