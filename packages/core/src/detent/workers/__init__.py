"""Background work over a runtime: the `Worker`, and the loops that it consists of."""

from detent.store.run_records import FetchStrategy
from detent.workers.executed import Executed, WorkOutcome
from detent.workers.health import WorkerHealth
from detent.workers.loop import Loop, LoopHealth
from detent.workers.messages import InboxWorker, OutboxWorker
from detent.workers.queues import Queue
from detent.workers.retention import RetentionWorker
from detent.workers.run_worker import RunWorker
from detent.workers.timeouts import TimeoutWorker
from detent.workers.worker import Worker
from detent.workers.workflow_worker import WorkflowWorker

__all__ = [
    "Executed",
    "FetchStrategy",
    "InboxWorker",
    "Loop",
    "LoopHealth",
    "OutboxWorker",
    "Queue",
    "RetentionWorker",
    "RunWorker",
    "TimeoutWorker",
    "Worker",
    "WorkerHealth",
    "WorkOutcome",
    "WorkflowWorker",
]
