"""How a worker runs inside another process, such as a web application's."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

from detent.runtime.runtime import WorkflowRuntime
from detent.workers.queues import Queue
from detent.workers.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """How the worker runs in this process; see `detent.workers.Worker`."""

    queues: Sequence[str | Queue] | None = None
    """Whose durable commands it runs; `None` for all."""
    concurrency: int = 10
    """How many runs it works on at once."""
    poll: timedelta = timedelta(seconds=1)
    """How often it looks for work of which no signal told."""
    drain: timedelta = timedelta(seconds=30)
    """How long shutting down lets work under way go on."""
    timeouts: bool = True
    """Whether it fires due timeouts."""
    inbox: bool = True
    """Whether it lets instances take the events that were sent to them."""
    outbox: bool = True
    """Whether it delivers published messages to subscribers."""
    retention: bool = True
    """Whether it applies retention policies and forgets expired idempotency keys."""
    name: str | None = None
    """What it is called in the runs it holds; host and process id by default."""

    def worker(self, runtime: WorkflowRuntime) -> Worker:
        """Such a worker. Raises `InvalidValue`."""
        return Worker(runtime, **{field.name: getattr(self, field.name) for field in fields(self)})
