"""Background loops over a runtime."""

from detent.workers.loop import Loop
from detent.workers.retention import RetentionWorker
from detent.workers.timeouts import TimeoutWorker

__all__ = ["Loop", "RetentionWorker", "TimeoutWorker"]
