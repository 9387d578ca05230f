"""Deliver what was sent and what was published, for as long as they are entered."""

from datetime import timedelta

from detent.runtime.runtime import WorkflowRuntime
from detent.workers.loop import Loop


class InboxWorker(Loop):
    """Looks for instances with sent events that they can take every `interval`, and lets up to `limit` of those take
    them at a time.

    Any number may run, in any number of processes: each message is applied by one of them, once.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        interval: timedelta = timedelta(seconds=1),
        limit: int = 100,
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime
        self._limit = limit

    async def round(self) -> bool:
        """Let messages be taken; where something came of that, more may be waiting."""
        report = await self._runtime.process_inbox(limit=self._limit)
        return report.applied + report.postponed + report.dead > 0


class OutboxWorker(Loop):
    """Looks for deliveries to subscribers every `interval`, and makes up to `limit` of them at a time.

    Any number may run, in any number of processes: what is for one subscriber about one instance is delivered in order.
    """

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        interval: timedelta = timedelta(seconds=1),
        limit: int = 100,
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime
        self._limit = limit

    async def round(self) -> bool:
        """Deliver; more may be waiting when there were as many as asked for."""
        report = await self._runtime.process_outbox(limit=self._limit)
        return report.delivered + report.retrying + report.dead + report.lost >= self._limit
