"""Fires due timeouts, for as long as it is entered."""

from datetime import timedelta

from detent.runtime.runtime import WorkflowRuntime
from detent.workers.loop import Loop


class TimeoutWorker(Loop):
    """Looks for due timeouts every `interval` (5 s by default) and fires up to `limit` of them at a time.

    Any number may run, in any number of processes: each timeout is fired by one of them.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        interval: timedelta = timedelta(seconds=5),
        limit: int = 500,
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime
        self._limit = limit

    async def round(self) -> bool:
        """Fire what is due; more may be waiting when a full batch was fired."""
        report = await self._runtime.process_timeouts(limit=self._limit)
        moved = report.processed + report.refused + report.failed
        return moved > 0 and moved + report.skipped >= self._limit
