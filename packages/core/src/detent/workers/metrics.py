"""Reads what waits in the store into metrics, for as long as it is entered."""

from datetime import timedelta

from detent.observe.metrics import Metrics
from detent.runtime.runtime import WorkflowRuntime
from detent.workers.loop import Loop


class MetricsWorker(Loop):
    """Refreshes `metrics` from the runtime's store every `interval` (15 s by default), and at once when it is entered.

    Every process that is scraped may run one: they read the same, so ask Prometheus for the `max` of them.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        metrics: Metrics,
        *,
        interval: timedelta = timedelta(seconds=15),
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime
        self._metrics = metrics

    async def round(self) -> bool:
        """Read once."""
        await self._metrics.refresh(self._runtime)
        return False
