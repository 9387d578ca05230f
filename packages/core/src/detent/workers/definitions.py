"""Learns of definitions that other processes store, for as long as it is entered."""

from datetime import timedelta

from detent.runtime.runtime import WorkflowRuntime
from detent.workers.loop import Loop


class DefinitionWorker(Loop):
    """Looks every `interval` for definitions that were stored meanwhile, and that the runtime adopts."""

    def __init__(
        self,
        runtime: WorkflowRuntime,
        *,
        interval: timedelta = timedelta(seconds=2),
        drain: timedelta = timedelta(seconds=30),
    ) -> None:
        super().__init__(interval=interval, drain=drain)
        self._runtime = runtime

    async def round(self) -> bool:
        """Take over what is new."""
        await self._runtime.adopt_definitions()
        return False
