"""The peers: what is installed for each, and which of its work is compared with which case of ours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that a peer does, measured by `benchmarks.peers.<peer>` when called with the word behind the hyphen."""

    name: str
    peer: str
    title: str
    unit: str
    against: str
    """The name of the case of ours that does the nearest to it."""
    postgres: bool = True

    @property
    def word(self) -> str:
        """What the peer's script is asked for."""
        return self.name.rpartition("-")[2]

    @property
    def module(self) -> str:
        """The peer's script."""
        return f"benchmarks.peers.{self.peer}"


PACKAGES: dict[str, tuple[str, ...]] = {
    "dbos": ("dbos==3.4.0",),
    "absurd": ("absurd-sdk==0.5.1", "absurdctl==0.5.1"),
    "procrastinate": ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
    "transitions": ("transitions==0.9.3",),
    "statemachine": ("python-statemachine==3.2.2",),
    "litestar_workflows": ("litestar-workflows[db]==0.3.3", "asyncpg==0.32.0"),
}
"""By the name of the peer's script, what its environment holds."""

WORKS = (
    Work("dbos-events", "dbos", "DBOS: messages into waiting workflows, 64 at once", "events", "event-64"),
    Work("absurd-events", "absurd", "Absurd: events into waiting tasks, 64 at once", "events", "event-64"),
    Work(
        "litestar-workflows-tasks",
        "litestar_workflows",
        "litestar-workflows: human tasks completed, 16 at once",
        "events",
        "event-64",
    ),
    Work("dbos-workflows", "dbos", "DBOS: workflows of 1 step, 64 at once", "runs", "durable-1"),
    Work("absurd-tasks", "absurd", "Absurd: tasks of 1 step, 64 at once", "runs", "durable-1"),
    Work(
        "procrastinate-jobs", "procrastinate", "procrastinate: jobs deferred and done, 16 at once", "runs", "durable-1"
    ),
    Work("dbos-steps", "dbos", "DBOS: workflows of 5 steps, 64 at once", "steps", "durable-5"),
    Work("absurd-steps", "absurd", "Absurd: tasks of 5 steps, 64 at once", "steps", "durable-5"),
    Work("transitions-events", "transitions", "transitions: events, nothing kept", "events", "memory", postgres=False),
    Work(
        "statemachine-events",
        "statemachine",
        "python-statemachine: events, nothing kept",
        "events",
        "memory",
        postgres=False,
    ),
)
