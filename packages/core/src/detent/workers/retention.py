"""Applies the retention policies, for as long as it is entered."""

from datetime import timedelta

from detent.runtime.runtime import WorkflowRuntime
from detent.workers.loop import Loop


class RetentionWorker(Loop):
    """Applies the runtime's retention policies every `interval` (an hour by default), and at once when it is entered.

    `limit` and `batch` are those of `apply_retention`. Any number may run, in any number of processes; one is enough.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        interval: timedelta = timedelta(hours=1),
        limit: int = 10_000,
        batch: int = 500,
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime
        self._limit = limit
        self._batch = batch

    async def round(self) -> bool:
        """Remove what is due; more may be waiting when the limit was reached."""
        return (await self._runtime.apply_retention(limit=self._limit, batch=self._batch)).more
