"""Metrics for Prometheus: what happened, counted after each commit, and what waits, read from the store."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from detent.definition.model import WorkflowDefinition
from detent.observe.backlog_gauges import BacklogGauges
from detent.observe.label_names import LabelNames
from detent.runtime.observers import Observation, Worked, WorkflowObserver
from detent.runtime.runtime import WorkflowRuntime
from detent.store.messages import Delivery, InboxMessage
from detent.store.records import CommandRecord

STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds that a step takes: a round trip to the database, up to transactional commands that call somebody."""
RUN_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
"""Seconds that a run is worked on: a quick call, up to hours of it."""


class Metrics(WorkflowObserver):
    """Counts what is committed here: `WorkflowRuntime(..., observers=[Metrics(definitions)])`. Needs the extra `metrics`.

    Labels are names that `definitions` declare and words of Detent's own; anything else, a version of a workflow that only
    the store knows for one, is `other`. So their number never depends on instances, callers or data.

    `registry` is where they are registered, the process's own by default; a second `Metrics` there raises `ValueError`.
    What waits is read by `refresh`, every now and then: `detent.workers.metrics.MetricsWorker` does so.
    """

    def __init__(self, definitions: Iterable[WorkflowDefinition], *, registry: CollectorRegistry = REGISTRY) -> None:
        self._names = LabelNames(definitions)
        self._backlog = BacklogGauges(registry)
        self._transitions = Counter(
            "detent_transitions",
            "History entries written here: events, automatic hops, refusals, attempts rolled back.",
            ["workflow", "event", "outcome"],
            registry=registry,
        )
        self._completions = Counter(
            "detent_completions", "Instances that ended here, by status.", ["workflow", "status"], registry=registry
        )
        self._commands = Counter(
            "detent_commands",
            "Answers of commands, in entries that were committed here.",
            ["workflow", "command", "result"],
            registry=registry,
        )
        self._steps = Histogram(
            "detent_step_seconds",
            "How long a whole step took, from the call to its commit.",
            ["workflow"],
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self._run_work = Counter(
            "detent_run_work", "Runs worked on here, by what became of them.", ["workflow", "result"], registry=registry
        )
        self._run_seconds = Histogram(
            "detent_run_work_seconds",
            "How long a run was worked on here, each time it was claimed.",
            ["workflow"],
            buckets=RUN_BUCKETS,
            registry=registry,
        )

        self._dead = Counter(
            "detent_dead_letters",
            "Messages to instances, and deliveries to subscribers, that were given up here.",
            ["kind"],
            registry=registry,
        )

    async def on_created(self, seen: Observation) -> None:
        self._entry(seen)

    async def on_transition(self, seen: Observation) -> None:
        self._entry(seen)

    async def on_refused(self, seen: Observation) -> None:
        self._entry(seen)

    async def on_failed(self, seen: Observation) -> None:
        self._entry(seen)

    async def on_completed(self, seen: Observation) -> None:
        workflow = self._names.workflow(seen.instance.workflow)
        self._completions.labels(workflow, seen.instance.status.value).inc()

    async def on_command(self, seen: Observation, command: CommandRecord) -> None:
        workflow, name = seen.instance.workflow, command.name
        result = "ok" if command.ok else "failed"
        self._commands.labels(self._names.workflow(workflow), self._names.command(workflow, name), result).inc()

    async def on_run(self, worked: Worked) -> None:
        workflow = self._names.workflow(worked.run.workflow)
        self._run_work.labels(workflow, worked.advanced.value).inc()
        self._run_seconds.labels(workflow).observe(worked.duration.total_seconds())

    async def on_dead_letter(self, message: InboxMessage) -> None:
        self._dead.labels("inbox").inc()

    async def on_dead_delivery(self, delivery: Delivery) -> None:
        self._dead.labels("outbox").inc()

    async def refresh(self, runtime: WorkflowRuntime) -> None:
        """Read from the store of `runtime` what waits there; of its tenant alone, where it is bound to one.

        Raises `StoreUnavailable` where that fails; the gauges then say what they said before, and since when.
        """
        parts = runtime.running().parts
        backlog = await parts.store.backlog(tenant=runtime.tenant, now=parts.now)
        now: datetime = parts.present
        self._backlog.show(backlog, now)

    def _entry(self, seen: Observation) -> None:
        entry, workflow = seen.entry, seen.instance.workflow
        label = self._names.workflow(workflow)
        self._transitions.labels(label, self._names.event(workflow, entry.event), entry.outcome.value).inc()
        if entry.sequence == seen.instance.version:
            # The last entry of its step: the whole step is timed once.
            self._steps.labels(label).observe(seen.duration.total_seconds())
